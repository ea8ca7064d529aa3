"""The proven moments of subreddits that are proven together: one row for all of them in the table `cursor`.

A walk over hundreds of subreddits proves all of them up to the same moments. With a row per subreddit, each poll would
write hundreds of rows. So the names of such a group are written once (`group/7`), and each poll writes one row with
their moments (`proof/7`). When a change concerns only a part of the names, or other names with them, the group ends:
its names get rows of their own again. Readers get the moments of each name from `ungrouped`.
"""

import math
from collections.abc import Iterable, Mapping

import orjson

#: A walk over fewer names writes a row for each.
FEWEST = 16

_NAMES, _PROOF = "group/", "proof/"
_AT, _UNTIL = "proven_at", "proven_until"

Rows = dict[str, str | None]


def is_of_group(key: str) -> bool:
    """Return whether a row of the table `cursor` belongs to a group."""
    return key.startswith((_NAMES, _PROOF))


def ungrouped(rows: Iterable[tuple[str, str]]) -> dict[str, str]:
    """Return rows of the table `cursor` with rows for each subreddit instead of those for groups.

    A group without valid rows counts as absent: its names are proven again. Of two moments, the earlier one counts.
    """
    stored = dict(rows)
    plain = {key: text for key, text in stored.items() if not is_of_group(key)}
    for names, moments in _groups(stored).values():
        for value, moment in zip((_AT, _UNTIL), moments, strict=True):
            text = _encode(moment)
            for name in names:
                key = f"{value}/{name}"
                plain[key] = _earlier(plain[key], text) if key in plain else text
    return plain


def _groups(rows: Mapping[str, str]) -> dict[int, tuple[tuple[str, ...], tuple[float, float]]]:
    found = {}
    for key, text in rows.items():
        if not key.startswith(_NAMES):
            continue
        number = key.removeprefix(_NAMES)
        try:
            names, moments = orjson.loads(text), orjson.loads(rows[_PROOF + number])
            at, until = map(float, moments)
            if all(isinstance(name, str) for name in names) and math.isfinite(at + until):
                found[int(number)] = tuple(names), (at, until)
        except (KeyError, ValueError, TypeError):
            continue
    return found


class GroupRows:
    """The groups of one spool file, as its writer knows them.

    `rows` returns the rows of a change; `committed` confirms that they are written.
    """

    def __init__(self, rows: Mapping[str, str]) -> None:
        """Read the groups from the rows of the table `cursor`."""
        self._groups = _groups(rows)
        self._group_of = {name: number for number, (names, _) in self._groups.items() for name in names}
        tails = [key.partition("/")[2] for key in rows if is_of_group(key)]
        self._next = 1 + max([int(tail) for tail in tails if tail.isdecimal()], default=0)
        self._ended: set[int] = set()
        self._changed: tuple[int, tuple[str, ...], tuple[float, float]] | None = None

    def rows(self, entries: Mapping[str, object]) -> tuple[Rows, dict[str, object]]:
        """Return the rows that a change needs for groups, and the entries that are left for rows of their own."""
        self._ended, self._changed = set(), None
        at, until = entries.get(_AT), entries.get(_UNTIL)
        at = at if isinstance(at, Mapping) else {}
        until = until if isinstance(until, Mapping) else {}
        moments = _common(at, until)
        if moments is None:
            return self._end({self._group_of[name] for name in (*at, *until) if name in self._group_of}), dict(entries)
        names = tuple(at)
        number = self._group_of.get(names[0], 0)
        rows: Rows = {}
        if number == 0 or self._groups[number][0] != names:
            rows = self._end({self._group_of[name] for name in names if name in self._group_of})
            rows |= {f"{value}/{name}": None for value in (_AT, _UNTIL) for name in names}
            number = self._next
            rows[f"{_NAMES}{number}"] = orjson.dumps(names).decode()
        rows[f"{_PROOF}{number}"] = orjson.dumps(moments).decode()
        self._changed = number, names, moments
        return rows, {key: value for key, value in entries.items() if key not in (_AT, _UNTIL)}

    def _end(self, numbers: set[int]) -> Rows:
        rows: Rows = {}
        for number in numbers:
            names, (at, until) = self._groups[number]
            rows |= {f"{_NAMES}{number}": None, f"{_PROOF}{number}": None}
            rows |= {f"{_AT}/{name}": _encode(at) for name in names}
            rows |= {f"{_UNTIL}/{name}": _encode(until) for name in names}
        self._ended = numbers
        return rows

    def committed(self) -> None:
        """Record that the rows of the last change are written."""
        for number in self._ended:
            for name in self._groups.pop(number)[0]:
                self._group_of.pop(name, None)
        if self._changed is not None:
            number, names, moments = self._changed
            if number not in self._groups:
                self._group_of |= dict.fromkeys(names, number)
                self._next = number + 1
            self._groups[number] = names, moments
        self._ended, self._changed = set(), None


def _common(at: Mapping[str, object], until: Mapping[str, object]) -> tuple[float, float] | None:
    """Return the moments that all names of a change have; None if they differ, or there are few names."""
    if len(at) < FEWEST or at.keys() != until.keys():
        return None
    first, last = set(at.values()), set(until.values())
    if len(first) != 1 or len(last) != 1:
        return None
    one, other = first.pop(), last.pop()
    if isinstance(one, float) and isinstance(other, float) and math.isfinite(one + other):
        return one, other
    return None


def _earlier(one: str, other: str) -> str:
    try:
        return min(one, other, key=float)
    except ValueError:
        return other


def _encode(moment: float) -> str:
    return orjson.dumps(moment).decode()
