"""`python -m supervisor dead-letters`: refused records are listed, delivered once later, or dropped."""

import io
import json
import sqlite3
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
import structlog
from confluent_kafka.admin import AdminClient
from confluent_kafka.admin._config import AlterConfigOpType, ConfigEntry, ConfigResource
from confluent_kafka.admin._resource import ResourceType
from confluent_kafka.cimpl import NewTopic

from core.errors import ExitCode
from core.spool.committed_positions import publisher_path, read_dead_letters, read_publisher_counters
from core.status.stream_stats import read_flow
from streams.positions.dead_letters import DeadLetter
from streams.positions.publisher_store import Position, PublisherStore
from supervisor.cli.dead_letters_command import dead_letters
from supervisor.cli.main import main
from tests.streams.publisher.deployment import Deployment
from tests.support.brokers import ApacheKafka, Broker
from tests.support.waiting import wait_until

LIMIT = 100_000


class Desk:
    """A configuration, and the output of the command that works on its state."""

    def __init__(self, directory: Path) -> None:
        self.state_dir = directory / "state"
        self.path = directory / "config.toml"
        self.path.write_text(
            f'[reddit]\nsubreddits = ["Bitcoin"]\n[scraper]\nenabled = false\n[supervisor]\n'
            f'state_dir = "{self.state_dir}"\nlog_dir = "{directory / "logs"}"\n'
        )
        self.log = directory / "logs" / "dead-letters.log"
        self.out = self.err = ""

    def do(self, action: str, *ids: int, as_json: bool = False) -> ExitCode:
        out, err = io.StringIO(), io.StringIO()
        code = dead_letters(self.path, action, ids, as_json=as_json, out=out, err=err)
        self.out, self.err = out.getvalue(), err.getvalue()
        return code

    def listed(self) -> list[dict[str, Any]]:
        assert self.do("list", as_json=True) is ExitCode.OK
        listed: list[dict[str, Any]] = json.loads(self.out)["dead_letters"]
        return listed

    def keep(self, *seqs: int, position: int = 100) -> None:
        """Store these records of a spool as dead letters, as the publisher does."""
        store = PublisherStore.open(self.state_dir, structlog.stdlib.get_logger("test"), clock=lambda: 1_700_000_000.0)
        value = b"x" * 1_234_567
        letters = [
            DeadLetter("submissions", "spool", seq, f"t3_{seq}".encode(), value, "s", "MSG_SIZE_TOO_LARGE: x")
            for seq in seqs
        ]
        store.save([Position("submissions", "spool", position)], {}, letters)
        store.close()

    def logged(self) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self.log.read_text().splitlines()] if self.log.exists() else []


@pytest.fixture
def desk(tmp_path: Path) -> Desk:
    return Desk(tmp_path)


@pytest.mark.parametrize("action", ["list", "resend", "drop"])
def test_without_dead_letters_there_is_nothing_to_do(desk: Desk, action: str) -> None:
    assert desk.do(action) is ExitCode.OK
    assert "o dead letters" in desk.out
    assert not publisher_path(desk.state_dir).exists(), "who only looks makes no file"
    desk.keep()
    assert desk.do(action) is ExitCode.OK
    assert desk.logged() == []


def test_the_list_fits_80_columns_and_says_why(desk: Desk) -> None:
    desk.keep(3, 5)
    assert desk.do("list") is ExitCode.OK
    heading, first, *_, last = desk.out.splitlines()
    assert heading.split() == ["ID", "WHEN", "STREAM", "KEY", "SIZE", "REASON"]
    assert first.split() == ["1", "2023-11-14T22:13Z", "submissions", "t3_3", "1.2", "MB", "MSG_SIZE_TOO_LARGE"]
    assert last == "2 dead letters. In total, 0 resent and 0 dropped."
    assert max(map(len, desk.out.splitlines())) <= 80
    (one,) = [one for one in desk.listed() if one["id"] == 2]
    assert (one["stream"], one["seq"], one["key"], one["size"]) == ("submissions", 5, "t3_5", 1_234_567)
    assert one["reason"] == "MSG_SIZE_TOO_LARGE: x"
    assert one["resending"] is False


def test_what_may_be_sent_again_by_itself_is_none_yet(desk: Desk) -> None:
    """The position has not passed it: the next publisher may well deliver it."""
    desk.keep(3, 5, position=4)
    assert [one["seq"] for one in desk.listed()] == [3]


@pytest.mark.parametrize("action", ["list", "resend", "drop"])
def test_an_unknown_id_changes_nothing(desk: Desk, action: str) -> None:
    desk.keep(3, 5)
    assert desk.do(action, 2, 7) is ExitCode.BAD_USAGE
    assert desk.err == "no dead letter has the ID 7; there are: 1, 2\n"
    assert [one["resending"] for one in desk.listed()] == [False, False]


def test_dropping_counts_and_logs_each(desk: Desk) -> None:
    desk.keep(3, 5, 8)
    assert desk.do("drop", 1, 3) is ExitCode.OK
    assert desk.out.startswith("2 dead letters dropped, 2,469,134 bytes.")
    assert [one["seq"] for one in desk.listed()] == [5]
    (line,) = desk.logged()
    assert (line["event"], line["count"], line["process"]) == ("dead_letters_dropped", 2, "dead-letters")
    assert [one["key"] for one in line["letters"]] == ["t3_3", "t3_8"]
    assert read_publisher_counters(desk.state_dir) == {"dead_letters": 3, "dead_letters_dropped": 2}
    assert read_dead_letters(desk.state_dir) == {"spool": 3}, "a dropped record is not a delivered one"
    flow = read_flow(desk.state_dir, (), 100, 0.0)
    assert (flow.dead_letters_kept, flow.dropped) == (1, 2)
    desk.keep(9)
    assert [one["id"] for one in desk.listed()] == [2, 4], "a number is never given twice"


def test_what_is_on_the_way_again_is_not_dropped(desk: Desk) -> None:
    desk.keep(3, 5)
    assert desk.do("resend", 1) is ExitCode.OK
    assert desk.out.startswith("1 dead letter waiting")
    assert desk.do("resend", 1) is ExitCode.OK
    assert desk.do("drop") is ExitCode.OK
    assert "Not dropped, because they are being sent again: 1" in desk.out
    assert [(one["id"], one["resending"]) for one in desk.listed()] == [(1, True)]


@pytest.mark.parametrize(
    ("words", "says"),
    [
        (["fly"], "unknown action 'fly'; there are: list, resend, drop"),
        (["resnd"], "did you mean resend?"),
        (["5"], "unknown action '5'"),
        (["drop", "x"], "'x' is not an ID"),
        (["drop", "-1"], "'-1' is not an ID"),
    ],
)
def test_a_wrong_word_is_answered_with_what_would_be_right(
    desk: Desk, words: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["dead-letters", str(desk.path), *words])
    assert ended.value.code == ExitCode.BAD_USAGE
    assert says in capsys.readouterr().err


def test_options_may_stand_anywhere(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.keep(3, 5)
    for words in (["--json", "list", "2"], ["list", "--json", "2"], ["list", "2", "--json"]):
        assert main(["dead-letters", str(desk.path), *words]) == ExitCode.OK
        assert [one["id"] for one in json.loads(capsys.readouterr().out)["dead_letters"]] == [2]


def test_a_broken_file_is_named(desk: Desk, capsys: pytest.CaptureFixture[str]) -> None:
    desk.state_dir.mkdir()
    publisher_path(desk.state_dir).write_bytes(b"no database " * 1000)
    assert main(["dead-letters", str(desk.path)]) == ExitCode.GAVE_UP
    assert "publisher.db cannot be read or written at the moment" in capsys.readouterr().err


def test_a_file_of_version_1_is_brought_up_to_date(desk: Desk) -> None:
    desk.state_dir.mkdir()
    with sqlite3.connect(publisher_path(desk.state_dir)) as connection:
        connection.executescript(
            "CREATE TABLE identity (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;"
            "INSERT INTO identity VALUES ('deployment', 'd');"
            "CREATE TABLE positions (spool_id TEXT PRIMARY KEY, stream TEXT NOT NULL, seq INTEGER NOT NULL,"
            " at REAL NOT NULL) WITHOUT ROWID;"
            "INSERT INTO positions VALUES ('spool', 'comments', 7, 1.0);"
            "CREATE TABLE counters (name TEXT PRIMARY KEY, value INTEGER NOT NULL) WITHOUT ROWID;"
            "CREATE TABLE dead_letters (id INTEGER PRIMARY KEY, stream TEXT NOT NULL, spool_id TEXT NOT NULL,"
            " seq INTEGER NOT NULL, key BLOB NOT NULL, value BLOB NOT NULL, schema TEXT NOT NULL, reason TEXT NOT NULL,"
            " at REAL NOT NULL, UNIQUE (spool_id, seq));"
            "INSERT INTO dead_letters VALUES (5, 'comments', 'spool', 7, x'6b', x'7b7d', 's', 'too large', 1.0),"
            " (6, 'comments', 'spool', 8, x'6b', x'7b7d', 's', 'too large', 1.0);"
            "PRAGMA user_version = 1;"
        )
    assert [(one["id"], one["seq"]) for one in desk.listed()] == [(5, 7)], "the other one is still to be sent"
    desk.keep(position=7)
    assert [one["id"] for one in desk.listed()] == [5]


# -- with a publisher and a broker


@pytest.fixture(params=["at_least_once", "exactly_once"])
def delivery(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def refuse_some(deployment: Deployment, broker: Broker) -> list[str]:
    """Make the topic refuse three records; return their keys."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers, "log_level": 0})
    new = NewTopic(deployment.topic, num_partitions=1, config={"max.message.bytes": str(LIMIT)})
    admin.create_topics([new])[deployment.topic].result()
    deployment.config.kafka.producer["compression.type"] = "none"
    large = []
    for _ in range(3):
        deployment.comments.capture(5)
        large += deployment.comments.capture(1, size=2 * LIMIT)
    deployment.start()
    deployment.wait_delivered(30.0)
    wait_until(lambda: deployment.counters().get("dead_letters") == 3, what="the dead letters")
    return large


def allow(deployment: Deployment, broker: Broker) -> None:
    """Raise the topic's limit."""
    admin = AdminClient({"bootstrap.servers": broker.bootstrap_servers, "log_level": 0})
    entry = ConfigEntry("max.message.bytes", "5000000", incremental_operation=AlterConfigOpType.SET)
    resource = ConfigResource(ResourceType.TOPIC, deployment.topic, incremental_configs=[entry])
    admin.incremental_alter_configs([resource])[resource].result()


def test_dead_letters_are_delivered_once_while_the_publisher_runs_and_when_it_is_stopped(
    desk: Desk, tmp_path: Path, apache_kafka: ApacheKafka, delivery: str
) -> None:
    with Deployment(tmp_path, apache_kafka, delivery=delivery, message_max_bytes=5_000_000) as deployment:
        large = refuse_some(deployment, apache_kafka)
        assert [one["key"] for one in desk.listed()] == large
        # 1: the publisher was quicker than the report, and the topic has refused it again
        assert desk.do("resend", 1) in {ExitCode.OK, ExitCode.GAVE_UP}
        wait_until(lambda: not desk.listed()[0]["resending"], what="the topic to refuse it again")
        assert [one["key"] for one in desk.listed()] == large, "it stays what it was"
        allow(deployment, apache_kafka)
        assert desk.do("resend", 2) is ExitCode.OK
        wait_until(lambda: [one["id"] for one in desk.listed()] == [1, 3], what="the second one to be delivered")
        deployment.wait_said("dead_letters_resent")
        assert deployment.stop()[0] == 0
        assert desk.do("resend") is ExitCode.OK
        assert [one["resending"] for one in desk.listed()] == [True, True]
        deployment.start()
        wait_until(lambda: desk.listed() == [], what="the others to be delivered")
        assert deployment.stop()[0] == 0
        records = deployment.records()
        assert max(Counter(record.key for record in records).values()) == 1
        assert {record.key: record.seq for record in records} == {
            key: number for number, key in enumerate(deployment.comments.keys, 1)
        }, "each stands under its own number"
        assert {record.stream for record in records} == {"comments"}
        assert_counted(deployment, published=18, resent=3)


def test_a_publisher_killed_while_it_sends_them_again_neither_loses_nor_counts_one_twice(
    desk: Desk, tmp_path: Path, apache_kafka: ApacheKafka, delivery: str
) -> None:
    with Deployment(tmp_path, apache_kafka, delivery=delivery, message_max_bytes=5_000_000) as deployment:
        refuse_some(deployment, apache_kafka)
        allow(deployment, apache_kafka)
        for number in (1, 2, 3):
            assert desk.do("resend", number) is ExitCode.OK
            wait_until(lambda: len(deployment.records()) > 15, what="one to arrive")
            deployment.kill()
            deployment.start()
        wait_until(lambda: desk.listed() == [], what="all to be delivered")
        deployment.stop()
        counts = Counter(record.key for record in deployment.records())
        assert set(counts) == set(deployment.comments.keys)
        if delivery == "exactly_once":
            assert max(counts.values()) == 1
        assert_counted(deployment, published=18, resent=3)


def assert_counted(deployment: Deployment, *, published: int, resent: int) -> None:
    counters = deployment.counters()
    assert (counters["published"], counters["dead_letters"]) == (published, 3)
    assert counters["dead_letters_resent"] == resent
    flow = read_flow(deployment.state_dir, (), 100, 0.0)
    assert (flow.dead_letters_kept, flow.resent) == (0, resent)
    assert read_dead_letters(deployment.state_dir) == {}
