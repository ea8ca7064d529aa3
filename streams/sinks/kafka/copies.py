"""Sends rows to two topics: such a row has arrived when both topics have it."""

from collections.abc import Callable, Iterable, Sequence
from functools import partial

from confluent_kafka import KafkaError, Message, Producer

from streams.sinks.kafka.destinations import Route
from streams.sources.base import PlainRow

Headers = list[tuple[str, str | bytes | None]]
#: A failed record: its seq, the error, and the topic where the row has two.
Failure = tuple[int, KafkaError, str]


class Copies:
    """For each row in flight, the topics that the producer was given it for, and those that acknowledged it."""

    def __init__(self) -> None:
        self._given: dict[int, set[str]] = {}
        self._arrived: dict[int, set[str]] = {}
        #: a row whose second copy had no room in the producer's queue
        self._owed: tuple[PlainRow, Route, Headers] | None = None
        self._reports: list[tuple[int, str]] = []
        self._report: Callable[[int, str, KafkaError | None, Message], None] = self._reporter([])

    def _reporter(self, failed: list[Failure]) -> Callable[[int, str, KafkaError | None, Message], None]:
        """Return the delivery report callback of a copy."""
        reports = self._reports

        def report(seq: int, topic: str, error: KafkaError | None, _message: Message) -> None:
            if error is None:
                reports.append((seq, topic))
            else:
                failed.append((seq, error, topic))

        return report

    def reset(self, failed: list[Failure]) -> None:
        """Send again what has no acknowledgement; failures go to this list, reports of earlier sends nowhere."""
        self._reports = []
        self._report = self._reporter(failed)
        self._given = {seq: set(topics) for seq, topics in self._arrived.items()}
        self._owed = None

    @property
    def owed(self) -> bool:
        """Whether a row still lacks its second copy."""
        return self._owed is not None

    def send(self, producer: Producer, row: PlainRow, route: Route, headers: Headers) -> None:
        """Give the producer a row for each topic that lacks it. If only the second copy does not fit, it is owed.

        Raises BufferError or KafkaException.
        """
        seq, key, value, _ = row
        for topic in self.lacking(seq, route.topics):
            try:
                producer.produce(topic, value, key, -1, partial(self._report, seq, topic), None, 0, headers)
            except BufferError:
                if not self._given.get(seq):
                    raise
                self._owed = (row, route, headers)
                return
            self._given.setdefault(seq, set()).add(topic)

    def lacking(self, seq: int, topics: Iterable[str]) -> list[str]:
        """Return those of the topics that the producer does not have the row for."""
        given = self._given.get(seq, ())
        return [topic for topic in topics if topic not in given]

    def send_owed(self, producer: Producer) -> tuple[PlainRow, str] | None:
        """Send the copy that is owed; return the row, and its topic, if it does not fit an empty queue.

        Raises KafkaException.
        """
        if self._owed is None:
            return None
        (row, route, headers), self._owed = self._owed, None
        self.send(producer, row, route, headers)
        if self._owed is None or len(producer):
            return None
        self._owed = None
        return row, route.copy

    def collect(self) -> Sequence[int]:
        """Process the reports of success; return the rows that both topics have now."""
        complete: list[int] = []
        for seq, topic in self._reports:
            if seq not in self._given:
                continue  # a dead letter: the other topic refused it
            arrived = self._arrived.setdefault(seq, set())
            arrived.add(topic)
            if len(arrived) == 2:
                complete.append(seq)
                self.settle(seq)
        self._reports.clear()
        return complete

    def settle(self, seq: int) -> None:
        """Forget a row: it has arrived, or it is a dead letter."""
        self._given.pop(seq, None)
        self._arrived.pop(seq, None)

    def clear(self) -> None:
        """Forget all rows: their transaction is committed, or found committed."""
        self._given.clear()
        self._arrived.clear()
