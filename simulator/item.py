"""One submission or comment, and its history."""

from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from simulator.later import Later


class Hidden(StrEnum):
    """The listings that do not show a hidden item."""

    COMBINED = "combined"  #: those of several subreddits
    OWN = "own"  #: those of its subreddit alone
    ALL = "all"


class Kind(StrEnum):
    """The two kinds of items, by the names that the listings of this simulator use for them."""

    SUBMISSIONS = "submissions"
    COMMENTS = "comments"

    @property
    def prefix(self) -> str:
        """Reddit's type prefix: `t3` or `t1`."""
        return "t3" if self is Kind.SUBMISSIONS else "t1"


@dataclass(slots=True, eq=False)
class Item:
    """An item: when it was created, when it surfaced, and whether it was ever shown. Times are epoch seconds."""

    serial: int
    kind: Kind
    fullname: str
    subreddit: str
    created: float
    template: int
    link: str = ""
    parent: str = ""
    #: exact fields of an item that was injected
    custom: dict[str, Any] | None = None
    surfaced_at: float | None = None
    removed_at: float | None = None
    fell_off_at: float | None = None
    shown_at: float | None = None
    shown_count: int = 0
    rendered: bytes | None = None
    #: the error of Reddit's clock when the item was created, seconds; `created` is by the machine's clock
    clock_offset: float = 0.0
    #: what became of it after its creation; None: nothing
    later: Later | None = None
    #: the number of its comments, where they are counted; None: the template's
    num_comments: int | None = None
    hidden: Hidden | None = None
    hidden_at: float | None = None

    @property
    def plain(self) -> bool:
        """Whether it is shown as its template says, with fresh names only."""
        return self.custom is None and self.later is None and self.num_comments is None

    @property
    def exists(self) -> bool:
        """Whether it can be looked up by name: it has surfaced, or would have if it were not hidden."""
        if self.later is not None and self.later.vanished:
            return False
        return self.surfaced_at is not None or self.fell_off_at is not None or self.hidden_at is not None

    @property
    def key(self) -> tuple[float, int]:
        """The item's place in a listing: exact creation time, ties broken by the order of creation."""
        return (self.created, self.serial)

    @property
    def created_utc(self) -> float:
        """The creation time as Reddit gives it: whole seconds."""
        return float(int(self.created + self.clock_offset))

    def show(self, now: float) -> None:
        """Record that a complete, good answer with this item has been written."""
        if self.shown_at is None:
            self.shown_at = now
        self.shown_count += 1

    def truth(self) -> dict[str, object]:
        """Return the item's line in the truth."""
        hidden = {"hidden": self.hidden, "hidden_at": self.hidden_at} if self.hidden else {}
        return hidden | {
            "fullname": self.fullname,
            "kind": self.kind,
            "subreddit": self.subreddit,
            "created_utc": self.created_utc,
            "created": self.created + self.clock_offset,
            "clock_offset": self.clock_offset,
            "surfaced_at": self.surfaced_at,
            "removed_at": self.removed_at,
            "fell_off_at": self.fell_off_at,
            "shown_at": self.shown_at,
            "shown_count": self.shown_count,
        }
