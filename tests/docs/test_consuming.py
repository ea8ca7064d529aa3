"""docs/consuming.md: every example reads what the publisher wrote with its defaults, from Apache Kafka."""

import json
import os
import re
import shlex
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest

from core.spool import Batch
from core.stream_kinds import kind_of
from streams.record import make_record
from streams.reddit.listing_page import parse_page
from tests.docs.markdown import section, text
from tests.streams.publisher.deployment import Deployment
from tests.streams.publisher.spools import ChangesSpool
from tests.support.brokers import ApacheKafka
from tests.support.kafka_jars import CLIENTS_POM, KafkaUnavailableError, java_command, kafka_classpath
from tests.support.kafkajs import KafkaJsUnavailableError, node_modules
from tests.support.server import ServerProcess
from tests.support.waiting import wait_until, whole_lines

PAGE = Path("docs/consuming.md")
MOMENT = 1_763_000_000.123


@dataclass(frozen=True)
class Topic:
    """A topic with real records: `values` by key."""

    servers: str
    name: str
    values: dict[str, dict[str, Any]]

    def put_in(self, example: str) -> str:
        """Return an example with this topic in the place of the page's own."""
        assert "localhost:9092" in example or "reddit-posts" in example
        return example.replace("localhost:9092", self.servers).replace("reddit-posts", self.name)

    def lines(self) -> set[str]:
        """What the examples print of it."""
        schemas = {"comment": kind_of("comments").schema, "submission": kind_of("submissions").schema}
        return {
            f"{schemas[value['content_type']]} {key} {value['created_utc']} {value['timestamp']}"
            for key, value in self.values.items()
        }


@pytest.fixture(scope="module")
def topic(apache_kafka_session: ApacheKafka, tmp_path_factory: pytest.TempPathFactory) -> Topic:
    """Records of both kinds, through the publisher with its default compression."""
    apache_kafka_session.ensure_running()
    values: dict[str, dict[str, Any]] = {}
    with Deployment(tmp_path_factory.mktemp("consuming"), apache_kafka_session) as deployment:
        for spool, kind in ((deployment.comments, "t1"), (deployment.submissions, "t3")):
            children = [
                {"kind": kind, "data": {"name": f"{kind}_{number}", "created_utc": 1_700_000_000.0 + number}}
                for number in range(20)
            ]
            items = parse_page({"kind": "Listing", "data": {"children": children}}, spool.stream).items
            records = [make_record(item, spool.stream, MOMENT + number) for number, item in enumerate(items)]
            spool.writer.commit(Batch(records=records))
            values |= {record.key.decode(): json.loads(record.value) for record in records}
        deployment.start()
        deployment.wait_delivered()
        assert deployment.config.kafka.producer["compression.type"] == "gzip"
        return Topic(apache_kafka_session.bootstrap_servers, deployment.topic, values)


@pytest.fixture
def run(tmp_path: Path) -> Iterator[Callable[..., Path]]:
    """Start a program that reads on and on; return where its output goes."""
    started: list[ServerProcess] = []

    def start(command: list[str], **environment: str) -> Path:
        output = tmp_path / "output"
        started.append(ServerProcess(command, output, cwd=tmp_path, env={**os.environ, **environment}))
        started[-1].start()
        return output

    yield start
    for process in started:
        process.kill()


def example(heading: str, language: str, mark: str = "") -> str:
    """The block of code below a heading; `mark` is how it begins."""
    part = re.split(r"^## ", text(PAGE).partition(f"\n{heading}\n")[2], maxsplit=1, flags=re.MULTILINE)[0]
    blocks = re.findall(rf"^```{language}\n({re.escape(mark)}.*?)^```$", part, re.MULTILINE | re.DOTALL)
    assert len(blocks) == 1, f"{PAGE}, {heading}: {len(blocks)} blocks in {language}"
    return str(blocks[0])


def wait_until_read(output: Path, expected: set[str], timeout: float = 40.0) -> None:
    wait_until(
        lambda: expected <= set(output.read_text().splitlines()),
        timeout,
        f"the records in {output}; there is:\n{output.read_text()[-1500:] if output.exists() else ''}",
    )


def jvm(*arguments: str) -> list[str]:
    try:
        return [java_command(), "-Xmx256m", "-XX:TieredStopAtLevel=1", "-cp", kafka_classpath(CLIENTS_POM), *arguments]
    except KafkaUnavailableError as missing:
        pytest.skip(str(missing))


@pytest.mark.parametrize("client", ["aiokafka", "kafka-python"])
@pytest.mark.usefixtures("apache_kafka")
def test_python(topic: Topic, run: Callable[..., Path], client: str) -> None:
    program = topic.put_in(example(f"## {client}", "python"))
    wait_until_read(run([sys.executable, "-c", program]), topic.lines())


@pytest.mark.usefixtures("apache_kafka")
def test_kafkajs(topic: Topic, run: Callable[..., Path]) -> None:
    try:
        modules = node_modules()
    except KafkaJsUnavailableError as missing:
        pytest.skip(str(missing))
    program = topic.put_in(example("## kafkajs", "javascript"))
    environment = {"NODE_PATH": str(modules), "KAFKAJS_NO_PARTITIONER_WARNING": "1"}
    wait_until_read(run(["node", "-e", program], **environment), topic.lines())


def test_the_newest_state_of_each_item(apache_kafka: ApacheKafka, run: Callable[..., Path], tmp_path: Path) -> None:
    with Deployment(tmp_path, apache_kafka, topics={"latest": ".latest"}) as deployment:
        changes = ChangesSpool(deployment.state_dir)
        deployment.start()
        first, second = deployment.comments.capture(2)
        deployment.wait_delivered()
        changes.tombstone(first)
        changes.close()
        place = Topic(apache_kafka.bootstrap_servers, deployment.topic, {})
        program = place.put_in(example("## The newest state of each item", "python"))
        output = run([sys.executable, "-c", program])
        wait_until_read(output, {f"newest {first} {first}", f"newest {second} {second}", f"removed {first}"})


@pytest.mark.usefixtures("apache_kafka")
def test_the_console_consumer(topic: Topic, run: Callable[..., Path]) -> None:
    command = topic.put_in(example("## Kafka's console consumer", "bash")).replace("\\\n", " ")
    program, *options = shlex.split(command)
    assert program == "kafka-console-consumer.sh"
    output = run(jvm("org.apache.kafka.tools.consumer.ConsoleConsumer", *options))

    def read() -> dict[str, dict[str, Any]]:
        rows = [line.split("\t") for line in whole_lines(output) if line.count("\t") == 2]
        assert all("schema:reddit." in headers for headers, _, _ in rows)
        return {key: json.loads(value) for _, key, value in rows}

    wait_until(lambda: read() == topic.values, 40, "the records on the console")


@pytest.mark.usefixtures("apache_kafka")
def test_kafka_connect_with_times_and_a_file(topic: Topic, run: Callable[..., Path], tmp_path: Path) -> None:
    heading = "## Kafka Connect"
    for name in ("worker.properties", "sink.properties"):
        (tmp_path / name).write_text(topic.put_in(example(heading, "properties", f"# {name}\n")))
    program, *files = shlex.split(example(heading, "bash"))
    assert program == "connect-standalone.sh"
    command = jvm("org.apache.kafka.connect.cli.ConnectStandalone", *files)
    (tmp_path / "libs").mkdir()
    (jar,) = [path for path in command[command.index("-cp") + 1].split(os.pathsep) if "connect-file-" in path]
    (tmp_path / "libs" / Path(jar).name).symlink_to(jar)
    with (tmp_path / "worker.properties").open("a") as worker:
        worker.write("listeners=http://127.0.0.1:0\noffset.flush.interval.ms=1000\nplugin.discovery=service_load\n")
    run(command)
    sink = tmp_path / "reddit.txt"

    def written() -> list[str]:
        return sink.read_text().splitlines() if sink.exists() else []

    wait_until(lambda: len(written()) == len(topic.values), 60, "the records in the sink's file")
    # the file sink writes a record as Java shows a map: {name=value, …}
    for line in written():
        value = topic.values[re.search(r"fullname=(\w+)", line)[1]]  # type: ignore[index]
        assert f"timestamp={round(datetime.fromisoformat(value['timestamp']).timestamp() * 1000)}" in line
        created = datetime.fromtimestamp(value["created_utc"], tz=None).astimezone()
        assert datetime.fromisoformat(re.search(r"created_utc=([^,}]+)", line)[1]) == created  # type: ignore[index]


def test_the_page_tells_of_the_default_compression() -> None:
    assert "compresses with gzip" in section(PAGE, "## Compression")
    assert "isolation.level=read_committed" in text(PAGE)
