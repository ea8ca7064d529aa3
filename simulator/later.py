"""Changes an item after its creation, and shows it then as Reddit does.

Pure: no time and no network.
"""

from dataclasses import dataclass
from typing import Any

#: who removes an item: values of Reddit's `removed_by_category`, and `admin` for its staff
REMOVERS = ("moderator", "automod_filtered", "reddit", "admin", "copyright_takedown", "content_takedown")
BY_ADMINS = frozenset({"admin", "content_takedown"})

_NOBODY = "[deleted]"
_REMOVED = "[removed]"
_REMOVED_BY_ADMINS = "[ Removed by Reddit ]"
#: fields that name the author
_AUTHOR_FIELDS = ("author_fullname", "author_premium", "author_patreon_flair")


@dataclass(slots=True)
class Later:
    """The changes of one item; None, False or empty: unchanged."""

    text: str | None = None
    edited_at: float | None = None
    score: int | None = None
    removed_by: str = ""
    #: a removal that hides the author too
    author_hidden: bool = False
    deleted: bool = False
    account_deleted: bool = False
    vanished: bool = False

    @property
    def state(self) -> str:
        """The state in one word, as the truth has it; the strongest wins."""
        if self.vanished:
            return "gone"
        if self.deleted:
            return "deleted"
        if self.removed_by:
            return "removed"
        return "account" if self.account_deleted else "public"

    def restore(self) -> None:
        """Undo every removal and deletion; edits and the score remain."""
        self.removed_by = ""
        self.author_hidden = self.deleted = self.account_deleted = self.vanished = False

    def apply(self, data: dict[str, Any], *, post: bool) -> None:
        """Change the fields of an item to what Reddit shows now."""
        if self.score is not None:
            data["score"] = data["ups"] = self.score
        if self.text is not None:
            _set_text(data, self.text, post=post)
        if self.edited_at is not None:
            data["edited"] = float(int(self.edited_at))
        if self.deleted or self.account_deleted or (self.removed_by and self.author_hidden):
            data["author"] = _NOBODY
            for name in _AUTHOR_FIELDS:
                data.pop(name, None)
        self._apply_removal(data, post=post)

    def _apply_removal(self, data: dict[str, Any], *, post: bool) -> None:
        if self.deleted:
            _set_text(data, _NOBODY, post=post)
            _mark(data, "deleted", post=post)
        elif self.removed_by in BY_ADMINS:
            _set_text(data, _REMOVED_BY_ADMINS, post=post)
            if post:
                data["title"] = _REMOVED_BY_ADMINS
            _mark(data, "content_takedown", post=post)
        elif self.removed_by:
            if not post or data.get("is_self", True):
                _set_text(data, _REMOVED, post=post)
            _mark(data, self.removed_by, post=post)


def _set_text(data: dict[str, Any], text: str, *, post: bool) -> None:
    field = "selftext" if post else "body"
    data[field] = text
    data[f"{field}_html"] = f'<div class="md"><p>{text}</p></div>'


def _mark(data: dict[str, Any], category: str, *, post: bool) -> None:
    """Say who removed it: only posts do."""
    if post:
        data |= {"removed_by_category": category, "is_robot_indexable": False}
