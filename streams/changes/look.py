"""Compares what is known of an item with what Reddit shows of it now, and returns the changes. Pure."""

import enum
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from core.reddit.json_text import clean

DELETED = "[deleted]"
REMOVED = "[removed]"

#: How Reddit's administrators mark what they removed; the rest of the text varies.
_BY_REDDIT = "[ Removed by Reddit"

#: Values of `removed_by_category` of a post that its author deleted.
_BY_AUTHOR = frozenset({"deleted", "author"})

_LATEST_EDIT = 2**32 - 1


class Op(enum.StrEnum):
    """The kinds of changes, as in the records of changes."""

    EDIT = "edit"
    SCORE = "score"
    REMOVED = "removed"
    DELETED = "deleted"
    RESTORED = "restored"
    GONE = "gone"


class Visibility(enum.IntEnum):
    """Whether the content of an item can be read. The numbers are stored."""

    VISIBLE = 0
    REMOVED = 1
    DELETED = 2
    GONE = 3  #: Reddit does not know the item any more


_OPS = {Visibility.REMOVED: Op.REMOVED, Visibility.DELETED: Op.DELETED, Visibility.GONE: Op.GONE}


@dataclass(frozen=True, slots=True)
class Known:
    """The state of an item after its capture, or after the last look.

    Attributes:
        text_hash: of the last text that could be read; None: none was readable yet.
        edited: when it was last edited, epoch seconds; 0: never; None: unknown.
        score: None: unknown.
        visibility: of its content.
        account_deleted: the content is visible, and its author's account is deleted.
        absent: the last look did not find it, and no second one has confirmed that.
    """

    text_hash: int | None
    edited: int | None = None
    score: int | None = None
    visibility: Visibility = Visibility.VISIBLE
    account_deleted: bool = False
    absent: bool = False


@dataclass(frozen=True, slots=True)
class Shown:
    """An item as Reddit shows it now.

    `category` is `removed_by_category`, empty without one. `has_text`: its text is a text, not null or a number.
    """

    text: str
    author: str
    score: int | None = None
    num_comments: int | None = None
    edited: int | None = None
    category: str = ""
    has_text: bool = True


@dataclass(frozen=True, slots=True)
class Change:
    """One change of an item. `text` belongs to an edit, `category` to a removal or a deleted account."""

    op: Op
    category: str | None = None
    text: str | None = None


@dataclass(frozen=True, slots=True)
class Look:
    """The result of a look: the changes in the order in which they are reported, and the new state."""

    changes: tuple[Change, ...]
    known: Known

    @property
    def tombstone(self) -> bool:
        """Whether the content has just become unreadable."""
        return any(change.op in _OPS.values() and change.category != "account" for change in self.changes)

    @property
    def renews_record(self) -> bool:
        """Whether the item is readable and has changed."""
        return bool(self.changes) and self.known.visibility is Visibility.VISIBLE


def shown_of(content: Mapping[str, Any], data: Mapping[str, Any]) -> Shown:
    """Return what an item shows: `content` of its record, and `data`, the object that Reddit served."""
    category = data.get("removed_by_category")
    return Shown(
        text=clean(content["text"]),
        author=content["author"],
        score=_whole(content["score"]),
        num_comments=_whole(content.get("num_comments")),
        edited=_edited(data.get("edited")),
        category=clean(category) if isinstance(category, str) else "",
        has_text=isinstance(data.get("selftext", data.get("body", "")), str),
    )


def is_odd(known: Known, shown: Shown) -> bool:
    """Return whether an item that can be read has lost its text without an edit: the answer proves nothing about it."""
    had_text = known.text_hash is not None and known.text_hash != text_hash("")
    return not shown.has_text and had_text and classify(shown)[0] is Visibility.VISIBLE


def known_of(shown: Shown) -> Known:
    """Return the state of an item that was shown like this at its capture."""
    visibility, _ = classify(shown)
    visible = visibility is Visibility.VISIBLE
    return Known(
        text_hash=text_hash(shown.text) if visible else None,
        edited=shown.edited,
        score=shown.score,
        visibility=visibility,
        account_deleted=visible and shown.author == DELETED,
    )


def text_hash(text: str) -> int:
    """Return a number of 64 bits for a text."""
    return int.from_bytes(hashlib.blake2b(text.encode(), digest_size=8).digest(), "little")


def classify(shown: Shown) -> tuple[Visibility, str | None]:
    """Return the visibility of an item that Reddit shows, and who removed it."""
    if shown.author == DELETED and shown.text == DELETED:
        return Visibility.DELETED, None
    if shown.category in _BY_AUTHOR:
        return Visibility.DELETED, None
    if shown.text.startswith(_BY_REDDIT):
        return Visibility.REMOVED, "admin"
    if shown.category:
        return Visibility.REMOVED, shown.category
    if shown.text == REMOVED:
        return Visibility.REMOVED, "moderator"
    return Visibility.VISIBLE, None


def compare(known: Known, shown: Shown) -> Look:
    """Return the changes of an item that Reddit shows."""
    visibility, category = classify(shown)
    known = replace(known, absent=False)
    changes: list[Change] = []
    if visibility is not known.visibility:
        visible = visibility is Visibility.VISIBLE
        changes.append(Change(Op.RESTORED) if visible else Change(_OPS[visibility], category))
        known = replace(known, visibility=visibility)
    if visibility is Visibility.VISIBLE:
        known = _compare_content(known, shown, changes)
    if shown.score is not None and shown.score != known.score:
        if known.score is not None:
            changes.append(Change(Op.SCORE))
        known = replace(known, score=shown.score)
    return Look(tuple(changes), known)


def _compare_content(known: Known, shown: Shown, changes: list[Change]) -> Known:
    """Add the changes of author and text of a readable item; return its state with them."""
    account_deleted = shown.author == DELETED
    if account_deleted != known.account_deleted:
        if account_deleted:
            changes.append(Change(Op.DELETED, "account"))
        elif all(change.op is not Op.RESTORED for change in changes):
            changes.append(Change(Op.RESTORED))
    new_hash = text_hash(shown.text)
    edited_again = bool(shown.edited) and known.edited is not None and shown.edited != known.edited
    if known.text_hash is not None and (new_hash != known.text_hash or edited_again):
        changes.append(Change(Op.EDIT, text=shown.text))
    edited = shown.edited if shown.edited or known.edited is None else known.edited
    return replace(known, account_deleted=account_deleted, text_hash=new_hash, edited=edited)


def miss(known: Known, *, confirms: bool) -> Look:
    """Return the result of a look that did not find the item.

    Args:
        known: the state before.
        confirms: this look may confirm an earlier absence: its subreddit can be read.
    """
    if known.visibility is Visibility.GONE:
        return Look((), known)
    if known.absent and confirms:
        return Look((Change(Op.GONE),), replace(known, visibility=Visibility.GONE, absent=False))
    return Look((), replace(known, absent=True))


def _edited(value: object) -> int | None:
    """Return the time of the last edit: Reddit gives false, a time, or true for very old edits."""
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, int | float) and 0 <= value <= _LATEST_EDIT:
        return int(value)
    return None


def _whole(value: object) -> int | None:
    return value if type(value) is int and -(2**63) <= value < 2**63 else None
