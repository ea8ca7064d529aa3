"""The senders to Kafka: records that the producer takes, reports that come back, records that Kafka never takes."""

# ruff: noqa: SLF001  librdkafka's own error codes are spelled with an underscore; they are public

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import structlog
from confluent_kafka import KafkaError, KafkaException, Message, Producer

from core.process import program
from core.spool import Row
from streams.positions.dead_letters import DeadLetter
from streams.positions.position_writer import PositionWriter
from streams.positions.publisher_store import KAFKA
from streams.sinks.kafka.committed_position import CommittedPosition
from streams.sinks.kafka.kafka_errors import VAGUE, ErrorClass, cause, classify, said
from streams.sinks.kafka.kafka_health import KafkaHealth
from streams.sinks.spool_senders import SpoolSender, SpoolSenders
from streams.sources.base import Opener, PlainRow, Source, spools_and_resends

#: An empty queue that cannot take a record never will.
_TOO_LARGE = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE, "larger than queue.buffering.max.kbytes of the producer")

Report = Callable[[int, KafkaError | None, Message], None]


class KafkaSpoolSender(SpoolSender):
    """Records leave in order, and none waits for the report of another.

    The exception is an *isolated* record: one that a broker refused together with others of its batch. It is sent once
    more, alone, so that the answer can only be about itself.
    """

    def __init__(self, source: Source, position: int) -> None:
        super().__init__(source, position)
        #: the isolated record whose report is awaited
        self.alone: Row | None = None
        #: records that the producer itself would not take, with its reason
        self.refused: list[tuple[Row, KafkaError]] = []
        self._isolated: set[int] = set()
        self._stream_header = ("stream", self.stream)
        #: whether its records belong to other streams: a dead letter that is sent again is as it would have been
        self._foreign = source.renumbers
        self._open_mailbox()

    def _open_mailbox(self) -> None:
        """Have reports come to new lists: those of a producer that was thrown away end in the old ones, unread."""
        self._acknowledged: list[int] = []
        self._failed: list[tuple[int, KafkaError]] = []
        self._report = _reporter(self._acknowledged, self._failed)

    @property
    def at_isolated(self) -> bool:
        """Whether an isolated record is the next to go, or on its way alone."""
        return self.alone is not None or bool(self._rows and self._rows[0][0] in self._isolated)

    def feed(self, producer: Producer, topic: str) -> int:
        """Hand over what the source holds, a portion at most, up to the first isolated one; return how many."""
        self.pending()
        isolated, send = self._isolated, self._send
        count = 0
        for row in self._rows:
            if (isolated and row[0] in isolated) or not send(producer, topic, row):
                break
            count += 1
        self._pass(count)
        return count

    def send_alone(self, producer: Producer, topic: str) -> int:
        """Hand over the isolated record that is next; the caller has seen to it that nothing else is on its way."""
        if self.alone is not None or not self._rows:
            return 0
        record = Row._make(self._rows[0])
        if not self._send(producer, topic, record):
            return 0
        self._pass(1)
        if record.seq not in self.window.arrived:
            self.alone = record
        return 1

    def _send(self, producer: Producer, topic: str, row: PlainRow) -> bool:
        """Hand over one record; tell whether that was possible. Runs for every single one: it does the least it can."""
        seq, key, value, schema = row
        window = self.window
        if seq not in window.arrived:  # it did arrive where another one of its time failed
            headers: list[tuple[str, str | bytes | None]] = [("schema", schema), self._stream_header, ("seq", str(seq))]
            if self._foreign:
                stream, number = self.origin(seq)
                headers[1:] = ("stream", stream), ("seq", str(number))
            try:
                producer.produce(topic, value, key, -1, partial(self._report, seq), None, 0, headers)
            except BufferError:
                if len(producer):
                    return False
                self._refuse(row, _TOO_LARGE)
            except KafkaException as exception:
                error = cause(exception)
                if classify(error) is not ErrorClass.REFUSED:
                    self._failed.append((seq, error))
                    return False
                self._refuse(row, error)
        window.hand_over(seq)
        return True

    def _refuse(self, row: PlainRow, error: KafkaError) -> None:
        self.refused.append((Row._make(row), error))
        self.window.dead_letter(row[0])

    def collect(self) -> int:
        """Take in the reports of success that came; return how many."""
        arrived = len(self._acknowledged)
        if arrived:
            self.window.acknowledge(self._acknowledged)
            self._isolated.difference_update(self._acknowledged)
            self._acknowledged.clear()
            if self.alone is not None and self.alone.seq in self.window.arrived:
                self.alone = None
        return arrived

    def failures(self) -> list[tuple[int, KafkaError]]:
        """Take in the reports of failure that came."""
        failed = self._failed.copy()
        self._failed.clear()
        return failed

    def isolate(self, seq: int) -> Row | None:
        """Take in that a broker refused this record; return it if it was alone, so that nothing is left to doubt."""
        if self.alone is not None and self.alone.seq == seq:
            row, self.alone = self.alone, None
            self._isolated.discard(seq)
            self.window.dead_letter(seq)
            return row
        self._isolated.add(seq)
        return None

    def doubt(self, seq: int) -> bool:
        """Have this record sent alone next, so that the answer is about it; tell whether it just was."""
        self._isolated.add(seq)
        return self.alone is not None and self.alone.seq == seq

    def rewind(self) -> None:
        """Send again, from the position on, what has not arrived; reports of what was sent before count no more."""
        self._open_mailbox()
        self.alone = None
        super().rewind()


def _reporter(acknowledged: list[int], failed: list[tuple[int, KafkaError]]) -> Report:
    """Make the delivery report callback: called once for each record, so it does next to nothing."""
    arrived = acknowledged.append

    def report(seq: int, error: KafkaError | None, _message: Message) -> None:
        if error is None:
            arrived(seq)
        else:
            failed.append((seq, error))

    return report


class KafkaSpoolSenders(SpoolSenders[KafkaSpoolSender]):
    """The senders of all sources to Kafka, and what becomes of the records that fail."""

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
    ) -> None:
        super().__init__(
            KAFKA,
            KafkaSpoolSender,
            state_dir=state_dir,
            writer=writer,
            log=log,
            clock=clock,
            openers=openers,
        )
        self._health = health
        self._message_max_bytes = message_max_bytes

    def feed(self, producer: Producer, topic: str) -> int:
        """Hand over a portion of each source; return how many records.

        An isolated record waits until nothing is on its way.
        """
        count = 0
        if not any(sender.at_isolated for sender in self):
            count = sum(self._feed(sender, partial(sender.feed, producer, topic)) for sender in self.ready)
        held = next((sender for sender in self if sender.at_isolated), None)
        if held is not None and not len(producer):
            count += self._feed(held, partial(held.send_alone, producer, topic))
        return count

    def _feed(self, sender: KafkaSpoolSender, feed: Callable[[], int]) -> int:
        count = self._guarded(sender, feed, default=0)
        for row, refusal in sender.refused:
            self._dead_letter(sender, row, refusal)
        sender.refused.clear()
        return count

    def _dead_letter(self, sender: KafkaSpoolSender, row: Row, error: KafkaError) -> None:
        """Keep as a dead letter what Kafka will never take, and say so."""
        reason = f"{error.name()}: {said(error)}"
        stream, seq = sender.origin(row.seq)
        self._log.error(
            "dead_letter",
            stream=stream,
            seq=seq,
            key=row.key.decode(errors="replace"),
            size=len(row.value),
            limit=self._message_max_bytes,
            reason=reason,
            hint=f"Kafka does not take this record: it is kept; `{program.command()} dead-letters CONFIG` shows it",
        )
        self._writer.count_errors(1)
        self._writer.dead_letter(
            DeadLetter(sender.stream, sender.source_id, row.seq, row.key, row.value, row.schema, reason=reason)
        )

    def collect(self) -> int:
        """Take in the reports of success and move the positions; return how many reports came."""
        arrived = 0
        for sender in (*self, *self._retired):
            arrived += sender.collect()
            self._advance(sender)
        self._retired = [sender for sender in self._retired if not sender.window.settled]
        return arrived

    def classify_failures(self) -> set[ErrorClass]:
        """Take in the reports of failure: count them, say so, and return what they mean."""
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
        """Have the first of these records ask, alone, whether Kafka takes records again; name the cause if it is sure.

        One record and not all of them: what waits may be large, and is refused whole again and again.
        """
        self._writer.count_errors(len(failures))
        seq, error = min(failures, key=lambda failure: failure[0])
        if sender.doubt(seq) or error.code() not in VAGUE:
            self._health.hold(error, self.clock_offset())

    def _classify(self, sender: KafkaSpoolSender, seq: int, error: KafkaError) -> ErrorClass:
        """Decide about one failed record: refused alone it is a dead letter, refused in company it is isolated."""
        error_class = classify(error)
        row = sender.isolate(seq) if error_class is ErrorClass.REFUSED else None
        if row is not None:
            self._dead_letter(sender, row, error)
        elif error.code() != KafkaError._PURGE_QUEUE:  # that one only follows from another one's failure
            self._writer.count_errors(1)
            self._health.complain("record_not_delivered", error, stream=sender.stream, seq=seq, hint="it is sent again")
        return error_class

    def adopt(self, committed: Mapping[str, CommittedPosition]) -> None:
        """Go on behind the positions that Kafka holds, where they are ahead of our own file."""
        for sender in self:
            found = committed.get(sender.source_id)
            if found is not None and found.seq > sender.window.position:
                self._guarded(sender, partial(self._adopt, sender, found), default=None)
        self.begin()

    def begin(self) -> None:
        """Take in that each source is sent from its position on: what is a dead letter beyond it is judged anew."""
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
                mark=found.seq,
                hint="the records in Kafka came from another one (put back from a copy?): going on behind the position"
                " in publisher.db; records may be repeated",
            )
            return
        passed = sender.waiting()
        sender.move(found.seq)
        dead = self._writer.dead_letters_between(sender.source_id, before, found.seq)
        self._writer.move(sender.stream, sender.source_id, found.seq, passed - sender.waiting() - dead)
        self._log.info("committed_position_adopted", stream=sender.stream, seq=found.seq, ahead_by=passed)
