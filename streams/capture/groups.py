"""All groups of a stream: packed by the rates of their subreddits, split where they fail, merged when they may."""

from collections.abc import Iterator, Mapping
from itertools import count

from core.cluster.shards import is_collective
from core.errors import TransientError
from core.periodic import Timer
from core.reddit.request_errors import Unavailable
from core.spool import SpoolError
from core.stream_kinds import stream_names
from streams.capture.bad_name_search import threshold
from streams.capture.group import Group, GroupTools
from streams.capture.group_merging import GroupMerging, Part
from streams.capture.group_packing import PATH_LIMIT, Packing, is_better, pack
from streams.capture.late_items import LateItems
from streams.capture.late_scan import MOST_OWN_SCANS, LateScan
from streams.capture.rates import PollRate
from streams.capture.scheduler import Kind, Task

#: Seconds between two considerations of another packing, for each thousand names; the next one if some group is busy.
_PACK_EVERY_S = 60.0
_PACK_AGAIN_S = 5.0

#: Late items of a burst before the start are searched for in the groups made within this time, seconds.
_RESUMED_FOR_S = 30.0

#: Items met in this time before the start show the rates, seconds; but the very first walks meet older ones.
_RATES_FROM_S = 2700.0
_FIRST_WALKS_S = 600.0

_NEVER = float("inf")


class Groups:
    """The groups of one stream.

    Args:
        subreddits: the configured ones.
        stream: the name of the stream.
        tools: shared by all groups.
        path_limit: bytes of a request's path and query.
    """

    def __init__(
        self, subreddits: tuple[str, ...], stream: str, tools: GroupTools, *, path_limit: int = PATH_LIMIT
    ) -> None:
        self._subreddits = subreddits
        self._places = {name: place for place, name in enumerate(subreddits)}
        self._stream = stream
        self._tools = tools
        self._path_limit = path_limit
        self._log = tools.context.log
        self._clock = tools.clock
        self._started = tools.clock()
        #: whether the stream ran before
        self._resumed = bool(tools.coverage.proven_at)
        self._keys = count(1)
        self._groups: dict[int, Group] = {}
        self._merging = GroupMerging()
        self._packing = Timer(_PACK_EVERY_S * max(1.0, len(subreddits) / 1000))
        self._packing.restart(tools.clock())
        #: the number of groups as packed
        self._packed = 1
        tools.unread = self._unread_names
        self._first_groups()

    def __getitem__(self, key: int) -> Group:
        return self._groups[key]

    @property
    def has_unread(self) -> bool:
        """Whether some groups were never read since the first start."""
        active = self._tools.availability.active
        return any(group.unread and active(group.names) for group in self._groups.values())

    def _unread_names(self) -> Iterator[str]:
        for group in self._groups.values():
            if group.unread:
                yield from self._tools.availability.active(group.names)

    def loads(self) -> dict[int, float]:
        """Return the rate of each group by its key, items per second."""
        return {key: group.pace.rate for key, group in self._groups.items()}

    def replanned(self) -> None:
        """Apply a new plan to the groups."""
        for group in self._groups.values():
            group.replanned()

    def tasks(self) -> list[Task]:
        """Return the pending steps of all groups, and those of `merge_step` and `pack_step`."""
        tasks = [task for group in self._groups.values() for task in group.tasks()]
        tasks.append(Task(Kind.PACK, self._packing.due))
        if self._merging.due < _NEVER:
            tasks.append(Task(Kind.MERGE, self._merging.due))
        return tasks

    # -- packing -----------------------------------------------------------------------------------------------------

    def _first_groups(self) -> None:
        tools, coverage = self._tools, self._tools.coverage
        if self._resumed:
            first_walks_over = (coverage.begun or 0.0) + _FIRST_WALKS_S
            seconds = min(_RATES_FROM_S, coverage.now() - first_walks_over)
            if seconds > 0:
                tools.rates.restore(coverage.count_seen(seconds), coverage.reddit_now())
            known = self._rates()
            self._adopt(self._best_packing(known), known)
            return
        # neighbours in the configuration may all be busy: while no rate is known, they go to different groups
        packing = pack(self._subreddits, self._stream, self._path_limit, rates={})
        self._packed = len(packing)
        order = list(enumerate(packing))
        if self._stream in stream_names()[::2]:
            order.reverse()  # what one stream learns about the names at one end, the other one uses
        for home, names in order:
            self._add(names, home).unread = True

    def _best_packing(self, rates: Mapping[str, float]) -> Packing:
        """Return the best groups for these rates."""
        most = self._tools.pacing.most_groups
        return pack(self._subreddits, self._stream, self._path_limit, rates=rates, most_groups=most)

    def _rates(self) -> Mapping[str, float]:
        return self._tools.rates.rates(self._subreddits, self._tools.coverage.reddit_now())

    def _adopt(self, packing: Packing, rates: Mapping[str, float]) -> None:
        """Replace all groups by these; their next polls are spread over one interval.

        No name loses or repeats an item: a group's walk treats as proven only what each of its names has proven.
        """
        now = self._clock()
        self._packed = len(packing)
        self._groups.clear()
        for home, names in enumerate(packing):
            rate = sum(rates[name] for name in names)
            group = self._add(names, home, PollRate(rate) if rate > 0 else None)
            group.next_poll = now + self._tools.pacing.interval(rate) * home / len(packing)

    def pack_step(self) -> bool:
        """Pack the subreddits anew if their rates allow clearly better groups; return whether the groups changed."""
        self._packing.restart(self._clock())
        if self._merging.due < _NEVER:
            return False  # some groups are split because they fail
        if not all(group.calm for group in self._groups.values()):
            self._packing.restart(self._clock(), first=_PACK_AGAIN_S)
            return False
        current = tuple(group.names for group in self._groups.values())
        rates = self._rates()
        candidate = self._best_packing(rates)
        if not is_better(candidate, current, rates):
            return False
        self._adopt(candidate, rates)
        self._log.info("groups_packed", groups=len(candidate), groups_before=len(current))
        return True

    def _add(self, names: tuple[str, ...], home: int, pace: PollRate | None = None) -> Group:
        tools, key = self._tools, next(self._keys)
        # after a kill, a burst is not recorded
        resumed = self._resumed and tools.was_away and self._clock() - self._started < _RESUMED_FOR_S
        most_own = max(1, MOST_OWN_SCANS // self._packed)
        scan = LateScan(self._clock, resumed=resumed, most_own=most_own, is_shallow=lambda: tools.pacing.is_crowded)
        late_items = LateItems(tools.coverage, tools.fetcher, tools.context, tools.late_scan_log, scan)
        collective = len(names) == 1 and is_collective(names[0])
        group = Group(key, names, tools, late_items, collective=collective, home=home)
        if pace is not None:
            group.pace = pace
        self._groups[key] = group
        return group

    # -- splits and mergers ------------------------------------------------------------------------------------------

    def split_where_needed(self, key: int) -> None:
        """Split a group whose request fails only as a whole into two."""
        group = self._groups[key]
        if not group.must_split or len(group.names) < 2:
            return
        del self._groups[key]
        middle = len(group.names) // 2
        for names in (group.names[:middle], group.names[middle:]):
            self._add(names, group.home, group.pace).unread = group.unread
        self._merging.split(self._clock())
        self._log.warning("group_split", subreddits=len(group.names), groups=len(self._groups))

    def _parts(self) -> list[Part]:
        """Describe the groups for the choice of the two to merge."""
        return [
            Part(group.key, group.home, self._places[group.names[0]], len(group.names))
            for group in self._groups.values()
        ]

    def merge_step(self) -> None:
        """Merge two groups that were split, if a request for all of their names is answered now."""
        now, chosen = self._clock(), self._merging.choose(self._parts())
        if chosen is None:
            self._merging.due = _NEVER
            return
        one, two = (self._groups[key] for key in chosen)
        if not (one.calm and two.calm and self._tools.availability.active((*one.names, *two.names))):
            self._merging.postpone(now)
            return
        try:
            one.probe(two.names)
        except (Unavailable, TransientError) as error:
            if isinstance(error, SpoolError):
                raise
            if isinstance(error, TransientError) and threshold(error) is None:
                self._merging.postpone(now)
                return
            self._merging.refused(now)
            self._log.info("groups_stay_split", error=str(error), groups=len(self._groups))
            return
        self._merge(one, two)

    def _merge(self, one: Group, two: Group) -> None:
        for key in (one.key, two.key):
            del self._groups[key]
        self._add((*one.names, *two.names), one.home, PollRate(one.pace.rate + two.pace.rate))
        self._merging.merged(self._clock())
        self._log.info("groups_merged", subreddits=len(one.names) + len(two.names), groups=len(self._groups))
