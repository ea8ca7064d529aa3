"""Packs subreddits into groups that share one request, so that no request path is too long. Pure."""

import math
from collections.abc import Sequence

from streams.reddit.listing_page import listing_path

#: Longest path and query of a request, bytes. 468 names work, 10,031 bytes were answered with 414 (docs: facts).
PATH_LIMIT = 6_000

#: What the query adds to the path at most: limit, after (a fullname of up to 16 characters), raw_json.
_QUERY = len("?limit=100&after=t1_0123456789abc&raw_json=1")

#: Listings of other subreddits' items. Each is its own group: its items prove nothing about named subreddits.
_COLLECTIVE = frozenset({"all", "popular", "mod", "friends"})


def is_collective(name: str) -> bool:
    """Return whether this name lists the items of other subreddits."""
    return name.lower() in _COLLECTIVE


def pack(subreddits: Sequence[str], stream: str, limit: int = PATH_LIMIT) -> tuple[tuple[str, ...], ...]:
    """Split the names into as few groups as possible, of about equal size, in their order.

    A request for a group, with its query, takes fewer than `limit` bytes, unless a single name does not.
    """
    named = [name for name in subreddits if not is_collective(name)]
    groups = [(name,) for name in subreddits if is_collective(name)]
    room = limit - 1 - _QUERY - len(listing_path([], stream).encode())
    total = sum(len(name) + 1 for name in named)
    count = max(1, math.ceil(total / max(1, room)))
    packed = _split(named, count, room)
    return (*packed, *groups)


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
