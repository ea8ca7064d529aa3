"""The publisher as a real process on real spools and a real broker; the test plays the streams and the supervisor."""

import itertools
import json
import os
import signal
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType, TracebackType
from typing import Any, Self

from core.config import Config, KafkaSection, SupervisorSection
from core.config.kafka_properties import Property
from core.config.sections import TopicsSection
from core.config.slices import log_config, publisher_config
from core.spool.committed_positions import read_positions, read_publisher_counters
from supervisor.processes.child_spec import ChildSpec, Stage
from supervisor.processes.spawned_process import SpawnedProcess
from tests.streams.publisher.spools import FilledSpool
from tests.support.brokers import Broker
from tests.support.topic import Record, read_topic
from tests.support.waiting import PATIENCE, wait_until, whole_lines

_names = itertools.count(1)


def new_topic() -> str:
    """A topic that no test used before: brokers live longer than tests."""
    return f"posts-{os.getpid()}-{next(_names)}"


class Deployment:
    """One state directory, its spools, and the publisher that runs on them, any number of times."""

    def __init__(
        self,
        directory: Path,
        broker: Broker,
        *,
        delivery: str = "at_least_once",
        topics: Mapping[str, str] = MappingProxyType({}),
        **producer: Property,
    ) -> None:
        """`topics`: for each kind the ending of its topic's name."""
        self.broker = broker
        self.topic = new_topic()
        self.state_dir = directory / "state"
        self.log_dir = directory / "logs"
        properties = {name.replace("_", "."): value for name, value in producer.items()}
        self.config = Config(
            kafka=KafkaSection(
                bootstrap_servers=broker.bootstrap_servers,
                topic=self.topic,
                delivery=delivery,
                topics=TopicsSection(**{kind: f"{self.topic}{ending}" for kind, ending in topics.items()}),
                producer={"compression.type": "gzip", **properties},
            ),
            supervisor=SupervisorSection(state_dir=self.state_dir, log_dir=self.log_dir),
        )
        self.comments = FilledSpool(self.state_dir, "comments")
        self.submissions = FilledSpool(self.state_dir, "submissions")
        self._born: list[SpawnedProcess] = []

    # -- the process

    def start(self) -> SpawnedProcess:
        """Start a publisher; a second one beside it if there is one."""
        spec = ChildSpec(
            "publisher",
            "streams.publisher.publisher_process:run",
            (publisher_config(self.config),),
            Stage.SINK,
            listens=True,
        )
        self._born.append(SpawnedProcess(spec, log_config(self.config), self.config.all_secrets()))
        return self._born[-1]

    @property
    def publisher(self) -> SpawnedProcess:
        return self._born[-1]

    def kill(self) -> None:
        os.kill(self.publisher.pid, signal.SIGKILL)
        self.ended()

    def stop(self, drain: float = 20.0) -> tuple[int, float]:
        """Ask it to stop; return its exit code and how long it took."""
        began = time.monotonic()
        self.publisher.request_stop(began + drain)
        return self.ended(drain + PATIENCE), time.monotonic() - began

    def ended(self, timeout: float = PATIENCE) -> int:
        wait_until(lambda: self.publisher.exit_code() is not None, timeout, "the publisher to end")
        code = self.publisher.exit_code()
        assert code is not None
        return code

    # -- what can be seen of it

    def tell(self) -> None:
        """Let it know that there is something new, as the supervisor does."""
        self.publisher.send(("news", "comments", 0))

    def backlog(self) -> int:
        positions = read_positions(self.state_dir)
        return sum(spool.writer.last_seq() - positions.get(spool.writer.spool_id, 0) for spool in self.spools)

    def position(self, spool_id: str) -> int:
        """Return up to where this spool is delivered."""
        return read_positions(self.state_dir).get(spool_id, 0)

    def wait_delivered(self, timeout: float = PATIENCE) -> None:
        wait_until(lambda: self.backlog() == 0, timeout, "the position to reach the end of the spools")

    def counters(self) -> dict[str, int]:
        return read_publisher_counters(self.state_dir)

    def log(self) -> list[dict[str, Any]]:
        path = self.log_dir / "publisher.log"
        return [json.loads(line) for line in whole_lines(path)]

    def said(self, event: str) -> list[dict[str, Any]]:
        """The log lines of this event."""
        return [line for line in self.log() if line["event"] == event]

    def wait_said(self, event: str, timeout: float = PATIENCE) -> dict[str, Any]:
        return wait_until(lambda: self.said(event), timeout, f"the log to say {event!r}")[0]

    def records(self, ending: str = "") -> list[Record]:
        """Read the topic, or another one whose name has this ending."""
        return read_topic(self.broker.bootstrap_servers, f"{self.topic}{ending}")

    @property
    def spools(self) -> tuple[FilledSpool, FilledSpool]:
        return self.comments, self.submissions

    def prove(self, *, repeats: bool = False, without: tuple[str, ...] = ()) -> list[Record]:
        """Fail unless the topic holds every captured record in its order, once (or with `repeats`: at least once)."""
        records = self.records()
        counts = Counter(record.key for record in records)
        expected = {key for spool in self.spools for key in spool.keys} - set(without)
        assert set(counts) == expected, f"missing: {sorted(expected - set(counts))[:5]}, {len(records)} there"
        if not repeats:
            assert counts.total() == len(counts), [key for key, count in counts.items() if count > 1][:5]
        self._assert_order(records)
        return records

    def _assert_order(self, records: list[Record]) -> None:
        seen: set[str] = set()
        last: dict[tuple[int, str], int] = {}
        for record in sorted(records, key=lambda record: record.offset):
            if record.key not in seen:
                seen.add(record.key)
                place = (record.partition, record.stream)
                assert record.seq > last.get(place, 0), f"{record.key} came out of order"
                last[place] = record.seq

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if error is not None:  # pytest shows it with the failure
            print(*self.log()[-60:], sep="\n")
        for process in self._born:
            if process.exit_code() is None:
                process.kill()
                wait_until(lambda process=process: process.exit_code() is not None, what="the publisher to be gone")  # type: ignore[misc]
            process.close()
        for spool in self.spools:
            spool.close()
