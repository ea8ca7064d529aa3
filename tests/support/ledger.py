"""The ledger of a run: compares what Reddit showed with the topic's content and the admitted gaps. Pure."""

from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from tests.support.topic import Record


@dataclass(frozen=True, slots=True)
class Item:
    """One submission or comment as the simulator knows it; times are epoch seconds, None if it never happened."""

    fullname: str
    stream: str  # "submissions" or "comments"
    subreddit: str
    created: float
    surfaced_at: float | None
    removed_at: float | None
    fell_off_at: float | None  # newer ones pushed it out of the last listing that held it
    shown_at: float | None
    hidden: str | None = None  # the listings that do not show it: combined, own or all

    @property
    def due(self) -> bool:
        """Whether it must be in the topic: it was in a listing, and was not removed before anyone saw it."""
        return self.surfaced_at is not None and (self.removed_at is None or self.shown_at is not None)

    def describe(self) -> str:
        """Describe its life in seconds since its creation."""

        def after(moment: float | None) -> str:
            return "never" if moment is None else f"+{moment - self.created:.1f}s"

        return (
            f"{self.fullname} r/{self.subreddit} created {self.created:.1f} surfaced {after(self.surfaced_at)} "
            f"shown {after(self.shown_at)} removed {after(self.removed_at)} fell off {after(self.fell_off_at)}"
        )

    @classmethod
    def from_truth(cls, line: dict[str, Any]) -> "Item":
        """Parse one line of the simulator's truth."""
        return cls(
            fullname=line["fullname"],
            stream="submissions" if line["fullname"].startswith("t3_") else "comments",
            subreddit=line["subreddit"],
            created=line["created"],
            surfaced_at=line["surfaced_at"],
            removed_at=line["removed_at"],
            fell_off_at=line["fell_off_at"],
            shown_at=line["shown_at"],
            hidden=line.get("hidden"),
        )


@dataclass(frozen=True, slots=True)
class Gap:
    """One admitted interval: items created in it may be missing."""

    stream: str
    subreddits: frozenset[str]  # lower case
    start: float  # -inf if nothing had been proven before
    end: float
    repaired: bool

    def covers(self, item: Item) -> bool:
        """Return whether the item is inside; Reddit gives creation in whole seconds, which limits the precision."""
        return (
            not self.repaired
            and item.stream == self.stream
            and item.subreddit.lower() in self.subreddits
            and self.start <= item.created
            and int(item.created) <= self.end
        )

    @classmethod
    def from_report(cls, entry: dict[str, Any]) -> "Gap":
        """Parse one entry of `python -m supervisor gaps --json`; late items may be missing before its start."""
        start = entry["from"] if entry.get("late_from") is None else entry["late_from"]
        return cls(
            stream=entry["stream"],
            subreddits=frozenset(name.lower() for name in entry["subreddits"]),
            start=float("-inf") if start is None else _epoch(start),
            end=float("inf") if entry["to"] is None else _epoch(entry["to"]),
            repaired=entry["state"] == "repaired",
        )


@dataclass(frozen=True, slots=True)
class Ledger:
    """The result of a comparison; empty tuples mean success."""

    due: int
    delivered: int  # distinct items in the topic that Reddit knows
    records: int
    lost: tuple[Item, ...]
    lost_outside_gaps: tuple[Item, ...]
    duplicated: dict[str, int]  # fullname → number of copies in the topic
    invented: tuple[str, ...]  # in the topic, unknown to Reddit
    waiting: int  # items that have not surfaced yet: the run is not over

    def summary(self) -> str:
        """Describe it in one line, with a few names for further analysis."""
        line = (
            f"due {self.due}, delivered {self.delivered} in {self.records} records, lost {len(self.lost)} "
            f"({len(self.lost_outside_gaps)} outside gaps), duplicated {len(self.duplicated)}, "
            f"invented {len(self.invented)}, yet to surface {self.waiting}"
        )
        if self.lost:
            line += "\n  lost: " + ", ".join(item.describe() for item in self.lost[:5])
        if self.duplicated:
            line += f"\n  duplicated: {dict(list(self.duplicated.items())[:5])}"
        return line


def compare(truth: Iterable[Item], records: Iterable[Record], gaps: Iterable[Gap] = ()) -> Ledger:
    """Compare the topic with the truth; an item in an admitted gap is lost too, but not silently."""
    items = {item.fullname: item for item in truth}
    copies = Counter(record.key for record in records)
    admitted = list(gaps)
    due = [item for item in items.values() if item.due]
    lost = tuple(item for item in due if item.fullname not in copies)
    return Ledger(
        due=len(due),
        delivered=sum(name in items for name in copies),
        records=copies.total(),
        lost=lost,
        lost_outside_gaps=tuple(item for item in lost if not any(gap.covers(item) for gap in admitted)),
        duplicated={name: count for name, count in copies.items() if count > 1},
        invented=tuple(name for name in copies if name not in items),
        waiting=sum(
            item.surfaced_at is None and item.removed_at is None and item.hidden is None for item in items.values()
        ),
    )


def out_of_order(records: Iterable[Record]) -> list[tuple[Record, Record]]:
    """Return neighbours in a partition whose sequence runs backwards, by each item's first copy only."""
    newest: dict[tuple[int, str], Record] = {}
    seen: set[str] = set()
    wrong: list[tuple[Record, Record]] = []
    for record in sorted(records, key=lambda one: (one.partition, one.offset)):
        if record.key in seen:
            continue
        seen.add(record.key)
        before = newest.get((record.partition, record.stream))
        if before is not None and before.seq > record.seq:
            wrong.append((before, record))
        newest[record.partition, record.stream] = record
    return wrong


def _epoch(moment: float | str) -> float:
    return datetime.fromisoformat(moment).timestamp() if isinstance(moment, str) else float(moment)
