"""Late items: decides from successive scans whether some can have been missed. Pure.

A late item surfaces below newer ones. Two scans of a listing see every one that stands there at either moment. Between
them an item can surface and be pushed out again, but only one that surfaces later after its creation than the time
from the foot of the second scan to the beginning of the first. Where that is less than `TOLERANCE_S`, late items may be
lost, and the ledger admits it.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

#: Items that surface up to this long after their creation are found or admitted, seconds (facts: 3 to 12 s are common).
TOLERANCE_S = 12.0

#: A combined listing forgets sooner than each subreddit's own: seconds to wait for a scan of the own one.
_OWN_SCAN_WITHIN_S = 60.0

_NEVER, _ALWAYS = float("-inf"), float("inf")


class Scanned(NamedTuple):
    """One scan of a listing to its foot, seconds by Reddit's clock.

    `began` is when its first page was requested, `foot` the newest created_utc at the foot; None: it forgot nothing.
    `own`: the listing is a single subreddit's own.
    """

    subreddits: tuple[str, ...]
    began: float
    foot: float | None
    own: bool


class LateLoss(NamedTuple):
    """Late items of this subreddit may be lost that were created from `late_from` to `until` (created_utc)."""

    subreddit: str
    late_from: float
    until: float


class Judgement(NamedTuple):
    """What a scan says: the losses it leaves open, and per subreddit (lower case) when it began and its foot."""

    losses: tuple[LateLoss, ...]
    scans: dict[str, tuple[float, float]]


@dataclass(slots=True)
class LateScanLog:
    """Per subreddit: since when late items may have passed unseen. `judge` a scan, write it down, then `keep` it."""

    #: by subreddit in lower case: when the last scan that left nothing open began, and what its foot was
    _scans: dict[str, tuple[float, float]] = field(default_factory=dict)

    def begin(self, subreddits: tuple[str, ...], moment: float) -> None:
        """Note that these are read from this moment on, by Reddit's clock; of those read before nothing changes."""
        for name in subreddits:
            self._scans.setdefault(name.lower(), (moment, moment))

    def judge(self, scanned: Scanned, begun: float | None) -> Judgement:
        """Compare a scan with the one before. `begun`: when the stream's first walk began; no more is promised."""
        losses, scans = [], {}
        foot = _NEVER if scanned.foot is None else scanned.foot
        for name in scanned.subreddits:
            since, last_foot = self._scans.get(name.lower(), (_ALWAYS, foot))
            forgot_nothing = foot <= last_foot or (begun is not None and foot <= begun)
            if not forgot_nothing and since - foot < TOLERANCE_S:
                if not scanned.own and scanned.began - since < _OWN_SCAN_WITHIN_S:
                    continue
                losses.append(LateLoss(name, min(last_foot, since - TOLERANCE_S), foot))
            scans[name.lower()] = (scanned.began, foot)
        return Judgement(tuple(losses), scans)

    def keep(self, judgement: Judgement) -> None:
        """Remember a scan whose losses are written down."""
        self._scans |= judgement.scans
