"""Distinguishes a 429 about one request from one about the quota. Pure: times are arguments.

A 429 stops every process of the client id. If one request is refused repeatedly while requests for other names are
served in between, the cause is not the quota: then it is an error of this request, and its names are searched for the
refused one (streams.capture.bad_name_search).
"""

from dataclasses import dataclass

from core.reddit.name_limits import NameLimits
from core.reddit.request_errors import RequestRejected

#: Seconds for which the knowledge about a name is used.
_KNOWN_FOR = 3600.0

#: A refusal is about the name only if another request was served within this time, seconds.
_SERVED_WITHIN = 60.0


class RequestLimited(RequestRejected):
    """A 429 that concerns only the names of this request."""

    def __init__(self) -> None:
        super().__init__(429, "Reddit answers 429 to this request only, and serves others")


@dataclass(slots=True)
class _Refusal:
    """The refusals of one path since it was last served."""

    since: float
    #: refused once, with the time to wait: mostly it applies to all requests, so it needs no control request
    once_with_delay: bool


class LimitedNames:
    """Records which requests were answered 429, what was served meanwhile, and which names may be the reason."""

    def __init__(self) -> None:
        self._limits = NameLimits()
        #: by path
        self._refusals: dict[str, _Refusal] = {}
        #: by name, when a request with it was last served
        self._served_at: dict[str, float] = {}
        #: names that may be the reason of a refusal, and until when that is assumed
        self._suspects: dict[str, float] = {}
        self._last_served_at = float("-inf")
        self._turn = 0

    def served(self, path: str, now: float) -> None:
        """Record an answer other than 429."""
        self._limits.served(path, now)
        self._last_served_at = now
        self._refusals.pop(path, None)
        for name in names_of(path):
            self._served_at[name] = now
            self._suspects.pop(name, None)

    def refused(self, path: str, now: float, *, has_delay: bool) -> bool:
        """Record a 429; return whether it concerns this request only. `has_delay`: it contains the time to wait."""
        names = names_of(path)
        refusal = self._refusals.get(path)
        if refusal is None:
            refusal = self._refusals[path] = _Refusal(now, has_delay)
        else:
            refusal.once_with_delay = False
        known = [name for name in names if self._suspects.get(name, now) > now]
        if self._limits.refused(path, now, has_delay=has_delay):
            suspects = [name for name in names if self._served_at.get(name, float("-inf")) < refusal.since]
            self._suspects |= dict.fromkeys(suspects or names, now + _KNOWN_FOR)
            return True
        if not known or now - self._last_served_at > _SERVED_WITHIN:
            return False
        self._suspects |= dict.fromkeys(known, now + _KNOWN_FOR)
        return True

    def control(self, path: str) -> str | None:
        """Return the request to send before this refused path: it shows whether every request must wait.

        It lists no items: an item that is shown must be captured.
        """
        refusal = self._refusals.get(path)
        if refusal is None or refusal.once_with_delay or not self._limits.needs_control(path):
            return None
        names = names_of(path)
        candidates = names if len(names) > 1 else [*(name for name in self._served_at if name not in names)]
        if not candidates:
            return None
        self._turn += 1
        return f"/r/{candidates[self._turn % len(candidates)]}/about"


def names_of(path: str) -> list[str]:
    """Return the subreddits in a path, in lower case."""
    parts = path.split("/")
    return [name.lower() for name in parts[2].split("+")] if len(parts) > 2 and parts[1] == "r" else []
