"""The senders to Kafka: sending, delivery reports, and records that Kafka refuses permanently."""

# ruff: noqa: SLF001  librdkafka's own error codes are spelled with an underscore; they are public

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from functools import partial
from itertools import takewhile
from pathlib import Path

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from core.process import program
from core.spool import Row
from core.spool.spool_state import SpoolState
from streams.positions.dead_letters import DeadLetter
from streams.positions.position_writer import PositionWriter
from streams.positions.publisher_store import KAFKA
from streams.sinks.kafka.committed_position import CommittedPosition
from streams.sinks.kafka.copies import Copies, Failure, Headers
from streams.sinks.kafka.destinations import Destinations, Route
from streams.sinks.kafka.kafka_errors import VAGUE, ErrorClass, cause, classify, error_text
from streams.sinks.kafka.kafka_health import KafkaHealth
from streams.sinks.kafka.routing import NoSending, Routing
from streams.sinks.kafka.row_routes import ONLY_A_STATE, RowRoutes
from streams.sinks.spool_senders import SpoolSender, SpoolSenders
from streams.sources.base import Opener, PlainRow, Source, spools_and_resends

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
        headers: Headers
        sent: list[int] = []
        varied, route, size = routes.varied, Route(routes.topic), 0
        topic, partition, copy, _ = route
        for row in rows:
            seq, key, value, schema = row
            if varied:
                found = routes.route(row)
                if found is None:
                    break
                topic, partition, copy, _ = route = found
            if seq not in arrived:  # it may have arrived before, when another record failed
                headers = self._foreign_headers(row) if foreign else [("schema", schema), stream, ("seq", str(seq))]
                try:
                    if copy:
                        self._copies.send(producer, row, route, headers)
                    else:
                        # no record is empty: an empty row is a tombstone
                        produce(topic, value or None, key, partition, partial(report, seq), None, 0, headers)
                except (BufferError, KafkaException) as exception:
                    lacking = self._copies.lacking(seq, route.topics)[0] if copy else ""
                    if not self._settle_refused(row, exception, topic=lacking, alone=not len(producer)):
                        break
            if varied and seq not in self.window.dead:
                routes.note(row, route)
            sent.append(seq)
            size += 2 * len(value) if copy else len(value)
            if copy and self.owes:
                break
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
            self._settle_refused(row, BufferError(), topic=topic, alone=True)
        return not self.owes

    def _foreign_headers(self, row: PlainRow) -> Headers:
        stream, number = self.origin(row[0])
        return [("schema", row[3]), ("stream", stream), ("seq", str(number))]

    def _settle_refused(
        self, row: PlainRow, exception: BufferError | KafkaException, *, topic: str = "", alone: bool
    ) -> bool:
        """Settle a record that the producer itself refuses permanently; return whether it does.

        Otherwise the record is sent later. `topic`: of a row with two; `alone`: nothing else is in flight.
        """
        if isinstance(exception, BufferError):
            if not alone:
                return False
            error = _TOO_LARGE
        else:
            error = cause(exception)
            if classify(error) is not ErrorClass.REFUSED:
                self._failed.append((row[0], error, topic))
                return False
        self.refused.append((Row._make(row), error, topic))
        self._settle_dead(row[0])
        return True

    def _settle_dead(self, seq: int) -> None:
        """Record that a row is a dead letter; a report about its other topic no longer counts."""
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
        """Record that a broker refused this record; return it if it was sent alone, which makes the cause certain."""
        if seq in self.window.arrived or seq <= self.window.position:
            return None  # a dead letter: the other topic of a row refuses it too
        if self.alone is not None and self.alone.seq == seq:
            row, self.alone = self.alone, None
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


class KafkaSpoolSenders(SpoolSenders[KafkaSpoolSender]):
    """The senders of all sources to Kafka, and the handling of records that fail."""

    def __init__(
        self,
        *,
        state_dir: Path,
        writer: PositionWriter,
        log: structlog.stdlib.BoundLogger,
        clock: Callable[[], float],
        health: KafkaHealth,
        message_max_bytes: int,
        destinations: Destinations,
        openers: Callable[[Path], Mapping[str, Opener]] = spools_and_resends,
        routing: Routing | None = None,
    ) -> None:
        super().__init__(
            KAFKA,
            partial(KafkaSpoolSender, destinations=destinations, routing=routing),
            state_dir=state_dir,
            writer=writer,
            log=log,
            clock=clock,
            openers=openers,
            surveys=routing is None,
        )
        self._routing = routing
        self._health = health
        self._message_max_bytes = message_max_bytes
        #: the topics that do not exist: what goes there waits
        self.absent: frozenset[str] = frozenset()

    def topic_groups(self) -> list[tuple[str, ...]]:
        """Return for each sender the topics that its rows go to."""
        return [topics for sender in self if (topics := sender.topics())]

    @property
    def ready(self) -> list[KafkaSpoolSender]:
        """The senders that are allowed to send."""
        ready = super().ready
        return ready if not self.absent else [one for one in ready if self.absent.isdisjoint(one.topics())]

    def can_deliver(self) -> bool:
        """Return whether something that waits goes to topics that exist."""
        return any(self._guarded(sender, sender.waiting, default=0) for sender in self.ready)

    def _delivered(self, sender: KafkaSpoolSender, state: SpoolState) -> None:
        super()._delivered(sender, state)
        if self._routing is not None:
            self._routing.delivered(sender.stream, state)

    def send_batch(self, producer: Producer) -> int:
        """Send a batch from each source; return the number of records.

        An isolated record waits until nothing is in flight.
        """
        count = 0
        if self._at_isolated() is None:
            count = sum(self._send_from(sender, partial(sender.send_batch, producer)) for sender in self.ready)
        held = self._at_isolated()
        if held is not None and self.complete(producer) and not len(producer):
            count += self._send_from(held, partial(held.send_alone, producer))
        return count

    def complete(self, producer: Producer) -> bool:
        """Send the copies that rows owe, which had no room; return whether there was none."""
        owing = [sender for sender in self if sender.owes]
        for sender in owing:
            self._send_from(sender, partial(sender.complete, producer))
        return not owing

    def _at_isolated(self) -> KafkaSpoolSender | None:
        """Return a sender with an isolated record in flight, or one that has it next."""
        in_flight = next((sender for sender in self if sender.alone is not None), None)
        return in_flight or next((sender for sender in self.ready if sender.at_isolated), None)

    @property
    def may_add(self) -> bool:
        """Whether more can be sent at once: no record failed, and none must be sent alone."""
        return self._at_isolated() is None and not any(sender.has_failures or sender.owes for sender in self)

    @property
    def sent_bytes(self) -> int:
        """The bytes of all values that were ever sent."""
        return sum(sender.sent_bytes for sender in self)

    def _send_from(self, sender: KafkaSpoolSender, send_batch: Callable[[], int]) -> int:
        count = self._guarded(sender, send_batch, default=0)
        for row, refusal, topic in sender.take_refused():
            self._dead_letter(sender, row, refusal, topic)
        return count

    def _dead_letter(self, sender: KafkaSpoolSender, row: Row, error: KafkaError, topic: str) -> None:
        """Store a record that Kafka refuses permanently as a dead letter, and log it; `topic`: of a row with two."""
        reason = f"{error.name()}: {error_text(error)}"
        if topic:
            reason = f"the topic {topic}: {reason}"
        stream, seq = sender.origin(row.seq)
        self._log.error(
            "dead_letter",
            stream=stream,
            seq=seq,
            key=row.key.decode(errors="replace"),
            size=len(row.value),
            limit=self._message_max_bytes,
            reason=reason,
            hint=f"Kafka refuses this record; it is stored, `{program.command()} dead-letters CONFIG` lists it",
        )
        self._writer.count_errors(1)
        self._writer.dead_letter(
            DeadLetter(sender.stream, sender.source_id, row.seq, row.key, row.value, row.schema, reason=reason)
        )

    def _advance(self, sender: KafkaSpoolSender) -> None:
        super()._advance(sender)
        for kind, number in sender.passed_states().items():
            self._writer.count(f"latest_{kind}", number)
            if kind == "unsent":
                hint = "kafka.topics.latest is empty: newest states of items are not sent"
                self._log.info("states_not_sent", stream=sender.stream, count=number, hint=hint)

    def collect(self) -> int:
        """Process the reports of success and advance the positions; return the number of reports."""
        arrived = 0
        for sender in (*self, *self._retired):
            arrived += sender.collect()
            self._advance(sender)
            if self._routing is not None:
                self._routing.arrived(sender.name, sender.window.position)
        self._retired = [sender for sender in self._retired if not sender.window.settled]
        return arrived

    def classify_failures(self) -> set[ErrorClass]:
        """Process the reports of failure: count them, log them, and return their class."""
        classes: set[ErrorClass] = set()
        for sender in (*self, *self._retired):
            failures = sender.failures()
            held = [failure for failure in failures if classify(failure[1]) is ErrorClass.HOLD]
            if held:
                classes.add(ErrorClass.HOLD)
                self._hold(sender, held)
            others = [failure for failure in failures if classify(failure[1]) is not ErrorClass.HOLD]
            classes |= {self._classify(sender, *failure) for failure in others}
        return classes

    def _hold(self, sender: KafkaSpoolSender, failures: list[Failure]) -> None:
        """Send the first of these records alone to test whether Kafka accepts records; report a certain cause.

        One record and not all: what waits may be large, and would be refused as a whole repeatedly.
        """
        self._writer.count_errors(len(failures))
        seq, error, topic = min(failures, key=lambda failure: failure[0])
        if sender.send_alone_next(seq) or error.code() not in VAGUE:
            self._health.hold(error, self.clock_offset(), topic=topic or next(iter(sender.topics()), None))

    def _classify(self, sender: KafkaSpoolSender, seq: int, error: KafkaError, topic: str) -> ErrorClass:
        """Handle one failed record: refused alone it is a dead letter, refused with others it is isolated."""
        error_class = classify(error)
        row = sender.isolate(seq) if error_class is ErrorClass.REFUSED else None
        if row is not None:
            self._dead_letter(sender, row, error, topic)
        elif error.code() != KafkaError._PURGE_QUEUE:  # this failure only follows from another record's failure
            self._writer.count_errors(1)
            self._health.log_error(
                "record_not_delivered", error, stream=sender.stream, seq=seq, hint="it is sent again"
            )
        return error_class

    def adopt(self, committed: Mapping[str, CommittedPosition]) -> None:
        """Continue after the positions that Kafka holds, where they are ahead of the local file."""
        for sender in self:
            found = committed.get(sender.source_id)
            if found is not None and found.seq > sender.window.position:
                self._guarded(sender, partial(self._adopt, sender, found), default=None)
        self.begin()

    def begin(self) -> None:
        """Record that each source is sent from its position on: dead letters beyond it are classified again."""
        for sender in self:
            if sender.fresh:
                sender.fresh = False
                self._writer.withdraw(sender.source_id, sender.window.position)

    def _adopt(self, sender: KafkaSpoolSender, found: CommittedPosition) -> None:
        before = sender.window.position
        if not sender.holds(found.seq, found.key):
            self._log.error(
                "spool_not_of_kafka",
                stream=sender.stream,
                position=before,
                committed=found.seq,
                hint="the records in Kafka came from another spool (was a copy restored?): delivery continues after the"
                " position in publisher.db; records may be repeated",
            )
            return
        passed = sender.waiting()
        sender.move(found.seq)
        dead = self._writer.dead_letters_between(sender.source_id, before, found.seq)
        counts = sender.committed(before, found.seq)
        arrived = passed - sender.waiting() if counts is None else counts.pop("published")
        self._writer.move(sender.stream, sender.source_id, found.seq, max(0, arrived - dead))
        for kind, number in (counts or {}).items():
            self._writer.count(f"latest_{kind}", number)
        self._log.info("committed_position_adopted", stream=sender.stream, seq=found.seq, ahead_by=passed)
