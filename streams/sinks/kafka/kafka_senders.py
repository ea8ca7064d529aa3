"""The senders of all sources to Kafka, and what becomes of records that Kafka refuses."""

# ruff: noqa: SLF001  librdkafka's own error codes are spelled with an underscore; they are public

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import structlog
from confluent_kafka import KafkaError, Producer

from core.process import program
from core.spool import Row
from core.spool.spool_state import SpoolState
from streams.positions.dead_letters import DeadLetter
from streams.positions.position_writer import PositionWriter
from streams.positions.publisher_store import KAFKA
from streams.sinks.kafka.committed_position import CommittedPosition
from streams.sinks.kafka.copies import Failure
from streams.sinks.kafka.destinations import Destinations
from streams.sinks.kafka.kafka_errors import VAGUE, ErrorClass, classify, error_text
from streams.sinks.kafka.kafka_health import KafkaHealth
from streams.sinks.kafka.kafka_spool_sender import KafkaSpoolSender
from streams.sinks.kafka.reduced_records import DroppedPayloads
from streams.sinks.kafka.routing import Routing
from streams.sinks.spool_senders import SpoolSenders
from streams.sources.base import Opener, spools_and_resends


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
        self._dropped = DroppedPayloads(writer, log, health.times, message_max_bytes)
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

    def close(self) -> None:
        """Release the files."""
        self._dropped.flush()
        super().close()

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
        self._dropped.note(sender.reduced.settled(sender.window.position))
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
