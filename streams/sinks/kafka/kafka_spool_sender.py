"""The sender of one source to Kafka: where its rows go, their delivery reports, and records that are refused."""

from collections import Counter
from collections.abc import Callable, Sequence
from functools import partial
from itertools import takewhile

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from core.spool import Row
from streams.sinks.kafka.copies import Copies, Failure, Headers
from streams.sinks.kafka.destinations import Destinations, Route
from streams.sinks.kafka.kafka_errors import ErrorClass, cause, classify
from streams.sinks.kafka.reduced_records import DROPPED, ReducedRecords
from streams.sinks.kafka.routing import NoSending, Routing
from streams.sinks.kafka.row_routes import ONLY_A_STATE, RowRoutes
from streams.sinks.spool_senders import SpoolSender
from streams.sources.base import PlainRow, Source

#: A record that does not fit an empty queue never will.
_TOO_LARGE = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE, "larger than queue.buffering.max.kbytes of the producer")

Report = Callable[[int, KafkaError | None, Message], None]


class KafkaSpoolSender(SpoolSender):
    """Sends records in order; none waits for the report of another.

    The exception is an *isolated* record: one that a broker refused together with others of its batch. It is sent
    again, alone, so that the answer is only about this record.
    """

    def __init__(
        self, source: Source, position: int, destinations: Destinations, routing: Routing | None = None
    ) -> None:
        super().__init__(source, position)
        self._routes = RowRoutes(self, destinations, routing, foreign=source.renumbers)
        #: the isolated record whose report is awaited
        self.alone: Row | None = None
        #: records that the producer itself refused, with its reason
        self.refused: list[tuple[Row, KafkaError, str]] = []
        #: the bytes of all values that were ever sent
        self.sent_bytes = 0
        #: records that Kafka refused for their size, and that are sent without `reddit`
        self.reduced = ReducedRecords()
        self._isolated: set[int] = set()
        self._stream_header = ("stream", self.stream)
        #: whether its records belong to other streams: a resent dead letter is the same as originally
        self._foreign = source.renumbers
        self._copies = Copies()
        self._reset_reports()

    def _reset_reports(self) -> None:
        """Collect reports in new lists: those of a discarded producer go to the old ones, unread."""
        self._acknowledged: list[int] = []
        self._failed: list[Failure] = []
        self._report = _reporter(self._acknowledged, self._failed)
        self._copies.reset(self._failed)

    @property
    def owes(self) -> bool:
        """Whether the last row that was sent still lacks its second copy."""
        return self._copies.owed

    @property
    def at_isolated(self) -> bool:
        """Whether an isolated record is next, or in flight alone."""
        return self.alone is not None or bool(self._rows and self._rows[0][0] in self._isolated)

    def topics(self) -> tuple[str, ...]:
        """Return the topics that its rows go to."""
        return self._routes.topics()

    def pending(self) -> bool:
        """Return whether there is something to send now."""
        if self.owes:
            return True
        if not super().pending():
            return False
        self._routes.read(self._rows)
        routing, row = self._routes.routing, self._rows[0]
        return routing is None or routing.place(self.origin(row[0])[0], row) is not NoSending.WAIT

    def send_batch(self, producer: Producer) -> int:
        """Send at most one batch, up to the first isolated record; return the number of records."""
        if not self.complete(producer):
            return 0
        self.pending()
        rows = self._rows
        if self._isolated:
            rows = list(takewhile(lambda row: row[0] not in self._isolated, rows))
        count = self._send(producer, rows)
        self._drop_sent(count)
        return count

    def send_alone(self, producer: Producer) -> int:
        """Send the isolated record that is next; the caller ensures that nothing else is in flight."""
        if self.alone is not None or not self._rows:
            return 0
        record = Row._make(self._rows[0])
        if not self._send(producer, [record]):
            return 0
        self._drop_sent(1)
        if record.seq not in self.window.arrived:
            self.alone = record
        return 1

    def _send(self, producer: Producer, rows: Sequence[PlainRow]) -> int:
        """Send these records as far as possible; return the number. The loop does as little as possible per record."""
        produce, report, stream = producer.produce, self._report, self._stream_header
        arrived, foreign, routes = self.window.arrived, self._foreign, self._routes
        reduced = self.reduced.records
        headers: Headers
        sent: list[int] = []
        varied, route, size = routes.varied, Route(routes.topic), 0
        topic, partition, copy, _ = route
        for row in rows:
            seq, key, value, schema = row
            if varied:
                found = None if self.owes else routes.route(row)
                if found is None:
                    break
                topic, partition, copy, _ = route = found
            if seq not in arrived:  # it may have arrived before, when another record failed
                headers = self._foreign_headers(row) if foreign else [("schema", schema), stream, ("seq", str(seq))]
                if seq in reduced:
                    value, headers = reduced[seq].value, [*headers, DROPPED]
                try:
                    if copy:
                        self._copies.send(producer, (seq, key, value, schema), route, headers)
                    else:
                        # no record is empty: an empty row is a tombstone
                        produce(topic, value or None, key, partition, partial(report, seq), None, 0, headers)
                except (BufferError, KafkaException) as exception:
                    if not self._settle_refused(producer, row, route, headers, exception):
                        break
            if varied and seq not in self.window.dead:
                routes.note(row, route)
            sent.append(seq)
            size += len(value) * (1 + bool(copy))
        self.window.record_batch(sent)
        self.sent_bytes += size
        return len(sent)

    def complete(self, producer: Producer) -> bool:
        """Send the copy that the last row lacks; return whether none is left."""
        try:
            row, topic = self._copies.send_owed(producer) or (None, "")
        except KafkaException as exception:
            self._failed.append((self.window.sent, cause(exception), ""))
            return False
        if row is not None:
            self.refused.append((Row._make(row), _TOO_LARGE, topic))
            self._settle_dead(row[0])
        return not self.owes

    def _foreign_headers(self, row: PlainRow) -> Headers:
        stream, number = self.origin(row[0])
        return [("schema", row[3]), ("stream", stream), ("seq", str(number))]

    def _settle_refused(
        self,
        producer: Producer,
        row: PlainRow,
        route: Route,
        headers: Headers,
        exception: BufferError | KafkaException,
    ) -> bool:
        """Settle a record that the producer itself refuses permanently; return whether it does.

        It is given to the producer without `reddit`, and is a dead letter if it is refused again. Otherwise the record
        is sent later.
        """
        seq, alone = row[0], not len(producer)
        topic = self._copies.lacking(seq, route.topics)[0] if route.copy else ""
        error = self._refusal(seq, exception, topic, alone=alone)
        if error is None:
            return False
        reduced = self.reduced.add(row, self.origin(seq)[0])
        if reduced is not None:
            try:
                self._give(producer, (seq, row[1], reduced.value, row[3]), route, [*headers, DROPPED])
            except (BufferError, KafkaException) as again:
                error = self._refusal(seq, again, topic, alone=alone)
                if error is None:
                    return False
            else:
                return True
        self.refused.append((Row._make(row), error, topic))
        self._settle_dead(seq)
        return True

    def _give(self, producer: Producer, row: PlainRow, route: Route, headers: Headers) -> None:
        """Give the producer a record that it refused with another value."""
        if route.copy:
            self._copies.send(producer, row, route, headers)
        else:
            seq, key, value, _ = row
            report = partial(self._report, seq)
            producer.produce(route.topic, value or None, key, route.partition, report, None, 0, headers)

    def _refusal(
        self, seq: int, exception: BufferError | KafkaException, topic: str, *, alone: bool
    ) -> KafkaError | None:
        """Return the permanent error of a record that the producer did not take; None: it is sent later.

        `topic`: of a row with two; `alone`: nothing else is in flight.
        """
        if isinstance(exception, BufferError):
            return _TOO_LARGE if alone else None
        error = cause(exception)
        if classify(error) is ErrorClass.REFUSED:
            return error
        self._failed.append((seq, error, topic))
        return None

    def _settle_dead(self, seq: int) -> None:
        """Settle a record that is a dead letter; a report about its other topic no longer counts."""
        self.reduced.discard(seq)
        self.window.dead_letter(seq)
        self._copies.settle(seq)
        self._routes.refuse(seq)

    def take_refused(self) -> list[tuple[Row, KafkaError, str]]:
        """Remove and return the records that are refused without having been sent."""
        obsolete = [(Row._make(row), ONLY_A_STATE, "") for row in self._routes.take_obsolete()]
        refused, self.refused = [*self.refused, *obsolete], []
        return refused

    def collect(self) -> int:
        """Process the reports of success that arrived; return the number of rows that have arrived."""
        self._acknowledged += self._copies.collect()
        arrived = len(self._acknowledged)
        if arrived:
            self.window.acknowledge(self._acknowledged)
            self._isolated.difference_update(self._acknowledged)
            self._acknowledged.clear()
            if self.alone is not None and self.alone.seq in self.window.arrived:
                self.alone = None
        return arrived

    def acknowledge(self) -> None:
        """Record that everything in flight has arrived."""
        super().acknowledge()
        self._isolated.difference_update(self.window.on_way)
        self._copies.clear()
        self.alone = None

    def passed_states(self) -> Counter[str]:
        """Return the rows for `latest` that the position has passed since the last call, by kind."""
        return self._routes.passed()

    def committed(self, after: int, until: int) -> Counter[str] | None:
        """Count the rows of a range that was found committed; None: all of them are records."""
        self._copies.clear()
        return self._routes.committed(after, until)

    @property
    def has_failures(self) -> bool:
        """Whether reports of failure arrived that `failures` has not returned."""
        return bool(self._failed)

    def failures(self) -> list[Failure]:
        """Remove and return the reports of failure that arrived."""
        failed = self._failed.copy()
        self._failed.clear()
        return failed

    def isolate(self, seq: int) -> Row | None:
        """Record that a broker refused this record.

        Return it if it was sent alone, which makes the cause certain, and without `reddit` if it has one.
        """
        if seq in self.window.arrived or seq <= self.window.position:
            return None  # a dead letter: the other topic of a row refuses it too
        if self.alone is not None and self.alone.seq == seq:
            row, self.alone = self.alone, None
            if self.reduced.add(row, self.origin(seq)[0]) is not None:
                return None  # it stays isolated
            self._isolated.discard(seq)
            self._settle_dead(seq)
            return row
        self._isolated.add(seq)
        return None

    def send_alone_next(self, seq: int) -> bool:
        """Send this record alone next, so that the answer is about it; return whether it just was."""
        self._isolated.add(seq)
        return self.alone is not None and self.alone.seq == seq

    def rewind(self) -> None:
        """Resend, from the position on, what has not arrived; reports of earlier sends no longer count."""
        self._reset_reports()
        self.alone = None
        if self._routes.routing is not None:
            self._routes.routing.rewound(self.name)
        super().rewind()


def _reporter(acknowledged: list[int], failed: list[Failure]) -> Report:
    """Return the delivery report callback: called once per record, so it does almost nothing."""
    arrived = acknowledged.append

    def report(seq: int, error: KafkaError | None, _message: Message) -> None:
        if error is None:
            arrived(seq)
        else:
            failed.append((seq, error, ""))

    return report
