"""Tell a 429 that is about one subreddit from one that is about the quota. Pure: moments come in.

A 429 stops every process of the client id. Where one request is refused again and again while requests for other names
are served in between, the quota is not what it is about: then it is an error of this request, and the names in it are
searched for the one that is refused (streams.capture.bad_name_search).
"""

from core.reddit.name_limits import NameLimits
from core.reddit.request_errors import RequestRejected

#: What is known of a name is used for this long, seconds.
_KNOWN_FOR = 3600.0

#: Another request must have been served within this time for a name to be refused for its own sake, seconds.
_SERVED_WITHIN = 60.0


class NameLimited(RequestRejected):
    """A 429 that is about the names of this request only."""

    def __init__(self) -> None:
        super().__init__(429, "429 for this request only, others are served")


class LimitedNames:
    """Remembers which requests were answered 429, what was served meanwhile, and which names may be the reason."""

    def __init__(self) -> None:
        self._requests = NameLimits()
        self._served_at: dict[str, float] = {}
        self._refused_at: dict[str, float] = {}
        #: names that may be refused for their own sake, and until when that is assumed
        self._suspects: dict[str, float] = {}
        #: requests refused once, with the time to wait: most often that is meant for all, and no control is worth it
        self._told_once: set[str] = set()
        self._newest = float("-inf")
        self._turn = 0

    def served(self, path: str, now: float) -> None:
        """Note an answer other than 429."""
        self._requests.served(path, now)
        self._newest = now
        self._refused_at.pop(path, None)
        self._told_once.discard(path)
        for name in names_of(path):
            self._served_at[name] = now
            self._suspects.pop(name, None)

    def refused(self, path: str, now: float, *, told: bool) -> bool:
        """Note a 429; return whether it is about this request only. `told`: it names the time to wait."""
        names = names_of(path)
        if told and path not in self._refused_at:
            self._told_once.add(path)
        else:
            self._told_once.discard(path)
        since = self._refused_at.setdefault(path, now)
        known = [name for name in names if self._suspects.get(name, now) > now]
        if self._requests.refused(path, now, told=told):
            suspects = [name for name in names if self._served_at.get(name, float("-inf")) < since]
            self._suspects |= dict.fromkeys(suspects or names, now + _KNOWN_FOR)
            return True
        if not known or now - self._newest > _SERVED_WITHIN:
            return False
        self._suspects |= dict.fromkeys(known, now + _KNOWN_FOR)
        return True

    def control(self, path: str) -> str | None:
        """Return what to request before this path, which was refused: it shows whether everybody has to wait.

        It lists nothing: an item that is shown must be captured.
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
    """Return the subreddits that a path names, in lower case."""
    parts = path.split("/")
    return [name.lower() for name in parts[2].split("+")] if len(parts) > 2 and parts[1] == "r" else []
