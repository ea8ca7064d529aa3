"""Packs subreddits into groups that share one request: short enough paths, and balanced rates. Pure.

The listing of a group holds 1,000 items. A group whose items arrive slowly can wait longer for its next request
without loss, so the busiest subreddits get small groups, and the quiet ones fill the paths.
"""

import heapq
import math
from collections.abc import Iterable, Mapping, Sequence
from functools import lru_cache

from core.cluster.shards import is_collective
from streams.reddit.listing_page import listing_path

#: Longest path and query of a request, bytes. 468 names work, 10,031 bytes were answered with 414 (docs: facts).
PATH_LIMIT = 6_000

#: Items per second at which the 1,000 items of a listing last for ten minutes.
CALM_RATE = 1000 / 600

#: After a loss, each subreddit's own listing is read: that is cheap for this number of them, and more groups are not.
_FEW = 25

#: What the query adds to the path at most: limit, after (a fullname of up to 16 characters), raw_json.
_QUERY = len("?limit=100&after=t1_0123456789abc&raw_json=1")

#: A packing is better with at most this share of the groups, or with a busiest group this many times less busy.
_FEWER = 0.75
_CALMER = 1.5

Packing = tuple[tuple[str, ...], ...]


@lru_cache(maxsize=256)
def _lowered(names: tuple[str, ...]) -> tuple[str, ...]:
    return tuple(name.lower() for name in names)


def lower_names(names: Iterable[str]) -> tuple[str, ...]:
    """Return the names in lower case; a group's names are converted once."""
    return _lowered(names if isinstance(names, tuple) else tuple(names))


def pack(
    subreddits: Sequence[str],
    stream: str,
    limit: int = PATH_LIMIT,
    *,
    rates: Mapping[str, float] | None = None,
    most_groups: int = 1,
) -> Packing:
    """Split the names into groups, each in the order of the names.

    A request for a group, with its query, takes fewer than `limit` bytes, unless a single name does not.

    Args:
        subreddits: the names.
        stream: the name of the stream; its listing's path counts.
        limit: bytes.
        rates: items per second of each name; without them, as few groups as possible, of about equal path length.
        most_groups: with `rates`, groups are added up to this number until no group exceeds `CALM_RATE`, unless there
            are few names. If the path length requires more groups than that, there are more.
    """
    named = [name for name in subreddits if not is_collective(name)]
    collective = [(name,) for name in subreddits if is_collective(name)]
    room = limit - 1 - _QUERY - len(listing_path([], stream).encode())
    total = sum(len(name) + 1 for name in named)
    fewest = max(1, math.ceil(total / max(1, room)))
    if rates is None:
        return (*_split(named, fewest, room), *collective)
    wanted = math.ceil(sum(rates.get(name, 0.0) for name in named) / CALM_RATE) if len(named) > _FEW else 1
    count = max(fewest, min(wanted, most_groups - len(collective), len(named)))
    return (*_balance(named, count, room, rates), *collective)


def is_better(candidate: Packing, current: Packing, rates: Mapping[str, float]) -> bool:
    """Return whether a new packing is worth the move: each moved name costs a slightly deeper walk once."""
    if len(candidate) <= _FEWER * len(current):
        return True
    busiest = _busiest(current, rates)
    return busiest > CALM_RATE and busiest > _CALMER * _busiest(candidate, rates)


def _busiest(packing: Packing, rates: Mapping[str, float]) -> float:
    """Return the rate of the busiest group; one without another name cannot be split."""
    return max((sum(rates.get(name, 0.0) for name in group) for group in packing if len(group) > 1), default=0.0)


def _split(names: Sequence[str], count: int, room: int) -> list[tuple[str, ...]]:
    """Fill `count` groups evenly; more where an even share does not fit."""
    if not names:
        return []
    share = sum(len(name) + 1 for name in names) / count
    groups: list[list[str]] = [[]]
    size = 0
    for name in names:
        weight = len(name) + 1
        if groups[-1] and (size + weight - 1 > room or (size >= share and len(groups) < count)):
            groups.append([])
            size = 0
        groups[-1].append(name)
        size += weight
    return [tuple(group) for group in groups]


def _balance(names: Sequence[str], count: int, room: int, rates: Mapping[str, float]) -> list[tuple[str, ...]]:
    """Give each name, the busiest first, to the group with the lowest rate that has room for it."""
    places = {name: place for place, name in enumerate(names)}
    members: list[list[str]] = [[] for _ in range(count)]
    used = [0] * count
    heap = [(0.0, 0, group) for group in range(count)]
    for name in sorted(names, key=lambda name: (-rates.get(name, 0.0), places[name])):
        full = []
        while heap and used[heap[0][2]] + len(name) > room and members[heap[0][2]]:
            full.append(heapq.heappop(heap))
        if not heap:
            heap.append((0.0, 0, len(members)))
            members.append([])
            used.append(0)
        rate, _, group = heapq.heappop(heap)
        members[group].append(name)
        used[group] += len(name) + 1
        # groups of equal rate fill evenly; a group that was full for this name may have room for a shorter one
        for entry in (*full, (rate + rates.get(name, 0.0), used[group], group)):
            heapq.heappush(heap, entry)
    return [tuple(sorted(group, key=places.__getitem__)) for group in members if group]
