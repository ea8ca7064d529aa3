"""Decides what caused failed requests: the requested name, the proxy, or Reddit and the account. Pure.

Several proxies fail for one name: the name is the cause. One proxy fails for many names while others get answers:
the proxy is the cause. All proxies fail for all names: Reddit or the account is the cause. Where this cannot be decided
from what is known, one request for a recently served path (the control) decides. The kind of failure does not matter.
"""

import enum
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field

from core.errors import GaplessError, PermanentError
from core.reddit.limiter import QuotaFileError
from core.reddit.request_errors import QuotaShort, RateLimited, TokenRejected, Unavailable, Unreachable
from scraper.http.proxy.siblings import Sibling
from scraper.http.transport.route import ProxyRefused, ProxyResting
from scraper.reddit.redirect import SameElsewhere
from scraper.reddit.refusal import PathLimited, Unproven

#: Failures in a row (by weight) that raise a suspicion; fewer after no answer for as long as a request may take.
_SUSPICIOUS = 5.0
_SUSPICIOUS_IN_SILENCE = 2.0

#: The weight of failures that are also common among good answers (a deleted user's 404).
_WEAK = 0.5

#: Faults in a row for this many names need no control: no single name breaks the requests for others.
_SURE_ITEMS = 3

#: A proxy is unreliable when this share of its last attempts failed, for several names, and a sibling is reliable. The
#: window is large enough that a bad network, where one in eight fails, never comes near.
_WINDOW = 40
_UNRELIABLE = 0.5
_SEVERAL = 5

#: A name that was found to be the cause does not count against the proxy for this time, seconds.
_BLAMED_FOR = 600.0

#: At most this many names are blamed at once; where more fail, the cause is elsewhere.
_MOST_BLAMED = 3

#: How many names with failures are remembered.
_REMEMBERED = 100


class Sign(enum.Enum):
    """What the end of one attempt shows."""

    GOOD = "an answer from Reddit"
    WEAK = "a refusal without a reason, of a kind that is common"
    BAD = "an answer without data, from any server"
    FAULT = "no answer"
    OWN = "the proxy reports that it does not forward requests"
    NOTHING = "a wait that applies to all requests"


def sign_of(error: GaplessError | None) -> Sign:
    """Return what the end of an attempt shows; an error that is not listed here counts as a bad answer."""
    match error:
        case None:
            return Sign.GOOD
        case Unavailable():
            return Sign.GOOD if error.named else (Sign.WEAK if error.reason == "missing" else Sign.BAD)
        case RateLimited() | ProxyResting() | QuotaShort() | QuotaFileError() | PermanentError():
            return Sign.NOTHING
        case Unproven() | SameElsewhere() | PathLimited():
            return Sign.NOTHING
        case TokenRejected():
            return Sign.WEAK
        case ProxyRefused():
            return Sign.OWN
        case Unreachable():
            return Sign.FAULT
    return Sign.WEAK if getattr(error, "common", False) else Sign.BAD


def item_of(path: str) -> str:
    """Return the subreddit or user of a path, such as `r/bitcoin`; empty for other paths."""
    first, _, rest = path.lstrip("/").partition("/")
    return f"{first}/{rest.partition('/')[0]}".lower() if first in {"r", "user"} else ""


class Blame(enum.Enum):
    """The cause of the failures."""

    NOBODY = "none: the failures are as common everywhere"
    ITEM = "the requested names"
    PROXY = "the proxy"
    EVERYBODY = "Reddit, the account or the network: nothing works"


@dataclass(slots=True)
class FailureRun:
    """Failures since the last good answer."""

    since: float | None = None  #: time of the first failure
    weight: float = 0.0
    faults: int = 0  #: attempts without an answer
    own: int = 0  #: attempts that the proxy itself refused
    items: set[str] = field(default_factory=set)

    @property
    def is_sure(self) -> bool:
        """Whether no single name can be the cause."""
        enough = _SUSPICIOUS
        return self.own >= enough or (self.faults + self.own >= enough and len(self.items) >= _SURE_ITEMS)


class Evidence:
    """The results of the attempts through one proxy. Times are seconds of one clock."""

    def __init__(self, silence: float, began: float) -> None:
        """`silence`: the longest time that one request may take, seconds."""
        self.run = FailureRun()
        self.failures = 0  #: in a row, including blamed names; weak ones do not count
        self.good_at: float | None = None
        self._began = began
        self._silence = silence
        self._window: deque[str | None] = deque(maxlen=_WINDOW)  # the names that failed; None: a good answer
        self._failing: OrderedDict[str, int] = OrderedDict()
        self._blamed: dict[str, float] = {}

    @property
    def failing(self) -> tuple[str, ...]:
        """Names that failed more than once since they were last served."""
        return tuple(item for item, failures in self._failing.items() if failures > 1)

    @property
    def good(self) -> int:
        """The number of good attempts in the window."""
        return self._window.count(None)

    @property
    def bad(self) -> int:
        """The number of failed attempts in the window."""
        return len(self._window) - self.good

    @property
    def unreliable(self) -> bool:
        """Whether too many of the last attempts failed, even if not in a row."""
        if len(self._window) < _WINDOW or self.bad < _UNRELIABLE * _WINDOW:
            return False
        return len(set(self._window) - {None}) >= _SEVERAL

    def suspicious(self, now: float) -> bool:
        """Return whether the proxy may be broken."""
        silent = now - (self._began if self.good_at is None else self.good_at) >= self._silence
        return self.run.weight >= (_SUSPICIOUS_IN_SILENCE if silent else _SUSPICIOUS)

    def record(self, item: str, sign: Sign, now: float) -> bool:
        """Add one attempt; return whether the cause must be decided."""
        if sign is Sign.NOTHING:
            return False
        if sign is Sign.GOOD:
            self._served(item, now)
            return False
        self.failures += sign is not Sign.WEAK
        self._note_failure(item)
        if self._blamed.get(item, now) > now:
            return False
        self._window.append(item)
        run = self.run
        run.since = now if run.since is None else run.since
        run.weight += _WEAK if sign is Sign.WEAK else 1.0
        run.faults += sign is Sign.FAULT
        run.own += sign is Sign.OWN
        run.items.add(item)
        return self.suspicious(now) or self.unreliable

    def _served(self, item: str, now: float) -> None:
        self.good_at = now
        self.failures = 0
        self.run = FailureRun()
        self._window.append(None)
        self._failing.pop(item, None)
        self._blamed.pop(item, None)

    def _note_failure(self, item: str) -> None:
        if not item:
            return
        self._failing[item] = self._failing.get(item, 0) + 1
        self._failing.move_to_end(item)
        if len(self._failing) > _REMEMBERED:
            self._failing.popitem(last=False)

    def blame_names(self, now: float) -> tuple[str, ...]:
        """Clear the proxy of its run of failures; return the names that are blamed instead."""
        items, self.run = self.run.items - {""}, FailureRun()
        if len(items) > _MOST_BLAMED:
            return ()
        self._blamed = {item: until for item, until in self._blamed.items() if until > now}
        self._blamed.update(dict.fromkeys(items, now + _BLAMED_FOR))
        self._window = deque((one for one in self._window if one not in items), maxlen=_WINDOW)
        return tuple(sorted(items))

    def begin_anew(self, *, window: bool = True) -> None:
        """Forget the run, and with `window` also the share of failures: after a rest, or when no action follows."""
        self.run = FailureRun()
        if window:
            self._window.clear()


def find_cause(
    evidence: Evidence, siblings: Sequence[Sibling], now: float, *, control_served: bool | None = None
) -> Blame | None:
    """Decide the cause; None: run the control first.

    Args:
        evidence: the results of this proxy's attempts.
        siblings: the reports of the other processes.
        now: the current time, seconds.
        control_served: whether the control was served; None if it has not run.

    """
    run = evidence.run
    if not evidence.suspicious(now):
        return Blame.PROXY if any(sibling.reliable for sibling in siblings) else Blame.NOBODY
    working = [sibling for sibling in siblings if sibling.works]
    cause = Blame.EVERYBODY if siblings and not working else Blame.PROXY
    if run.is_sure or control_served is False:
        return cause
    known = {item for sibling in working for item in sibling.failing}
    if control_served or (run.items and run.items <= known):
        return Blame.ITEM
    return None
