"""What docs/guarantees.md and README.md promise has its test, and the checks that they offer to everybody work."""

import re
import sqlite3
import subprocess
import sys
import uuid
from pathlib import Path

import pytest
import structlog
from confluent_kafka import Producer

from core.spool import SpoolWriter, spool_path
from core.spool.committed_positions import publisher_path
from streams.positions.publisher_store import PublisherStore
from tests.docs.markdown import rows, section, text
from tests.support.brokers import TansuBroker

PAGE = Path("docs/guarantees.md")
README = Path("README.md")


@pytest.mark.parametrize("page", [README, PAGE], ids=str)
def test_each_promise_names_the_test_that_proves_it(page: Path) -> None:
    promises = rows(text(page), "promise")
    assert len(promises) >= 9
    for promise in promises:
        assert "`tests/" in promise[-1], f"{page}: nothing proves {promise[0]!r}"


def test_the_words_are_defined_that_the_promises_are_made_of() -> None:
    defined = [row[0] for row in rows(section(PAGE, "## The words"), "word")]
    assert {"shown", "captured", "proven", "proven until", "not read yet", "gap", "delivered", "dead letter"} <= set(
        defined
    )


def code(language: str) -> str:
    found = re.findall(rf"^```{language}\n(.*?)^```$", text(PAGE), re.MULTILINE | re.DOTALL)
    assert len(found) == 1
    return str(found[0])


def test_the_queries_can_be_asked(tmp_path: Path) -> None:
    SpoolWriter(tmp_path, "comments").close()
    PublisherStore.open(tmp_path, structlog.stdlib.get_logger("test")).close()
    files = {"spool-comments.db": spool_path(tmp_path, "comments"), "publisher.db": publisher_path(tmp_path)}
    asked = 0
    for block in re.split(r"^-- (?=\S+\.db:)", code("sql"), flags=re.MULTILINE)[1:]:
        name, _, queries = block.partition(":")
        connection = sqlite3.connect(files[name])
        for query in queries.partition("\n")[2].split(";\n"):
            if query.strip():
                connection.execute(query).fetchall()
                asked += 1
        connection.close()
    assert asked == 5


def test_the_look_at_a_topic_counts_what_came_twice_and_what_runs_backwards(tmp_path: Path, tansu: TansuBroker) -> None:
    topic = f"checked-{uuid.uuid4().hex[:8]}"
    producer = Producer({"bootstrap.servers": tansu.bootstrap_servers, "log_level": 0})
    for key, seq in (("t1_a", 1), ("t1_b", 2), ("t1_b", 2), ("t1_d", 4), ("t1_c", 3)):
        headers: list[tuple[str, str | bytes | None]] = [
            ("schema", b"reddit.comment.v1"),
            ("stream", b"comments"),
            ("seq", str(seq).encode()),
        ]
        producer.produce(topic, b"{}", key.encode(), 0, headers=headers)
        assert producer.flush(10.0) == 0
    script = tmp_path / "check_topic.py"
    script.write_text(code("python"))
    command = [sys.executable, str(script), tansu.bootstrap_servers, topic]
    answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=40)
    assert answer.stdout == "4 items, 1 records more than once, 1 out of order\n", answer.stderr
