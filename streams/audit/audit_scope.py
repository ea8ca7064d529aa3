"""Which items the audit can judge, and what is known about their time. Pure."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from core.spool.model import AUDIT_FOUND, Gap
from streams.reddit.listing_page import Item

#: Texts in the place of what was removed or deleted.
_EMPTIED = frozenset({"[removed]", "[deleted]", "[ Removed by Reddit ]"})


@dataclass(frozen=True, slots=True)
class Scope:
    """What can be judged: for each subreddit (lower case) the created_utc from `since` to `until`, both inclusive.

    `gaps` are the entries of the ledger that are not repaired.
    """

    since: Mapping[str, float] = field(default_factory=dict)
    until: Mapping[str, float] = field(default_factory=dict)
    gaps: tuple[Gap, ...] = ()

    @classmethod
    def of(cls, since: Mapping[str, float], until: Mapping[str, float], gaps: Iterable[Gap], latest: float) -> "Scope":
        """Build it; nothing later than `latest` is judged, and a subreddit needs both moments.

        Gaps that the audit itself has recorded stay out: what is missing there is what it measures.
        """
        known = {name: min(until[name], latest) for name in since if name in until}
        known = {name: moment for name, moment in known.items() if moment >= since[name]}
        kept = tuple(gap for gap in gaps if not gap.repaired and gap.reason != AUDIT_FOUND)
        return cls({name: since[name] for name in known}, known, kept)

    @property
    def earliest(self) -> float:
        """The earliest moment that can be judged."""
        return min(self.since.values(), default=float("inf"))

    @property
    def latest(self) -> float:
        """The latest moment that can be judged."""
        return max(self.until.values(), default=float("-inf"))

    def judges(self, item: Item) -> bool:
        """Return whether it can be said of this item that it should have been captured."""
        name = item.subreddit.lower()
        if item.created is None or name not in self.since:
            return False
        return self.since[name] <= item.created <= self.until[name]

    def gap_of(self, subreddit: str, created: float) -> Gap | None:
        """Return the gap in which the ledger says that such an item may be missing."""
        name = subreddit.lower()
        return next((gap for gap in self.gaps if _admits(gap, name, created)), None)


def _admits(gap: Gap, name: str, created: float) -> bool:
    if gap.end is not None and created > gap.end:
        return False
    if gap.start is not None and created < min(gap.start, gap.start if gap.late_from is None else gap.late_from):
        return False
    concerned = [one.lower() for one in gap.unproven or gap.subreddits]
    return name in concerned or "*" in concerned


def is_emptied(data: Mapping[str, Any]) -> bool:
    """Return whether Reddit serves the item without its content: it was removed or deleted."""
    if data.get("removed_by_category"):
        return True
    text = data.get("body", data.get("selftext"))
    return isinstance(text, str) and text in _EMPTIED
