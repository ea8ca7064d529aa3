"""Finds the suspects among many names with /api/info?sr_name=…, which tells of 100 subreddits at once what they are.

The answer decides nothing: it only orders the requests of a search. Readable names are then requested together, and
each suspect alone. A server without this parameter leaves the search as it is.
"""

from collections.abc import Mapping, Sequence

#: Names in one request (facts: /api/info takes 100).
AT_ONCE = 100

#: A smaller search needs fewer requests than a survey saves.
FROM_NAMES = 32

#: Types of subreddits that some accounts cannot read.
_CLOSED = frozenset({"private", "employees_only", "gold_only"})


class NameSurvey:
    """One survey. Request `next()`, then call `take` with the answer, until `done`."""

    def __init__(self, names: Sequence[str]) -> None:
        self._waiting = [tuple(names[start : start + AT_ONCE]) for start in range(0, len(names), AT_ONCE)]
        self._readable: set[str] = set()
        self._names = tuple(names)

    @property
    def done(self) -> bool:
        """Whether all names were requested."""
        return not self._waiting

    def next(self) -> tuple[str, ...]:
        """Return the names to request now."""
        return self._waiting[0]

    def take(self, answer: object) -> None:
        """Process the answer to `next()`, any decoded JSON."""
        self._waiting.pop(0)
        self._readable |= readable_names(answer)

    def suspects(self) -> tuple[str, ...]:
        """Return the names that are perhaps not readable, in their order; none if the server names no subreddit."""
        if not self._readable:
            return ()
        return tuple(name for name in self._names if name.lower() not in self._readable)


def readable_names(answer: object) -> set[str]:
    """Return the subreddits in lower case that a listing of subreddits (t5) describes as readable."""
    listing = answer.get("data") if isinstance(answer, Mapping) else None
    children = listing.get("children") if isinstance(listing, Mapping) else None
    found = set()
    for child in children if isinstance(children, list) else ():
        data = child.get("data") if isinstance(child, Mapping) and child.get("kind") == "t5" else None
        if isinstance(data, Mapping) and isinstance(name := data.get("display_name"), str) and _is_readable(data):
            found.add(name.lower())
    return found


def _is_readable(data: Mapping[str, object]) -> bool:
    kind = data.get("subreddit_type")
    return not (isinstance(kind, str) and kind in _CLOSED) and data.get("quarantine") is not True
