"""The senders: they send the rows of each source to a sink and track the delivered position.

Independent of the destination: the Kafka part is in `kafka_senders`.
"""

import sqlite3
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Generic, TypeVar

import structlog

from core.periodic import Timer
from core.spool import Row, report_suspect
from core.spool.spool_state import SpoolState
from core.spool.stream_state import Origin
from core.storage.sqlite import is_corrupt
from core.stream_kinds import reads_listing, spool_names, unknown_spools
from streams.positions.position_writer import PositionWriter
from streams.sources.base import RESENDS, Opener, PlainRow, Source, spools

#: Rows per batch of reading and sending.
PORTION = 500
#: Most records that wait for their reports before reading stops; the sink's own queue bounds the bytes.
_MOST_IN_FLIGHT = 50_000

#: Seconds between checks whether a source appeared, was replaced, or can be read again.
_CHECK_EVERY_S = 0.25

T = TypeVar("T")


class InFlightWindow:
    """The records of one spool in flight: sent in the order of their seq, reported in any order.

    `position` never passes a record whose report is missing; what arrived beyond it is remembered, so that resending
    from the position (`rewind`) repeats only what is missing.
    """

    __slots__ = ("arrived", "dead", "on_way", "position", "sent")

    def __init__(self, position: int) -> None:
        #: every record up to here is settled: acknowledged, or a dead letter
        self.position = position
        #: the last record sent; the next one is the first with a higher seq
        self.sent = position
        #: sent and beyond the position, ascending
        self.on_way: deque[int] = deque()
        #: settled, but something before it is not yet
        self.arrived: set[int] = set()
        #: settled, and not delivered to the topic by this machine
        self.dead: set[int] = set()

    def record_sent(self, seq: int) -> None:
        """Record that this record, the next by seq, was given to the producer (or need not be: it has arrived)."""
        if seq <= self.sent:
            raise ValueError(f"record {seq} was already sent (last sent: {self.sent})")
        self.on_way.append(seq)
        self.sent = seq

    def record_batch(self, seqs: Sequence[int]) -> None:
        """Do the same for several records, in the order of their seq."""
        if seqs:
            if seqs[0] <= self.sent:
                raise ValueError(f"record {seqs[0]} was already sent (last sent: {self.sent})")
            self.on_way.extend(seqs)
            self.sent = seqs[-1]

    def acknowledge(self, seqs: Iterable[int]) -> None:
        """Process reports of success."""
        self.arrived.update(seqs)

    def exclude(self, seq: int) -> None:
        """Do not count this record as delivered when it has arrived: it goes to another machine."""
        self.dead.add(seq)

    def dead_letter(self, seq: int) -> None:
        """Settle a record that is never sent: it is a dead letter."""
        self.arrived.add(seq)
        self.dead.add(seq)

    def advance(self) -> int:
        """Advance the position up to the first unsettled record; return how many records it passed that arrived."""
        on_way, arrived, dead = self.on_way, self.arrived, self.dead
        if on_way and arrived.issuperset(on_way):  # the usual case, at a third of the cost
            count = len(on_way) - len(dead.intersection(on_way))
            dead.difference_update(on_way)
            arrived.difference_update(on_way)
            self.position = on_way[-1]
            on_way.clear()
            return count
        count = 0
        while on_way and on_way[0] in arrived:
            seq = on_way.popleft()
            arrived.discard(seq)
            if seq in dead:
                dead.discard(seq)
            else:
                count += 1
            self.position = seq
        return count

    def rewind(self) -> None:
        """Restart after the position: what has not arrived is sent again."""
        self.on_way.clear()
        self.sent = self.position

    @property
    def settled(self) -> bool:
        """Whether nothing is in flight."""
        return not self.on_way


class SpoolSender:
    """The sender of one source to one sink: reads rows, sends records, tracks what has arrived."""

    def __init__(self, source: Source, position: int) -> None:
        self.source: Source | None = source
        #: the name of the source among all sources of the sink
        self.name = source.stream
        self.stream = source.stream
        self.source_id = source.source_id
        self.window = InFlightWindow(position)
        #: the key of the last record that was sent
        self.last_key = b""
        #: nothing was sent yet from the position on
        self.fresh = True
        #: nothing is sent until it is known what the topic held (see streams.publisher.topic_survey)
        self.awaits_survey = False
        self._rows: list[PlainRow] = []
        #: the source's state when it was last read, stored once everything up to then is delivered
        self._state: SpoolState | None = None
        self._kept_commits = -1

    def pending(self) -> bool:
        """Return whether there is something to send; reads the next batch if necessary."""
        if not self._rows and self.source is not None and len(self.window.on_way) < _MOST_IN_FLIGHT:
            self._rows = self.source.read_plain(self.window.sent, PORTION)
        return bool(self._rows)

    def take(self) -> list[PlainRow]:
        """Take a whole batch at once; return its rows, which count as in flight."""
        self.pending()
        rows = self._rows.copy()
        self.window.record_batch([row[0] for row in rows])
        self._drop_sent(len(rows))
        return rows

    def acknowledge(self) -> None:
        """Record that everything in flight has arrived."""
        self.window.acknowledge(self.window.on_way)

    def _drop_sent(self, count: int) -> None:
        """Drop the first rows of the batch: they were sent."""
        if count:
            self.last_key = self._rows[count - 1][1]
            del self._rows[:count]

    def holds(self, seq: int, key: str) -> bool:
        """Return whether the record `seq` has this `key`, or may have had it before it was pruned."""
        if self.source is None:
            return False
        rows = self.source.read(seq - 1, 1)
        if rows and rows[0].seq == seq:
            return rows[0].key.decode(errors="replace") == key
        return self.source.last_seq() >= seq

    def origin(self, seq: int) -> tuple[str, int]:
        """Return the stream of a record and its number there."""
        found = None if self.source is None else self.source.origin(seq)
        return found or (self.stream, seq)

    def rewind(self) -> None:
        """Resend, from the position on, what has not arrived."""
        self._rows.clear()
        self.window.rewind()

    def delivered_state(self) -> SpoolState | None:
        """Return the source's state at a moment up to which all is delivered; None if there is nothing new."""
        state, self._state = self._state, None
        if state is not None and state.last_seq > self.window.position:
            self._state = state
            return None
        if state is None and self.source is not None:
            self._state = self.source.state()
            return None
        if state is None or state.commits == self._kept_commits:
            return None
        self._kept_commits = state.commits
        return state

    def move(self, position: int) -> None:
        """Move to another position in this source; nothing may be in flight."""
        self.rewind()
        self.window = InFlightWindow(position)
        self.fresh = True

    def waiting(self) -> int:
        """Return the number of rows in the source beyond the position."""
        return self.source.waiting_after(self.window.position) if self.source is not None else 0

    def detach(self) -> None:
        """Release the file; records in flight still count."""
        if self.source is not None:
            self.source.close()
            self.source = None
        self._rows.clear()


S = TypeVar("S", bound=SpoolSender)


class SpoolSenders(Generic[S]):
    """The senders of all sources to one sink: opened when a source appears, and reopened when it is replaced.

    Args:
        sink: the name of the sink.
        make_sender: returns the sender of a source that starts at a position.
        state_dir: the directory of the spools.
        writer: stores the positions.
        log: the logger.
        clock: monotonic seconds.
        openers: returns the possible sources, each with its open function.
        surveys: whether a new spool waits until it is known what the topic held.
    """

    def __init__(
        self,
        sink: str,
        make_sender: Callable[[Source, int], S],
        *,
        state_dir: Path,
        writer: PositionWriter,
        log: structlog.stdlib.BoundLogger,
        clock: Callable[[], float],
        openers: Callable[[Path], Mapping[str, Opener]] = spools,
        surveys: bool = True,
    ) -> None:
        self._surveys = surveys
        self._sink = sink
        self._make_sender = make_sender
        self._state_dir = state_dir
        self._writer = writer
        self._log = log
        self._clock = clock
        self._openers = openers
        self._senders: dict[str, S] = {}
        #: senders of files that are gone, with records still in flight
        self._retired: list[S] = []
        self._unreadable: set[str] = set()
        #: streams of no known kind that have a spool
        self._unknown: set[str] = set()
        self._checks = Timer(_CHECK_EVERY_S)

    def __iter__(self) -> Iterator[S]:
        return iter(self._senders.values())

    def refresh(self) -> None:
        """Open the sources that appeared or were replaced, each from its position on."""
        if not self._checks.elapsed(self._clock()):
            return
        self._log_unknown_spools()
        for name, opener in self._openers(self._state_dir).items():
            sender = self._senders.get(name)
            if sender is not None and sender.source is not None and sender.source.moved():
                self._log.warning("spool_replaced", stream=name, hint="the new spool is read from now on")
                sender.detach()
            if sender is None or sender.source is None:
                self._open(name, opener)
        for sender in self:
            state = self._guarded(sender, sender.delivered_state, default=None)
            if state is not None:
                self._delivered(sender, state)

    def _delivered(self, sender: S, state: SpoolState) -> None:
        """Keep the state of a source up to which everything is delivered."""
        self._writer.remember(sender.stream, state)

    def _log_unknown_spools(self) -> None:
        for stream in unknown_spools(self._state_dir):
            if stream not in self._unknown:
                self._unknown.add(stream)
                hint = "its records are not delivered: start the version of Gapless that wrote them"
                self._log.error("spool_of_unknown_kind", stream=stream, hint=hint)

    def _open(self, name: str, opener: Opener) -> None:
        try:
            source = opener()
            if source is not None:
                self._attach(name, source)
        except sqlite3.DatabaseError as error:
            self._cannot_read(name, error)

    def _attach(self, name: str, source: Source) -> None:
        sender = self._senders.get(name)
        if sender is not None and sender.source_id == source.source_id:
            sender.source = source  # the same source, readable again: records in flight still count
        else:
            position = self._writer.position(source.source_id, self._sink)
            if sender is not None:
                self._retired.append(sender)
            sender = self._senders[name] = self._make_sender(source, position)
            sender.name = name
            state = source.stream_state()
            sender.awaits_survey = (
                self._surveys
                and reads_listing(source.stream)
                and state is not None
                and state.origin is not Origin.SETTLED
                and position == 0
                and not self._writer.is_surveyed(source.source_id)
            )
            self._log.info("spool_opened", stream=name, position=position, waiting=source.waiting_after(position))
        self._unreadable.discard(name)

    def _cannot_read(self, name: str, error: sqlite3.DatabaseError) -> None:
        if name in self._senders:
            self._senders[name].detach()
        if name in self._unreadable:
            return  # logged already; retried at each check
        self._unreadable.add(name)
        broken = is_corrupt(error)
        self._log.error(
            "spool_unreadable", stream=name, broken=broken, error=str(error), hint="it is retried automatically"
        )
        if broken and name in spool_names():  # a file of another owner is not moved aside
            self._writer.save(now=True)  # what was delivered from it need not be salvaged
            report_suspect(self._state_dir, name)

    @property
    def ready(self) -> list[S]:
        """The senders that are allowed to send."""
        return [sender for sender in self if not sender.awaits_survey]

    def pending(self) -> bool:
        """Return whether any source has something to send."""
        return any(self._guarded(sender, sender.pending, default=False) for sender in self.ready)

    def take(self) -> list[tuple[str, list[Row]]]:
        """Take a batch from each source at once; return for each its stream and its rows."""
        taken = []
        for sender in self.ready:
            no_rows: list[PlainRow] = []
            rows = self._guarded(sender, sender.take, default=no_rows)
            taken.append((sender.stream, [Row._make(row) for row in rows]))
        return taken

    def acknowledge(self) -> int:
        """Record that everything in flight has arrived, and advance the positions; return the number of records."""
        arrived = 0
        for sender in (*self, *self._retired):
            arrived += len(sender.window.on_way)
            sender.acknowledge()
            self._advance(sender)
        self._retired.clear()
        return arrived

    def _advance(self, sender: S) -> None:
        """Advance the position up to the first record that has not arrived."""
        before = sender.window.position
        arrived = sender.window.advance()
        if sender.window.position != before:
            self._writer.move(sender.stream, sender.source_id, sender.window.position, arrived, self._sink)
            if sender.stream == RESENDS and arrived:
                self._log.info("dead_letters_resent", count=arrived)

    def rewind(self) -> None:
        """Resend what has not arrived. The writer copied the unsent records of a replaced file into the new one."""
        self._retired.clear()
        for sender in self:
            sender.rewind()

    def backlog(self) -> int:
        """Return the number of records that are captured and not yet delivered."""
        on_way = sum(len(sender.window.on_way) for sender in self._retired)
        return on_way + sum(self._guarded(sender, sender.waiting, default=0) for sender in self)

    def clock_offset(self) -> float | None:
        """Return Reddit's clock minus this machine's in seconds, as a stream last measured it; None if unknown."""
        for sender in self:
            offset = self._guarded(sender, partial(_clock_offset, sender), default=None)
            if offset is not None:
                return offset
        return None

    def _guarded(self, sender: S, action: Callable[[], T], *, default: T) -> T:
        """Call a function on a source; one that cannot be read is set aside, the others continue."""
        try:
            return action()
        except sqlite3.DatabaseError as error:
            self._cannot_read(sender.name, error)
            return default

    def close(self) -> None:
        """Release the files."""
        for sender in self:
            sender.detach()


def _clock_offset(sender: SpoolSender) -> float | None:
    state = None if sender.source is None else sender.source.stream_state()
    return None if state is None else state.clock_offset
