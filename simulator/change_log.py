"""The truth of changes: every change of an item, in order."""

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from simulator.item import Item


@dataclass(slots=True)
class Change:
    """One change: `old` and `new` are texts of an edit, scores, or states in one word.

    `looks`: how often `/api/info` answered about the item before it changed again.
    """

    number: int
    at: float
    fullname: str
    kind: str
    subreddit: str
    created: float
    op: str
    category: str | None
    old: str | int
    new: str | int
    looks: int = 0

    def truth(self) -> dict[str, object]:
        """Return the change's line in the truth."""
        return {
            "number": self.number,
            "time": self.at,
            "fullname": self.fullname,
            "kind": self.kind,
            "subreddit": self.subreddit,
            "age": self.at - self.created,
            "op": self.op,
            "category": self.category,
            "text": self.new if self.op == "edit" else None,
            "score": self.new if self.op == "score" else None,
            "old": self.old,
            "new": self.new,
            "looks": self.looks,
        }


class ChangeLog:
    """All changes, numbered from 1."""

    def __init__(self) -> None:
        self._changes: list[Change] = []
        self._newest: dict[str, Change] = {}

    def __len__(self) -> int:
        return len(self._changes)

    def add(
        self, now: float, item: Item, op: str, *, category: str | None = None, old: str | int, new: str | int
    ) -> Change:
        """Record one change."""
        number = len(self._changes) + 1
        change = Change(
            number, now, item.fullname, item.kind, item.subreddit, item.created, op, category, old, new
        )  # fmt: skip
        self._changes.append(change)
        self._newest[item.fullname] = change
        return change

    def looked(self, fullname: str) -> None:
        """Count an answer of `/api/info` about an item."""
        if (change := self._newest.get(fullname)) is not None:
            change.looks += 1

    def since(self, number: int) -> Iterator[Change]:
        """Yield the changes after the one with this number, in order."""
        return islice(list(self._changes), max(number, 0), None)
