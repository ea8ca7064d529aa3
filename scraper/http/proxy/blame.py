"""Decides what caused failed requests: the requested name, the proxy, or Reddit and the account. Pure.

Several proxies fail for one name: the name is the cause. One proxy fails for many names while others get answers:
the proxy is the cause. All proxies fail for all names: Reddit or the account is the cause. Where this cannot be decided
from what is known, one request for a recently served path (the control) decides. The kind of failure does not matter.
"""

import enum
import math
from collections import OrderedDict, deque
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import NamedTuple

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

#: A proxy may be unreliable when this share of its last attempts failed, for several names and for longer than a
#: problem of Reddit's takes to appear in the reports of the siblings (seconds). The siblings decide.
_WINDOW = 40
_FEWEST_ATTEMPTS = 8
_UNRELIABLE = 0.3
_SEVERAL = 3
_FAILING_FOR = 3.0

#: It is unreliable when the logarithm of a likelihood ratio says so: how much better two different shares of failures,
#: here and through reliable siblings, explain the results than one common share. A bad network, where one in eight
#: fails everywhere, never comes near.
_DIFFERENT = 7.0

#: Failures that are also common among good answers show nothing before the window is full, and only as a majority.
_MAJORITY = 0.5

#: When the siblings are no better, they are not compared again for this time, seconds.
_COMPARE_INTERVAL_S = 3.0

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


class _Attempt(NamedTuple):
    """The end of one attempt."""

    item: str
    sign: Sign
    at: float


def _difference(bad: int, attempts: int, others_bad: int, others_attempts: int) -> float:
    """Return the logarithm of the likelihood ratio: two shares of failures against one common share."""
    common = (bad + others_bad) / (attempts + others_attempts)
    separate = _likelihood(bad, attempts, bad / attempts)
    separate += _likelihood(others_bad, others_attempts, others_bad / others_attempts)
    return separate - _likelihood(bad, attempts, common) - _likelihood(others_bad, others_attempts, common)


def _likelihood(bad: int, attempts: int, share: float) -> float:
    """Return the logarithm of the likelihood of `bad` failures, where each attempt fails with the chance `share`."""
    good = attempts - bad
    return (bad * math.log(share) if bad else 0.0) + (good * math.log(1.0 - share) if good else 0.0)


class Evidence:
    """The results of the attempts through one proxy. Times are seconds of one clock."""

    def __init__(self, silence: float, began: float) -> None:
        """`silence`: the longest time that one request may take, seconds."""
        self.run = FailureRun()
        self.failures = 0  #: in a row, including blamed names; weak ones do not count
        self.good_at: float | None = None
        self._began = began
        self._silence = silence
        self._window: deque[_Attempt] = deque(maxlen=_WINDOW)
        self._compared_at = float("-inf")
        self._failing: OrderedDict[str, int] = OrderedDict()
        self._blamed: dict[str, float] = {}

    @property
    def failing(self) -> tuple[str, ...]:
        """Names that failed more than once since they were last served."""
        return tuple(item for item, failures in self._failing.items() if failures > 1)

    @property
    def good(self) -> int:
        """The number of good attempts in the window."""
        return sum(attempt.sign is Sign.GOOD for attempt in self._window)

    @property
    def bad(self) -> int:
        """The number of failed attempts in the window."""
        return len(self._window) - self.good

    def unreliable(self, now: float) -> bool:
        """Return whether enough of the last attempts failed, even if not in a row, to compare the siblings."""
        if now - self._compared_at < _COMPARE_INTERVAL_S or len(self._window) < _FEWEST_ATTEMPTS:
            return False
        failed = [attempt for attempt in self._window if attempt.sign is not Sign.GOOD]
        if len(failed) < _UNRELIABLE * len(self._window) or now - failed[0].at < _FAILING_FOR:
            return False
        return len({attempt.item for attempt in failed}) >= _SEVERAL

    def fails_more_often(self, siblings: Sequence[Sibling]) -> bool:
        """Return whether far more of the last attempts failed than through the reliable siblings."""
        reliable = [sibling for sibling in siblings if sibling.reliable]
        if not reliable:
            return False
        known = {item for sibling in siblings if sibling.works for item in sibling.failing}
        own = [attempt for attempt in self._window if attempt.item not in known]
        if len(own) == _WINDOW and self.bad >= _MAJORITY * _WINDOW:
            return True
        failed = [attempt for attempt in own if attempt.sign not in {Sign.GOOD, Sign.WEAK}]
        if len({attempt.item for attempt in failed}) < _SEVERAL or len(failed) < _UNRELIABLE * len(own):
            return False
        theirs_bad = sum(sibling.bad for sibling in reliable)
        theirs = theirs_bad + sum(sibling.good for sibling in reliable)
        return _difference(len(failed), len(own), theirs_bad, theirs) >= _DIFFERENT

    def siblings_are_no_better(self, now: float) -> None:
        """Record that a comparison showed no difference; the next one is later."""
        self._compared_at = now

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
        self._window.append(_Attempt(item, sign, now))
        run = self.run
        run.since = now if run.since is None else run.since
        run.weight += _WEAK if sign is Sign.WEAK else 1.0
        run.faults += sign is Sign.FAULT
        run.own += sign is Sign.OWN
        run.items.add(item)
        return self.suspicious(now) or self.unreliable(now)

    def _served(self, item: str, now: float) -> None:
        self.good_at = now
        self.failures = 0
        self.run = FailureRun()
        self._window.append(_Attempt(item, Sign.GOOD, now))
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
        self._window = deque(
            (one for one in self._window if one.sign is Sign.GOOD or one.item not in items), maxlen=_WINDOW
        )
        return tuple(sorted(items))

    def begin_anew(self, *, window: bool = True) -> None:
        """Forget the run, and with `window` also the share of failures: after a rest."""
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
        return Blame.PROXY if evidence.fails_more_often(siblings) else Blame.NOBODY
    working = [sibling for sibling in siblings if sibling.works]
    cause = Blame.EVERYBODY if siblings and not working else Blame.PROXY
    if run.is_sure or control_served is False:
        return cause
    known = {item for sibling in working for item in sibling.failing}
    if control_served or (run.items and run.items <= known):
        return Blame.ITEM
    return None
