"""All spools at once: opened when they appear, opened anew when they are replaced, and how far each one is."""

# ruff: noqa: SLF001  librdkafka's own error codes are spelled with an underscore; they are public

import sqlite3
from collections.abc import Callable, Iterator, Mapping
from functools import partial
from pathlib import Path
from typing import TypeVar

import structlog
from confluent_kafka import KafkaError, Producer

from core.kinds import stream_names, unknown_spools
from core.spool import Row, SpoolReader, report_suspect
from core.spool.origin import Origin, origin_of
from core.sqlite import is_corrupt
from streams.publisher.causes import VAGUE
from streams.publisher.lane import Lane, RowSource
from streams.publisher.ledger import Ledger
from streams.publisher.letters import DeadLetter
from streams.publisher.marks import Mark
from streams.publisher.resend import RESENDS, ResendReader
from streams.publisher.verdict import Verdict, judge, said
from streams.publisher.watch import Watch

#: How often we look whether a spool appeared, was replaced, or can be read again, seconds.
_LOOK_EVERY = 0.25

T = TypeVar("T")


class Lanes:
    """The lanes of all streams: a stream that is switched off now may have left rows from before."""

    def __init__(
        self,
        *,
        state_dir: Path,
        ledger: Ledger,
        log: structlog.stdlib.BoundLogger,
        clock: Callable[[], float],
        watch: Watch,
        message_max_bytes: int,
    ) -> None:
        self._state_dir = state_dir
        self._ledger = ledger
        self._log = log
        self._clock = clock
        self._watch = watch
        self._message_max_bytes = message_max_bytes
        self._lanes: dict[str, Lane] = {}
        #: lanes of files that are gone, with records still on their way
        self._retired: list[Lane] = []
        self._unreadable: set[str] = set()
        #: streams of no known kind that have a spool
        self._unknown: set[str] = set()
        self._next_look = 0.0

    def __iter__(self) -> Iterator[Lane]:
        return iter(self._lanes.values())

    def refresh(self, locate: Callable[[RowSource], int]) -> None:
        """Open what appeared and what was replaced; `locate` says from where a newly opened spool is to be sent."""
        now = self._clock()
        if now < self._next_look:
            return
        self._next_look = now + _LOOK_EVERY
        self._tell_of_unknown_spools()
        for stream in (*stream_names(), RESENDS):
            lane = self._lanes.get(stream)
            if lane is not None and lane.reader is not None and lane.reader.moved():
                self._log.warning("spool_replaced", stream=stream, hint="reading the new one")
                lane.detach()
            if lane is None or lane.reader is None:
                self._open(stream, locate)
        for lane in self:
            state = self._guarded(lane, lane.delivered_state, default=None)
            if state is not None:
                self._ledger.remember(lane.stream, state)

    def _tell_of_unknown_spools(self) -> None:
        for stream in unknown_spools(self._state_dir):
            if stream not in self._unknown:
                self._unknown.add(stream)
                hint = "its records stay where they are: start the version of Gapless that wrote them"
                self._log.error("spool_of_unknown_kind", stream=stream, hint=hint)

    def _open(self, stream: str, locate: Callable[[RowSource], int]) -> None:
        try:
            reader: RowSource | None = (
                ResendReader.open(self._state_dir) if stream == RESENDS else SpoolReader.open(self._state_dir, stream)
            )
            if reader is None:
                return
            self._attach(stream, reader, locate)
        except sqlite3.DatabaseError as error:
            self._cannot_read(stream, error)

    def _attach(self, stream: str, reader: RowSource, locate: Callable[[RowSource], int]) -> None:
        lane = self._lanes.get(stream)
        if lane is not None and lane.spool_id == reader.spool_id:
            lane.reader = reader  # the same spool, readable again: what is on its way still counts
        else:
            position = locate(reader)
            if lane is not None:
                self._retired.append(lane)
            lane = self._lanes[stream] = Lane(reader, position)
            lane.awaits_survey = (
                origin_of(reader.cursor()) is not Origin.SETTLED
                and position == 0
                and not self._ledger.is_surveyed(reader.spool_id)
            )
            self._log.info("spool_opened", stream=stream, position=position, waiting=reader.waiting_after(position))
        self._unreadable.discard(stream)

    def _cannot_read(self, stream: str, error: sqlite3.DatabaseError) -> None:
        if stream in self._lanes:
            self._lanes[stream].detach()
        if stream in self._unreadable:
            return  # said already; tried again at every look
        self._unreadable.add(stream)
        broken = is_corrupt(error)
        self._log.error("spool_unreadable", stream=stream, broken=broken, error=str(error), hint="trying again")
        if broken:
            if stream == RESENDS:
                return  # the publisher's own file: the ledger has it moved aside
            self._ledger.save(now=True)  # what we delivered from it need not be salvaged
            report_suspect(self._state_dir, stream)

    def feed(self, producer: Producer, topic: str) -> int:
        """Hand over a portion of each spool; return how many records. A suspect waits until nothing is on its way."""
        count = 0
        if not any(lane.at_suspect for lane in self):
            ready = [lane for lane in self if not lane.awaits_survey]
            count = sum(self._feed(lane, partial(lane.feed, producer, topic)) for lane in ready)
        held = next((lane for lane in self if lane.at_suspect), None)
        if held is not None and not len(producer):
            count += self._feed(held, partial(held.feed_alone, producer, topic))
        return count

    def _feed(self, lane: Lane, feed: Callable[[], int]) -> int:
        count = self._guarded(lane, feed, default=0)
        for row, refusal in lane.refused:
            self._bury(lane, row, refusal)
        lane.refused.clear()
        return count

    def _bury(self, lane: Lane, row: Row, error: KafkaError) -> None:
        """Keep as a dead letter what Kafka will never take, and say so."""
        reason = f"{error.name()}: {said(error)}"
        stream, seq = lane.origin(row.seq)
        self._log.error(
            "dead_letter",
            stream=stream,
            seq=seq,
            key=row.key.decode(errors="replace"),
            size=len(row.value),
            limit=self._message_max_bytes,
            reason=reason,
            hint="Kafka does not take this record: it is kept; `python -m supervisor dead-letters CONFIG` shows it",
        )
        self._ledger.count_errors(1)
        self._ledger.bury(
            DeadLetter(lane.stream, lane.spool_id, row.seq, row.key, row.value, row.schema, reason=reason)
        )

    def collect(self) -> int:
        """Take in the reports of success and move the positions; return how many reports came."""
        arrived = 0
        for lane in (*self, *self._retired):
            arrived += lane.collect()
            self._settle(lane)
        self._retired = [lane for lane in self._retired if not lane.delivery.settled]
        return arrived

    def judge_failures(self) -> set[Verdict]:
        """Take in the reports of failure: count them, say so, and return what they mean."""
        verdicts: set[Verdict] = set()
        for lane in (*self, *self._retired):
            failures = lane.failures()
            held = [(seq, error) for seq, error in failures if judge(error) is Verdict.HOLD]
            if held:
                verdicts.add(Verdict.HOLD)
                self._hold(lane, held)
            verdicts |= {self._judge(lane, seq, error) for seq, error in failures if judge(error) is not Verdict.HOLD}
        return verdicts

    def _hold(self, lane: Lane, failures: list[tuple[int, KafkaError]]) -> None:
        """Have the first of these records ask, alone, whether Kafka takes records again; name the cause if it is sure.

        One record and not all of them: what waits may be large, and is refused whole again and again.
        """
        self._ledger.count_errors(len(failures))
        seq, error = min(failures, key=lambda failure: failure[0])
        if lane.doubt(seq) or error.code() not in VAGUE:
            self._watch.hold(error, self.clock_offset())

    def _judge(self, lane: Lane, seq: int, error: KafkaError) -> Verdict:
        """Decide about one failed record; a record refused alone is buried, one refused in company becomes suspect."""
        verdict = judge(error)
        row = lane.suspect(seq) if verdict is Verdict.REFUSED else None
        if row is not None:
            self._bury(lane, row, error)
        elif error.code() != KafkaError._PURGE_QUEUE:  # that one only follows from another one's failure
            self._ledger.count_errors(1)
            self._watch.complain("record_not_delivered", error, stream=lane.stream, seq=seq, hint="it is sent again")
        return verdict

    def _settle(self, lane: Lane) -> None:
        before = lane.delivery.position
        arrived = lane.delivery.advance()
        if lane.delivery.position != before:
            self._ledger.settle(lane.stream, lane.spool_id, lane.delivery.position, arrived)
            if lane.stream == RESENDS and arrived:
                self._log.info("dead_letters_resent", count=arrived)

    def pending(self) -> bool:
        """Tell whether any spool holds something to hand over."""
        ready = [lane for lane in self if not lane.awaits_survey]
        return any(self._guarded(lane, lane.pending, default=False) for lane in ready)

    def adopt(self, marks: Mapping[str, Mark]) -> None:
        """Go on behind the marks that Kafka holds, where they are ahead of our own file."""
        for lane in self:
            mark = marks.get(lane.spool_id)
            if mark is not None and mark.seq > lane.delivery.position:
                self._guarded(lane, partial(self._adopt, lane, mark), default=None)
        self.begin()

    def begin(self) -> None:
        """Take in that each spool is sent from its position on: what is a dead letter beyond it is judged anew."""
        for lane in self:
            if lane.fresh:
                lane.fresh = False
                self._ledger.withdraw(lane.spool_id, lane.delivery.position)

    def _adopt(self, lane: Lane, mark: Mark) -> None:
        before = lane.delivery.position
        if not lane.holds(mark.seq, mark.key):
            self._log.error(
                "spool_not_of_kafka",
                stream=lane.stream,
                position=before,
                mark=mark.seq,
                hint="the records in Kafka came from another one (put back from a copy?): going on behind the position"
                " in publisher.db; records may be repeated",
            )
            return
        passed = lane.waiting()
        lane.move(mark.seq)
        buried = self._ledger.dead_letters_between(lane.spool_id, before, mark.seq)
        self._ledger.settle(lane.stream, lane.spool_id, mark.seq, passed - lane.waiting() - buried)
        self._log.info("committed_position_adopted", stream=lane.stream, seq=mark.seq, ahead_by=passed)

    def rewind(self) -> None:
        """Send again what has not arrived. What a replaced file held unsent, its writer took over into the new one."""
        self._retired.clear()
        for lane in self:
            lane.rewind()

    def backlog(self) -> int:
        """Return how many records are captured and not yet delivered."""
        on_way = sum(len(lane.delivery.on_way) for lane in self._retired)
        return on_way + sum(self._guarded(lane, lane.waiting, default=0) for lane in self)

    def clock_offset(self) -> float | None:
        """Return Reddit's clock minus ours in seconds, as a stream measured it last; None where unknown."""
        for lane in self:
            offset = self._guarded(lane, partial(_clock_offset, lane), default=None)
            if isinstance(offset, int | float):
                return float(offset)
        return None

    def _guarded(self, lane: Lane, action: Callable[[], T], *, default: T) -> T:
        """Do something with a spool; one that cannot be read is put aside, the other one goes on."""
        try:
            return action()
        except sqlite3.DatabaseError as error:
            self._cannot_read(lane.stream, error)
            return default

    def close(self) -> None:
        """Release the files."""
        for lane in self:
            lane.detach()


def _clock_offset(lane: Lane) -> object:
    return None if lane.reader is None else lane.reader.cursor().get("clock_offset")
