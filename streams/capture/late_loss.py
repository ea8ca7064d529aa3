"""Decides from successive scans whether late items may have been missed. Pure.

A late item appears below newer ones. Two scans of a listing see every one that is listed at either moment. Between them
an item can appear and be pushed out again, but only if it appears later after its creation than the time from the foot
of the second scan to the beginning of the first. If that is less than `TOLERANCE_S`, late items may be lost, and the
ledger records it.
"""

from dataclasses import dataclass, field
from typing import NamedTuple

from streams.capture.group_packing import lower_names

#: Items that appear up to this long after creation are found or recorded, seconds (facts: 3 to 12 s are common).
TOLERANCE_S = 12.0

#: A combined listing drops items sooner than each subreddit's own: seconds to wait for a scan of the own one.
_OWN_SCAN_WITHIN_S = 60.0

_NEVER, _ALWAYS = float("-inf"), float("inf")


class Scanned(NamedTuple):
    """One scan of a listing to its foot, seconds by Reddit's clock.

    `began` is when its first page was requested, `foot` the newest created_utc at the foot; None: it dropped nothing.
    `own`: the listing is a single subreddit's own. `whole`: the scan went down to the foot of the listing; otherwise it
    showed all items created after `foot`.
    """

    subreddits: tuple[str, ...]
    began: float
    foot: float | None
    own: bool
    whole: bool = True


class LateLoss(NamedTuple):
    """Late items of this subreddit may be lost that were created from `late_from` to `until` (created_utc)."""

    subreddit: str
    late_from: float
    until: float


class Comparison(NamedTuple):
    """The result of a scan: the losses it leaves open, and per subreddit (lower case) when it began and its foot."""

    losses: tuple[LateLoss, ...]
    scans: dict[str, tuple[float, float]]


@dataclass(slots=True)
class LateScanLog:
    """Per subreddit: since when late items may be missed. The caller `compare`s a scan, writes it, then `store`s it."""

    #: by subreddit in lower case: when the last scan that left nothing open began, and what its foot was
    _scans: dict[str, tuple[float, float]] = field(default_factory=dict)

    def begin(self, subreddits: tuple[str, ...], moment: float) -> None:
        """Record that these are read from this moment on, by Reddit's clock; those read before keep their entry."""
        names = lower_names(subreddits)
        if not self._scans.keys() >= set(names):
            self._scans = dict.fromkeys(names, (moment, moment)) | self._scans

    def polled(self, subreddits: tuple[str, ...], began: float, foot: float, since: float | None = None) -> None:
        """Record a newest page, requested at `began`, that shows all items created after `foot`.

        `since`: the answer of `since(subreddits)`, if it is known.

        An item that appears up to `TOLERANCE_S` after its creation, and after the last scan or page, is on this page
        if the page reaches down to that time.
        """
        names = lower_names(subreddits)
        since = self.since(subreddits) if since is None else since
        if began <= since:
            return  # a slow first walk ends long after it began
        scans = set(map(self._scans.get, names))
        if foot <= since - TOLERANCE_S and all(scan is not None and scan[0] < began for scan in scans):
            self._scans |= dict.fromkeys(names, (began, foot))
            return
        for name in names:
            scan = self._scans.get(name)
            if scan is not None and foot <= scan[0] - TOLERANCE_S and began > scan[0]:
                self._scans[name] = (began, foot)

    def since(self, subreddits: tuple[str, ...]) -> float:
        """Return since when these may have got late items that were not shown, by Reddit's clock; infinity: unknown."""
        scans = set(map(self._scans.get, lower_names(subreddits)))
        return min([scan[0] for scan in scans if scan is not None], default=_ALWAYS)

    def compare(self, scanned: Scanned, begun: float | None) -> Comparison:
        """Compare a scan with the one before. `begun`: start of the first walk; nothing earlier is promised."""
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
        return Comparison(tuple(losses), scans)

    def store(self, comparison: Comparison) -> None:
        """Store a scan whose losses are written."""
        self._scans |= comparison.scans
