"""Distinguishes a 429 for one address from one for all our requests. Pure: moments are arguments.

A 429 makes all processes wait, the streams too. If one address is refused repeatedly while others are served in
between, the quota is not the cause: then only that address waits.
"""

from collections import OrderedDict
from dataclasses import dataclass

#: Refusals of one address, with an answer for another one between them, that show that they are about this address.
_OWN = 2

#: The same when the 429 names a time to wait: that is most often meant for all.
_OWN_WITH_DELAY = 3

#: Seconds for which that conclusion is valid.
_KNOWN_FOR = 3600.0

#: Most addresses that are remembered.
_REMEMBERED = 200


@dataclass(slots=True)
class _Refused:
    """The refusals of one address since it was last served."""

    at: float
    count: int = 1
    own_until: float = float("-inf")


class NameLimits:
    """Remembers which addresses were answered 429, and which were served meanwhile."""

    def __init__(self) -> None:
        self._refused: OrderedDict[str, _Refused] = OrderedDict()
        self._newest: tuple[str, float] = ("", float("-inf"))
        self._before = float("-inf")  # when an address other than the newest was served last

    def served(self, path: str, now: float) -> None:
        """Record an answer other than 429."""
        if path != self._newest[0]:
            self._before = self._newest[1]
        self._newest = (path, now)
        self._refused.pop(path, None)

    def refused(self, path: str, now: float, *, has_delay: bool) -> bool:
        """Record a 429; return whether it is about this address alone. `has_delay`: it names a time to wait."""
        known = self._refused.setdefault(path, _Refused(now, 0))
        self._refused.move_to_end(path)
        if len(self._refused) > _REMEMBERED:
            self._refused.popitem(last=False)
        if known.count == 0 or self._other_served(path) > known.at:  # refusals of one moment count as one
            known.count += 1
            known.at = now
        if known.count >= (_OWN_WITH_DELAY if has_delay else _OWN):
            known.own_until = now + _KNOWN_FOR
        return now < known.own_until

    def needs_control(self, path: str) -> bool:
        """Return whether another address should be requested first: none was served since this one was refused."""
        known = self._refused.get(path)
        return known is not None and self._other_served(path) <= known.at

    def _other_served(self, path: str) -> float:
        newest, at = self._newest
        return self._before if newest == path else at
