"""Looks at due items: requests them, compares, and stores the changes with the new state of their blocks."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import NamedTuple

import structlog

from core.errors import TransientError
from core.reddit.request_errors import QuotaShort, RequestRejected, TooLarge, TooSlow
from core.spool import Batch, Record, SpoolWriter
from core.stream_kinds import StreamKind
from streams.changes.blocks import Block, key_of, settle
from streams.changes.change_records import event_records, latest_record
from streams.changes.duties import Applied, Duties
from streams.changes.duty_block import Duty
from streams.changes.info_requests import MOST_NAMES, Answer, InfoRequests
from streams.changes.look import Known, Look, Shown, Visibility, compare, is_odd, miss, shown_of
from streams.changes.schedule import Schedule
from streams.changes.witness import Witnesses
from streams.record import record_maker
from streams.reddit.listing_page import Item

#: The entry of the spool's cursor that carries the changes of blocks.
CURSOR = "changes"

#: The entry with the names of items that were seen last.
WITNESSES_CURSOR = "changes_witnesses"

#: Names of a request that leave room for two items that surely exist.
_ROOM = MOST_NAMES - 2

#: Blocks that are searched for items that surely exist, after a start.
_SEARCHED = 10
_GONE = Visibility.GONE

#: After a request was refused for want of quota, posts come before comments for this time, seconds.
_SHORT_FOR_S = 60.0

#: The answer that a subreddit cannot be read is used for this time, seconds. One that can be read is asked each time:
#: it may close before the next look.
_UNREADABLE_FOR_S = 120.0

#: After this many answers that prove nothing, or refusals of a single name, the items wait for a while.
_MOST_TRIES = 3


class _Asked(NamedTuple):
    """An item of a request."""

    name: str
    kind: StreamKind
    block: Block
    duty: Duty

    @property
    def key(self) -> str:
        return key_of(self.block.stream, self.duty.id)


@dataclass(slots=True)
class _Found:
    """What is stored together after a request."""

    looked: dict[str, Known] = field(default_factory=dict)
    undecided: list[str] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)


class Checker:
    """Looks at due items, at most a hundred in one step.

    Args:
        writer: of the spool `changes`; its transaction decides.
        duties: the items; written after the spool.
        requests: to Reddit.
        kinds: of the items, those first that come first when the quota is short.
        schedule: of the looks.
        latest: whether the newest records are written too.
        full: whether these have the object that Reddit served.
        exactly_once: whether no change may be reported twice, even after an older copy of the duties was restored.
        log: of the process.
        clock: epoch seconds.
    """

    def __init__(
        self,
        writer: SpoolWriter,
        duties: Duties,
        requests: InfoRequests,
        kinds: tuple[StreamKind, ...],
        schedule: Schedule,
        *,
        latest: bool,
        full: bool,
        exactly_once: bool,
        log: structlog.stdlib.BoundLogger,
        clock: Callable[[], float],
    ) -> None:
        self._writer = writer
        self._duties = duties
        self._requests = requests
        self._kinds = {kind.name: kind for kind in kinds}
        self._streams = tuple(self._kinds)
        self._schedule = schedule
        self._latest = latest
        self._full = full
        self._exactly_once = exactly_once
        self._log = log
        self._clock = clock
        self.witnesses = Witnesses()
        self._limit = MOST_NAMES
        self._short_until = float("-inf")
        self._refusals = 0
        self._unreadable_until: dict[str, float] = {}
        self._number = duties.applied
        self._pending: Applied | None = None
        #: looks on time, and late ones, of the last step
        self.last_looks = (0, 0)

    def recover(self, cursor: Mapping[str, object]) -> None:
        """Apply the changes of the last look again, if the process was killed before they were written.

        `cursor`: of the spool.
        """
        names = cursor.get(WITNESSES_CURSOR)
        self.witnesses.saw(map(str, names) if isinstance(names, list) else ())
        last = Applied.from_json(cursor.get(CURSOR))
        if (0 if last is None else last.number) < self._duties.applied and (
            last is None or last.store_id == self._duties.store_id
        ):
            hint = "spool-changes.db is a new file or an older copy: changes that were not delivered are lost"
            self._log.error("changes_spool_lost", looks=self._duties.applied, hint=hint)
        if last is None:
            return
        if last.store_id == self._duties.store_id and last.number > self._duties.applied + 1:
            self._remember_older_copy(last)
        if self._duties.apply(last):
            self._log.info("look_completed", blocks=len(last.blocks))
        self._number = max(self._duties.applied, last.number if last.store_id == self._duties.store_id else 0)

    def _remember_older_copy(self, last: Applied) -> None:
        """Report that the file is a copy from before the last looks; with exactly_once, report nothing twice."""
        hint = "changes of these looks may be reported again"
        if self._exactly_once:
            self._duties.forget_until(last.at)
            hint = "items that were due since then are looked at without a report: it could be a second one"
        self._log.error("changes_file_older", looks=last.number - self._duties.applied - 1, hint=hint)

    def finish(self) -> None:
        """Write the blocks of the last look, if that failed. Raises ChangesFileError; nothing else may go on then."""
        if self._pending is not None:
            self._duties.apply(self._pending)
            self._pending = None

    def due(self) -> float | None:
        """Return when the next step is due, epoch seconds; None: nothing waits.

        Due items wait a moment for others, until a request is full.
        """
        first = self._duties.next_due(self._streams)
        if first is None:
            return None
        now = self._clock()
        if first <= now < first + self._schedule.gather_s and self._fills_a_request(now):
            return now
        return first + self._schedule.gather_s

    def _fills_a_request(self, now: float) -> bool:
        blocks = self._duties.pick(self._streams, now, _ROOM, in_order=False)
        return sum(len(block.duties) for block in blocks) >= _ROOM

    def step(self) -> int | None:
        """Look at the items that are due first; return the spool's last seq if it has new rows.

        Raises TransientErrors (SpoolError, ChangesFileError too), Unavailable, CredentialsRejected, Stopped.
        """
        now = self._clock()
        blocks = self._choose(now)
        asked = self._names_of(blocks)
        if not asked:
            return None
        added = self._witnesses_for(list(asked))
        try:
            answer = self._requests.items([*asked, *added])
        except QuotaShort:
            self._short_until = now + _SHORT_FOR_S
            raise
        except (TooLarge, TooSlow, RequestRejected) as error:
            if not self._is_refused(asked, error):
                raise
            answer = Answer({}, 0)
        else:
            self._limit = min(MOST_NAMES, self._limit * 2)
        self.witnesses.missed(name for name in added if name not in answer.items)
        self.witnesses.saw(list(answer.items)[-2:])
        return self._store(blocks, self._compare(asked, answer))

    def _choose(self, now: float) -> list[Block]:
        """Choose the blocks of a request: the oldest due first; while the quota is short, posts before comments."""
        short = now < self._short_until
        return self._duties.pick(self._streams, now, min(self._limit, _ROOM), in_order=short)

    def _names_of(self, blocks: Sequence[Block]) -> dict[str, _Asked]:
        """Return the items of a request by fullname; a part of a block may have to wait for the next one."""
        asked: dict[str, _Asked] = {}
        for block in blocks:
            kind = self._kinds[block.stream]
            for duty in block.duties:
                if len(asked) < self._limit:
                    name = f"{kind.prefix}_{duty.id}"
                    asked[name] = _Asked(name, kind, block, duty)
        return asked

    def _witnesses_for(self, names: list[str]) -> list[str]:
        """Return names of items that exist, to add to a request."""
        room = MOST_NAMES - len(names)
        if (chosen := self.witnesses.choose(names, room)) or room <= 0:
            return chosen
        for block in reversed(self._duties.newest(self._streams, _SEARCHED)):
            there = [duty for duty in block.duties if not duty.known.absent and duty.known.visibility is not _GONE]
            self.witnesses.saw(f"{self._kinds[block.stream].prefix}_{duty.id}" for duty in there[-2:])
        return self.witnesses.choose(names, room)

    def _is_refused(self, asked: Mapping[str, _Asked], error: TransientError) -> bool:
        """Ask for fewer names next time; return whether the only one of a request is refused repeatedly."""
        if len(asked) > 1:
            self._limit = max(1, len(asked) // 2)
            self._refusals = 0
            return False
        self._refusals += 1
        if self._refusals < _MOST_TRIES:
            return False
        self._log.error("item_not_served", name=next(iter(asked)), error=str(error), hint="it is asked for again later")
        return True

    def _compare(self, asked: Mapping[str, _Asked], answer: Answer) -> _Found:
        found = _Found(counts=Counter(foreign_answers=answer.foreign))
        now = self._clock()
        missing = []
        for name, one in asked.items():
            if name not in answer.items:
                missing.append(one)
                continue
            item = answer.items[name][1]
            shown = shown_of(record_maker(one.kind.name)(item, ""), item.data)
            if is_odd(one.duty.known, shown):
                self._wait(found, [one])
                continue
            self._add(found, one, compare(one.duty.known, shown), now, subreddit=item.subreddit, seen=(item, shown))
        if missing and answer.items:
            # items of a subreddit that cannot be read are not shown
            shown_of_these = {item.subreddit.lower() for _, item in answer.items.values()}
            self._miss(found, missing, shown_of_these, now)
        elif missing:
            self._wait(found, missing)
        return found

    def _wait(self, found: _Found, items: Sequence[_Asked]) -> None:
        """Leave these items as they are, and look again later."""
        self._log.warning("answer_proves_nothing", names=len(items), hint="these items are asked for again later")
        found.undecided += [one.key for one in items]
        found.counts["looks_undecided"] += len(items)

    def _miss(self, found: _Found, missing: Sequence[_Asked], open_ones: set[str], now: float) -> None:
        """Decide about items that the answer does not show, although it shows others, of the subreddits `open_ones`."""
        subreddits = self._duties.names(one.duty.subreddit for one in missing)
        waiting = {subreddits[one.duty.subreddit] for one in missing if one.duty.known.absent}
        waiting |= {subreddits[one.duty.subreddit] for one in missing if self._is_forgotten(one)}
        unknown = sorted(name for name in waiting if name.lower() not in open_ones)
        readable = open_ones | self._readable_now(unknown, now)
        for one in missing:
            subreddit = subreddits[one.duty.subreddit]
            # no second look, which would report what may have been reported
            known = replace(one.duty.known, absent=one.duty.known.absent or self._is_forgotten(one))
            look = miss(known, confirms=subreddit.lower() in readable)
            self._add(found, one, look, now, subreddit=subreddit)

    def _add(
        self,
        found: _Found,
        one: _Asked,
        look: Look,
        now: float,
        *,
        subreddit: str,
        seen: tuple[Item, Shown] | None = None,
    ) -> None:
        """Add the result of one look; `seen`: the item, if Reddit shows it."""
        item, shown = seen or (None, None)
        found.looked[one.key] = look.known
        created = one.duty.created
        events = event_records(
            look, one.kind, fullname=one.name, subreddit=subreddit, created=created, shown=shown, now=now
        )
        if self._is_forgotten(one):
            found.counts["changes_unreported"] += len(events)
        else:
            found.records += events
            found.counts.update(f"op_{change.op.value}" for change in look.changes)
            found.counts["captured"] += len(events)
        if self._latest:
            row = latest_record(look, one.kind, item, fullname=one.name, now=now, full=self._full)
            found.records += [row] if row is not None else []
        on_time = self._schedule.is_on_time(one.block.base, one.block.due, now)
        found.counts.update(("checked", f"checked_{one.kind.name}", "looks_on_time" if on_time else "looks_late"))

    def _is_forgotten(self, one: _Asked) -> bool:
        """Return whether the look that is due may have been made already, and its result is lost."""
        return one.block.due <= self._duties.forgotten_until

    def _readable_now(self, subreddits: Sequence[str], now: float) -> set[str]:
        """Return which of these subreddits can be read, in lower case."""
        unknown = [name for name in subreddits if name and self._unreadable_until.get(name.lower(), 0.0) <= now]
        found: set[str] = set()
        for start in range(0, len(unknown), MOST_NAMES):
            part = {name.lower() for name in unknown[start : start + MOST_NAMES]}
            readable = self._requests.readable(sorted(part)) & part
            found |= readable
            self._unreadable_until |= dict.fromkeys(part - readable, now + _UNREADABLE_FOR_S)
        if len(self._unreadable_until) > 10 * MOST_NAMES:
            self._unreadable_until.clear()
        return found

    def _store(self, blocks: Sequence[Block], found: _Found) -> int | None:
        """Write everything: first the spool, which decides, then the blocks."""
        now, duties = self._clock(), self._duties
        settled = settle(
            blocks,
            found.looked,
            frozenset(found.undecided),
            now=now,
            schedule=self._schedule,
            next_id=duties.next_id,
        )
        found.counts.update(looks_skipped=settled.skipped, looks_dropped=settled.dropped)
        applied = Applied(duties.store_id, self._number + 1, settled.changes, now)
        counters = {name: count for name, count in found.counts.items() if count}
        cursor: dict[str, object] = {CURSOR: applied.to_json(), WITNESSES_CURSOR: self.witnesses.names()}
        last_seq = self._writer.commit(Batch(found.records, cursor=cursor, counters=counters))
        self._number, self._pending = applied.number, applied
        self.finish()
        self._refusals = 0
        self.last_looks = found.counts["looks_on_time"], found.counts["looks_late"]
        return last_seq if found.records else None
