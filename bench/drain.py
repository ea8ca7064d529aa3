"""From a full spool to the broker by the publisher's process, against a bare `Producer.produce` loop."""

import json
import tempfile
import time
from pathlib import Path

from confluent_kafka import Producer

from bench.arrivals import create_topic
from bench.figure import Figure, at_least
from bench.material import comment_pages, in_chunks
from core.spool import Batch, Record, SpoolReader, SpoolWriter
from core.spool.committed_positions import read_positions
from streams.record import make_record
from streams.reddit.listing_page import parse_page
from streams.sinks.kafka.producer import combine_settings
from tests.support.brokers import ApacheKafka, Broker, TansuBroker
from tests.support.kafka_jars import KafkaUnavailableError
from tests.support.system import System
from tests.support.waiting import wait_until

#: By payload: about the same number of bytes.
_RECORDS = {"full": 75_000, "record": 200_000}
#: By broker and delivery mode, the least share of the bare loop's rate.
_AIMS = {
    ("Tansu", "at_least_once"): 0.6,
    ("Apache Kafka", "at_least_once"): 0.8,
    ("Apache Kafka", "exactly_once"): 0.6,
}
_ROUNDS = 2  # the best round counts: other load only slows it


def measure() -> list[Figure]:
    figures = []
    with tempfile.TemporaryDirectory(prefix="gapless-bench-") as directory:
        for payload in ("full", "record"):
            records = _records(payload)
            size = sum(len(one.value) for one in records) / len(records)
            figures.append(Figure(f"payload {payload}: a record's value", size, "bytes"))
            for make in (TansuBroker, ApacheKafka):
                figures += _on(make, Path(directory) / payload, records, size)
    return figures


def _on(make: type[TansuBroker | ApacheKafka], directory: Path, records: list[Record], size: float) -> list[Figure]:
    directory.mkdir(exist_ok=True)
    try:
        broker = make(directory)
    except KafkaUnavailableError as missing:
        print(f"(no Apache Kafka: {missing})")
        return []
    broker.start()
    try:
        bare = max(_bare(broker, f"bare-{number}", records) for number in range(_ROUNDS))
        figures = [Figure(f"{broker.name}: baseline, bare produce loop, same bytes and settings", bare, "records/s")]
        for delivery in ("at_least_once", "exactly_once"):
            ours = max(_drain(directory, broker, delivery, number, records) for number in range(_ROUNDS))
            aim, ratio = _AIMS.get((broker.name, delivery)), f"{broker.name}: ratio, {delivery}"
            figures.append(Figure(f"{broker.name}: publisher, {delivery}", ours, "records/s"))
            figures.append(Figure(f"{broker.name}: the same, values of the records", ours * size / 1e6, "MB/s"))
            figures.append(
                Figure(ratio, ours / bare, digits=2) if aim is None else at_least(ratio, ours / bare, aim, digits=2)
            )
        return figures
    finally:
        broker.stop()


def _records(payload: str) -> list[Record]:
    items = [item for body in comment_pages(20) for item in parse_page(json.loads(body), "comments").items]
    values = [make_record(item, "comments", 0.0, full=payload == "full") for item in items]
    return [
        Record(b"t1_%07x" % number, values[number % len(values)].value, values[0].schema)
        for number in range(_RECORDS[payload])
    ]


def _bare(broker: Broker, topic: str, records: list[Record]) -> float:
    """Measure the fastest rate of this machine, client and broker: rows in memory, one flush at the end."""
    create_topic(broker.bootstrap_servers, topic)
    producer = Producer(combine_settings(broker.bootstrap_servers, topic, {}).producer | {"log_level": 0})
    producer.list_topics(topic, timeout=10)
    headers: list[tuple[str, str | bytes | None]] = [
        ("schema", "reddit.comment.v1"),
        ("stream", "comments"),
        ("seq", "1"),
    ]
    began = time.perf_counter()
    for record in records:
        while True:
            try:
                producer.produce(topic, record.value, record.key, headers=headers)
            except BufferError:
                producer.poll(0.05)
            else:
                break
    producer.flush()
    return len(records) / (time.perf_counter() - began)


def _drain(directory: Path, broker: Broker, delivery: str, number: int, records: list[Record]) -> float:
    """Measure the publisher on a full spool, from its first step to its last."""
    topic = f"drain-{delivery}-{number}"
    create_topic(broker.bootstrap_servers, topic)
    system = System(
        directory / f"{broker.name}-{topic}",
        reddit={"subreddits": ["Bitcoin"]},
        streams={"submissions": False, "comments": False},
        kafka={"bootstrap_servers": broker.bootstrap_servers, "topic": topic, "delivery": delivery},
    )
    with SpoolWriter(system.state_dir, "comments") as writer:
        for chunk in in_chunks(records, 5_000):
            writer.commit(Batch(records=chunk))
    reader = SpoolReader.open(system.state_dir, "comments")
    assert reader is not None
    spool_id = reader.spool_id
    reader.close()

    def position() -> int:
        return read_positions(system.state_dir).get(spool_id, 0)

    system.start()
    try:
        wait_until(position, 30.0, "the publisher's first step")
        began, first = time.perf_counter(), position()
        wait_until(lambda: position() >= len(records), 120.0, "the publisher's last step")
        return (len(records) - first) / (time.perf_counter() - began)
    finally:
        system.destroy()
