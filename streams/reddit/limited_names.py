"""Distinguishes a 429 about one subreddit from one about the quota. Pure: times are arguments.

A 429 stops every process of the client id. If one request is refused repeatedly while requests for other names are
served in between, the cause is not the quota: then it is an error of this request, and its names are searched for the
refused one (streams.capture.bad_name_search).
"""

from core.reddit.name_limits import NameLimits
from core.reddit.request_errors import RequestRejected

#: Seconds for which the knowledge about a name is used.
_KNOWN_FOR = 3600.0

#: A refusal is about the name only if another request was served within this time, seconds.
_SERVED_WITHIN = 60.0


class NameLimited(RequestRejected):
    """A 429 that concerns only the names of this request."""

    def __init__(self) -> None:
        super().__init__(429, "429 for this request only, others are served")


class LimitedNames:
    """Records which requests were answered 429, what was served meanwhile, and which names may be the reason."""

    def __init__(self) -> None:
        self._requests = NameLimits()
        self._served_at: dict[str, float] = {}
        self._refused_at: dict[str, float] = {}
        #: names that may be the reason of a refusal, and until when that is assumed
        self._suspects: dict[str, float] = {}
        #: requests refused once, with the time to wait: mostly it applies to all requests: no control request
        self._told_once: set[str] = set()
        self._newest = float("-inf")
        self._turn = 0

    def served(self, path: str, now: float) -> None:
        """Record an answer other than 429."""
        self._requests.served(path, now)
        self._newest = now
        self._refused_at.pop(path, None)
        self._told_once.discard(path)
        for name in names_of(path):
            self._served_at[name] = now
            self._suspects.pop(name, None)

    def refused(self, path: str, now: float, *, told: bool) -> bool:
        """Record a 429; return whether it concerns this request only. `told`: it contains the time to wait."""
        names = names_of(path)
        if told and path not in self._refused_at:
            self._told_once.add(path)
        else:
            self._told_once.discard(path)
        since = self._refused_at.setdefault(path, now)
        known = [name for name in names if self._suspects.get(name, now) > now]
        if self._requests.refused(path, now, has_delay=told):
            suspects = [name for name in names if self._served_at.get(name, float("-inf")) < since]
            self._suspects |= dict.fromkeys(suspects or names, now + _KNOWN_FOR)
            return True
        if not known or now - self._newest > _SERVED_WITHIN:
            return False
        self._suspects |= dict.fromkeys(known, now + _KNOWN_FOR)
        return True

    def control(self, path: str) -> str | None:
        """Return the request to send before this refused path: it shows whether every request must wait.

        It lists no items: an item that is shown must be captured.
        """
        if path not in self._refused_at or path in self._told_once or not self._requests.needs_control(path):
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
