"""Finds the suspects among many names with /api/info?sr_name=…, which tells of 100 subreddits at once what they are.

The answer decides nothing: it only orders the requests of a search. Readable names are then requested together, and
each suspect alone. A server without this parameter leaves the search as it is.
"""

from collections.abc import Iterable, Mapping, Sequence
from itertools import islice

#: Names in one request (facts: /api/info takes 100).
AT_ONCE = 100

#: A smaller search needs fewer requests than a survey saves.
FROM_NAMES = 32

#: Types of subreddits that some accounts cannot read.
_CLOSED = frozenset({"private", "employees_only", "gold_only"})


class NameSurvey:
    """One survey. Request `next()`, then call `take` with the answer, until `done`."""

    def __init__(self, names: Sequence[str]) -> None:
        self._waiting = list(names)
        self._readable: set[str] = set()
        self._names = tuple(names)

    @property
    def done(self) -> bool:
        """Whether all names were requested, or are known."""
        return not self._waiting

    def next(self, others: Iterable[str] = ()) -> tuple[str, ...]:
        """Return the names to request now; `others`, which later surveys need, fill the request up."""
        own = self._waiting[:AT_ONCE]
        return (*own, *islice(others, AT_ONCE - len(own)))

    def waiting(self) -> tuple[str, ...]:
        """Return all names that are still to be requested."""
        return tuple(self._waiting)

    def learn(self, known: Mapping[str, bool]) -> None:
        """Record what another survey has found lately: name → whether it is readable."""
        self._readable |= {name.lower() for name, readable in known.items() if readable}
        self._waiting = [name for name in self._waiting if name not in known]

    def take(self, answer: object) -> set[str]:
        """Process the answer to `next()`, any decoded JSON; return the readable names, in lower case."""
        del self._waiting[:AT_ONCE]
        found = readable_names(answer)
        self._readable |= found
        return found

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
