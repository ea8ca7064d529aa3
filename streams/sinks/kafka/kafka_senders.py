"""The senders to Kafka: sending, delivery reports, and records that Kafka refuses permanently."""

# ruff: noqa: SLF001  librdkafka's own error codes are spelled with an underscore; they are public

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
from streams.sinks.kafka.kafka_errors import VAGUE, ErrorClass, cause, classify, error_text
from streams.sinks.kafka.kafka_health import KafkaHealth
from streams.sinks.kafka.reduced_records import DROPPED, DroppedPayloads, ReducedRecords
from streams.sinks.kafka.routing import Destination, NoSending, Routing
from streams.sinks.spool_senders import SpoolSender, SpoolSenders
from streams.sources.base import Opener, PlainRow, Source, spools_and_resends

#: A record that does not fit an empty queue never will.
_TOO_LARGE = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE, "larger than queue.buffering.max.kbytes of the producer")

Report = Callable[[int, KafkaError | None, Message], None]
Headers = list[tuple[str, str | bytes | None]]
#: Gives a record with this value and these headers to the producer.
Give = Callable[[bytes, Headers], None]


class KafkaSpoolSender(SpoolSender):
    """Sends records in order; none waits for the report of another.

    The exception is an *isolated* record: one that a broker refused together with others of its batch. It is sent
    again, alone, so that the answer is only about this record.
    """

    def __init__(self, source: Source, position: int, routing: Routing | None = None) -> None:
        super().__init__(source, position)
        self._routing = routing
        #: the isolated record whose report is awaited
        self.alone: Row | None = None
        #: records that the producer itself refused, with its reason
        self.refused: list[tuple[Row, KafkaError]] = []
        #: the bytes of all values that were ever sent
        self.sent_bytes = 0
        #: records that Kafka refused for their size, and that are sent without `reddit`
        self.reduced = ReducedRecords()
        self._isolated: set[int] = set()
        self._stream_header = ("stream", self.stream)
        #: whether its records belong to other streams: a resent dead letter is the same as originally
        self._foreign = source.renumbers
        self._reset_reports()

    def _reset_reports(self) -> None:
        """Collect reports in new lists: those of a discarded producer go to the old ones, unread."""
        self._acknowledged: list[int] = []
        self._failed: list[tuple[int, KafkaError]] = []
        self._report = _reporter(self._acknowledged, self._failed)

    @property
    def at_isolated(self) -> bool:
        """Whether an isolated record is next, or in flight alone."""
        return self.alone is not None or bool(self._rows and self._rows[0][0] in self._isolated)

    def pending(self) -> bool:
        """Return whether there is something to send now."""
        if not super().pending():
            return False
        routing, row = self._routing, self._rows[0]
        return routing is None or routing.place(self.origin(row[0])[0], row) is not NoSending.WAIT

    def send_batch(self, producer: Producer, topic: str) -> int:
        """Send at most one batch, up to the first isolated record; return the number of records."""
        self.pending()
        rows = self._rows
        if self._isolated:
            rows = list(takewhile(lambda row: row[0] not in self._isolated, rows))
        count = self._send(producer, topic, rows)
        self._drop_sent(count)
        return count

    def send_alone(self, producer: Producer, topic: str) -> int:
        """Send the isolated record that is next; the caller ensures that nothing else is in flight."""
        if self.alone is not None or not self._rows:
            return 0
        record = Row._make(self._rows[0])
        if not self._send(producer, topic, [record]):
            return 0
        self._drop_sent(1)
        if record.seq not in self.window.arrived:
            self.alone = record
        return 1

    def _send(self, producer: Producer, topic: str, rows: Sequence[PlainRow]) -> int:
        """Send these records as far as possible; return the number. The loop does as little as possible per record."""
        produce, report, stream = producer.produce, self._report, self._stream_header
        arrived, foreign, routing, reduced = self.window.arrived, self._foreign, self._routing, self.reduced.records
        headers: Headers
        sent: list[int] = []
        size, partition = 0, -1
        for row in rows:
            seq, key, value, schema = row
            if routing is not None:
                place = self._place(routing, row)
                if place is NoSending.WAIT:
                    break
                topic, partition = place if isinstance(place, Destination) else (topic, partition)
            if seq not in arrived:  # it may have arrived before, when another record failed
                headers = self._foreign_headers(row) if foreign else [("schema", schema), stream, ("seq", str(seq))]
                if seq in reduced:
                    value, headers = reduced[seq].value, [*headers, DROPPED]
                try:
                    produce(topic, value, key, partition, partial(report, seq), None, 0, headers)
                except (BufferError, KafkaException) as exception:
                    give = partial(_give, produce, (topic, key, partition, partial(report, seq)))
                    if not self._settle_refused(row, headers, exception, give, alone=not len(producer)):
                        break
            if routing is not None and seq not in self.window.dead:
                self._note(routing, row, place)
            sent.append(seq)
            size += len(value)
        self.window.record_batch(sent)
        self.sent_bytes += size
        return len(sent)

    def _place(self, routing: Routing, row: PlainRow) -> Destination | NoSending:
        """Return where a row goes; a row that another machine has delivered counts as arrived."""
        stream, _ = self.origin(row[0])
        place = routing.place(stream, row)
        if place is NoSending.SKIP and row[0] not in self.window.arrived:
            self.window.dead_letter(row[0])
            routing.skipped(stream, row)
        return place

    def _note(self, routing: Routing, row: PlainRow, place: Destination | NoSending) -> None:
        """Note that a row was given to the producer; one for another machine does not count as delivered."""
        if isinstance(place, Destination):
            if place.partition >= 0:
                self.window.exclude(row[0])
            routing.sent(self.name, self.origin(row[0])[0], row, place)

    def _foreign_headers(self, row: PlainRow) -> Headers:
        stream, number = self.origin(row[0])
        return [("schema", row[3]), ("stream", stream), ("seq", str(number))]

    def _settle_refused(
        self, row: PlainRow, headers: Headers, exception: BufferError | KafkaException, give: Give, *, alone: bool
    ) -> bool:
        """Settle a record that the producer itself refuses permanently; return whether it does.

        It is given to the producer without `reddit`, and is a dead letter if it is refused again. Otherwise the record
        is sent later. `alone`: nothing else is in flight.
        """
        error = self._refusal(row[0], exception, alone=alone)
        if error is None:
            return False
        reduced = self.reduced.add(row, self.origin(row[0])[0])
        if reduced is not None:
            try:
                give(reduced.value, [*headers, DROPPED])
            except (BufferError, KafkaException) as again:
                error = self._refusal(row[0], again, alone=alone)
                if error is None:
                    return False
            else:
                return True
        self.refused.append((Row._make(row), error))
        self._settle_dead(row[0])
        return True

    def _refusal(self, seq: int, exception: BufferError | KafkaException, *, alone: bool) -> KafkaError | None:
        """Return the permanent error of a record that the producer did not take; None: it is sent later."""
        if isinstance(exception, BufferError):
            return _TOO_LARGE if alone else None
        error = cause(exception)
        if classify(error) is ErrorClass.REFUSED:
            return error
        self._failed.append((seq, error))
        return None

    def _settle_dead(self, seq: int) -> None:
        """Settle a record that is a dead letter."""
        self.reduced.discard(seq)
        self.window.dead_letter(seq)

    def collect(self) -> int:
        """Process the reports of success that arrived; return their number."""
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
        self.alone = None

    @property
    def has_failures(self) -> bool:
        """Whether reports of failure arrived that `failures` has not returned."""
        return bool(self._failed)

    def failures(self) -> list[tuple[int, KafkaError]]:
        """Remove and return the reports of failure that arrived."""
        failed = self._failed.copy()
        self._failed.clear()
        return failed

    def isolate(self, seq: int) -> Row | None:
        """Record that a broker refused this record.

        Return it if it was sent alone, which makes the cause certain, and without `reddit` if it has one.
        """
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
        if self._routing is not None:
            self._routing.rewound(self.name)
        super().rewind()


def _reporter(acknowledged: list[int], failed: list[tuple[int, KafkaError]]) -> Report:
    """Return the delivery report callback: called once per record, so it does almost nothing."""
    arrived = acknowledged.append

    def report(seq: int, error: KafkaError | None, _message: Message) -> None:
        if error is None:
            arrived(seq)
        else:
            failed.append((seq, error))

    return report


def _give(
    produce: Callable[..., None], place: tuple[str, bytes, int, Callable[..., None]], value: bytes, headers: Headers
) -> None:
    topic, key, partition, report = place
    produce(topic, value, key, partition, report, None, 0, headers)


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
        openers: Callable[[Path], Mapping[str, Opener]] = spools_and_resends,
        routing: Routing | None = None,
    ) -> None:
        super().__init__(
            KAFKA,
            partial(KafkaSpoolSender, routing=routing),
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
        self._dropped = DroppedPayloads(writer, log, health.times, message_max_bytes)

    def _delivered(self, sender: KafkaSpoolSender, state: SpoolState) -> None:
        super()._delivered(sender, state)
        if self._routing is not None:
            self._routing.delivered(sender.stream, state)

    def _advance(self, sender: KafkaSpoolSender) -> None:
        super()._advance(sender)
        self._dropped.note(sender.reduced.settled(sender.window.position))

    def close(self) -> None:
        """Release the files."""
        self._dropped.flush()
        super().close()

    def send_batch(self, producer: Producer, topic: str) -> int:
        """Send a batch from each source; return the number of records.

        An isolated record waits until nothing is in flight.
        """
        count = 0
        if not any(sender.at_isolated for sender in self):
            count = sum(self._send_from(sender, partial(sender.send_batch, producer, topic)) for sender in self.ready)
        held = next((sender for sender in self if sender.at_isolated), None)
        if held is not None and not len(producer):
            count += self._send_from(held, partial(held.send_alone, producer, topic))
        return count

    @property
    def may_add(self) -> bool:
        """Whether more can be sent at once: no record failed, and none must be sent alone."""
        return not any(sender.has_failures or sender.at_isolated for sender in self)

    @property
    def sent_bytes(self) -> int:
        """The bytes of all values that were ever sent."""
        return sum(sender.sent_bytes for sender in self)

    def _send_from(self, sender: KafkaSpoolSender, send_batch: Callable[[], int]) -> int:
        count = self._guarded(sender, send_batch, default=0)
        for row, refusal in sender.refused:
            self._dead_letter(sender, row, refusal)
        sender.refused.clear()
        return count

    def _dead_letter(self, sender: KafkaSpoolSender, row: Row, error: KafkaError) -> None:
        """Store a record that Kafka refuses permanently as a dead letter, and log it."""
        reason = f"{error.name()}: {error_text(error)}"
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
            held = [(seq, error) for seq, error in failures if classify(error) is ErrorClass.HOLD]
            if held:
                classes.add(ErrorClass.HOLD)
                self._hold(sender, held)
            others = [(seq, error) for seq, error in failures if classify(error) is not ErrorClass.HOLD]
            classes |= {self._classify(sender, seq, error) for seq, error in others}
        return classes

    def _hold(self, sender: KafkaSpoolSender, failures: list[tuple[int, KafkaError]]) -> None:
        """Send the first of these records alone to test whether Kafka accepts records; report a certain cause.

        One record and not all: what waits may be large, and would be refused as a whole repeatedly.
        """
        self._writer.count_errors(len(failures))
        seq, error = min(failures, key=lambda failure: failure[0])
        if sender.send_alone_next(seq) or error.code() not in VAGUE:
            self._health.hold(error, self.clock_offset())

    def _classify(self, sender: KafkaSpoolSender, seq: int, error: KafkaError) -> ErrorClass:
        """Handle one failed record: refused alone it is a dead letter, refused with others it is isolated."""
        error_class = classify(error)
        row = sender.isolate(seq) if error_class is ErrorClass.REFUSED else None
        if row is not None:
            self._dead_letter(sender, row, error)
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
        self._writer.move(sender.stream, sender.source_id, found.seq, passed - sender.waiting() - dead)
        self._log.info("committed_position_adopted", stream=sender.stream, seq=found.seq, ahead_by=passed)
