"""Follows a topic as an application does that reads committed records only: when records arrive, and what holds them.

A reader of committed records is *blocked* while a partition holds records that it may not read yet: those of an open
transaction, and all after it. So a second thread compares the end of each partition with the last stable offset.
"""

import threading
import time
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from itertools import pairwise
from typing import cast

from confluent_kafka import OFFSET_BEGINNING, Consumer, IsolationLevel, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient, OffsetSpec  # type: ignore[attr-defined]
from confluent_kafka.cimpl import NewTopic

from tests.support.topic import Record, record_of

_LOOK_S = 0.25
_LATEST = OffsetSpec.latest()  # type: ignore[no-untyped-call]
_PATIENCE = 10.0


@dataclass(frozen=True, slots=True)
class Arrival:
    """One record, and when the reader got it (epoch seconds)."""

    at: float
    record: Record


@dataclass(slots=True)
class BlockedTime:
    """How long a partition held records back: from the first look that found some until its stable end moved. Pure."""

    longest: float = 0.0
    _since: dict[int, float] = field(default_factory=dict)
    _stable: dict[int, int] = field(default_factory=dict)

    def look(self, partition: int, end: int, stable: int, now: float) -> None:
        """Take one look: `end` after the last record, `stable` after the last one that may be read."""
        if stable >= end or stable != self._stable.get(partition):
            self._since.pop(partition, None)
        if stable < end:
            self.longest = max(self.longest, now - self._since.setdefault(partition, now))
        self._stable[partition] = stable


def longest_pause(moments: Sequence[float]) -> float:
    """Return the longest time between two neighbours of an ascending sequence."""
    return max((after - before for before, after in pairwise(moments)), default=0.0)


def first_records(arrivals: Iterable[Arrival], subreddits: Iterable[str], since: float) -> dict[str, float]:
    """Return, for each of the subreddits that flows, the seconds until its first record that was sent later arrived."""
    wanted = {name.lower() for name in subreddits}
    times: dict[str, float] = {}
    for one in arrivals:
        name = _subreddit(one.record)
        if name in wanted and one.record.appended_at > since:
            times.setdefault(name, one.at - since)
    return times


def pauses(arrivals: Iterable[Arrival], subreddits: Iterable[str], begin: float, end: float) -> dict[str, float]:
    """Return the longest time without a record of each subreddit between two moments."""
    moments: dict[str, list[float]] = {name.lower(): [begin] for name in subreddits}
    for one in arrivals:
        name = _subreddit(one.record)
        if name in moments and begin < one.at < end:
            moments[name].append(one.at)
    return {name: longest_pause([*found, end]) for name, found in moments.items()}


def _subreddit(record: Record) -> str:
    return str(record.value["subreddit"]).lower()


class Follower:
    """Reads a topic, which it creates, from the beginning, in threads of its own."""

    def __init__(self, bootstrap_servers: str, topic: str, *, partitions: int = 3) -> None:
        self.topic = topic
        self.arrivals: list[Arrival] = []
        self.blocked = BlockedTime()
        self._partitions = range(partitions)
        self._client = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
        self._client.create_topics([NewTopic(topic, partitions, -1)])[topic].result(30)
        settings = {"bootstrap.servers": bootstrap_servers, "group.id": "follower", "enable.auto.commit": False}
        settings |= {"isolation.level": "read_committed", "fetch.wait.max.ms": 20, "log_level": 0}
        self._consumer = Consumer(settings)
        self._consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in self._partitions])
        self._over = threading.Event()
        self._threads = [threading.Thread(target=work, daemon=True) for work in (self._follow, self._watch)]
        for thread in self._threads:
            thread.start()

    def since(self, moment: float) -> list[Arrival]:
        """Return the arrivals of records that were sent after this moment (epoch seconds)."""
        return [one for one in list(self.arrivals) if one.record.appended_at > moment]

    def pause(self, begin: float, end: float) -> float:
        """Return the longest time without a record between two moments."""
        return longest_pause([begin, *(one.at for one in list(self.arrivals) if begin < one.at < end), end])

    def close(self) -> None:
        """Stop following."""
        self._over.set()
        for thread in self._threads:
            thread.join(_PATIENCE)
        self._consumer.close()

    def _follow(self) -> None:
        while not self._over.is_set():
            for message in self._consumer.consume(500, timeout=0.05):
                error = message.error()
                if error is None:
                    self.arrivals.append(Arrival(time.time(), record_of(message)))
                elif error.fatal():
                    raise KafkaException(error)

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_S):
            stable = self._ends(IsolationLevel.READ_COMMITTED)  # before the end: else a calm one could look blocked
            ends = self._ends(IsolationLevel.READ_UNCOMMITTED)
            for partition in stable.keys() & ends.keys():
                self.blocked.look(partition, ends[partition], stable[partition], time.monotonic())

    def _ends(self, level: IsolationLevel) -> dict[int, int]:
        """Return the end of each partition that answers."""
        wanted = {TopicPartition(self.topic, number): _LATEST for number in self._partitions}
        futures = self._client.list_offsets(wanted, isolation_level=level, request_timeout=2.0)
        found: dict[int, int] = {}
        for place, future in futures.items():
            try:
                found[place.partition] = cast("int", future.result(_PATIENCE).offset)
            except KafkaException:
                continue  # a broker is away: the time goes on
        return found
