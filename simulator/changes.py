"""Changes items after their creation: on request, and at random as the settings say."""

import math
import random
from collections.abc import Callable
from enum import StrEnum
from functools import partial
from typing import Any

from simulator.change_log import Change
from simulator.item import Item, Kind
from simulator.later import BY_ADMINS, REMOVERS, Later
from simulator.settings import ChangeSettings
from simulator.world import World

#: how an item is lost, and how often
_POSTS_LOST = {
    "moderator": 35, "automod_filtered": 25, "reddit": 12, "admin": 2, "delete": 18, "delete_account": 4, "vanish": 4,
}  # fmt: skip
_COMMENTS_LOST = {"moderator": 35, "admin": 3, "delete": 48, "delete_account": 8, "vanish": 6}
_LARGEST_STEP = 5


class Op(StrEnum):
    """The changes that can be requested."""

    EDIT = "edit"
    SCORE = "score"
    REMOVE = "remove"
    DELETE = "delete"
    DELETE_ACCOUNT = "delete_account"
    RESTORE = "restore"
    VANISH = "vanish"


class ChangeError(ValueError):
    """A change that is impossible; the message says why."""


class Changes:
    """Applies changes to the items of a world, and records each in its log."""

    def __init__(
        self, world: World, settings: ChangeSettings, original: Callable[[Item], dict[str, Any]], seed: int
    ) -> None:
        """`original` returns the fields of an item as it was created."""
        self._world = world
        self._settings = settings
        self._original = original
        self._dice = random.Random(f"{seed} changes")

    @property
    def none(self) -> bool:
        """Whether nothing happens by itself."""
        chosen = self._settings
        return not (chosen.edited_share or chosen.lost_posts_share or chosen.lost_comments_share or chosen.score_steps)

    def edit(self, item: Item, now: float, text: str) -> Change:
        """Replace the text of a comment or a text post."""
        later, original = _later(item), self._original(item)
        if later.state not in {"public", "account"}:
            raise ChangeError(f"{item.fullname} is {later.state}: its text cannot be edited")
        if item.kind is Kind.SUBMISSIONS and not original.get("is_self", True):
            raise ChangeError(f"{item.fullname} is a link: it has no text")
        old = later.text if later.text is not None else str(original.get(_text_field(item), ""))
        later.text, later.edited_at = text, now + item.clock_offset
        return self._record(now, item, "edit", old=old, new=text)

    def score(self, item: Item, now: float, score: int) -> Change:
        """Set the score."""
        later = _later(item)
        if later.vanished:
            raise ChangeError(f"{item.fullname} is gone: it has no score")
        old = self._score_of(item)
        later.score = score
        return self._record(now, item, "score", old=old, new=score)

    def remove(self, item: Item, now: float, remover: str) -> Change:
        """Remove an item, as a moderator, a filter or Reddit's staff does; its author stays visible."""
        if remover not in REMOVERS:
            raise ChangeError(f"by = {remover!r}: give one of {', '.join(REMOVERS)}")
        later, old = self._unlike(item, "removed", "deleted", "gone")
        later.removed_by, later.author_hidden = remover, False
        self._world.unlist(item, now)
        comment = item.kind is Kind.COMMENTS
        category = "admin" if remover in BY_ADMINS else "moderator" if comment else remover
        return self._record(now, item, "removed", category=category, old=old, new=later.state)

    def delete(self, item: Item, now: float) -> Change:
        """Delete an item, as its author does."""
        later, old = self._unlike(item, "deleted", "gone")
        later.deleted = True
        self._world.unlist(item, now)
        return self._record(now, item, "deleted", old=old, new=later.state)

    def delete_account(self, item: Item, now: float) -> Change:
        """Delete the account of an item's author; the item remains in the listings."""
        later, old = self._unlike(item, "account", "deleted", "gone")
        later.account_deleted = True
        return self._record(now, item, "deleted", category="account", old=old, new=later.state)

    def vanish(self, item: Item, now: float) -> Change:
        """Make an item absent from everywhere."""
        later, old = self._unlike(item, "gone")
        self._world.unlist(item, now)
        later.vanished = True
        return self._record(now, item, "gone", old=old, new=later.state)

    def restore(self, item: Item, now: float) -> Change:
        """Undo every removal and deletion of an item."""
        later, old = self._unlike(item, "public")
        later.restore()
        self._world.relist(item, now)
        return self._record(now, item, "restored", old=old, new=later.state)

    def schedule(self, item: Item, now: float) -> None:
        """Draw what becomes of a new item, and when."""
        if self.none:
            return
        dice, chosen, later = self._dice, self._settings, self._world.later
        post = item.kind is Kind.SUBMISSIONS
        for _ in range(chosen.score_steps):
            later(now + self._age(), partial(self._drift, item))
        if dice.random() < chosen.edited_share:
            later(now + self._age(), partial(self._edit_somehow, item))
        if dice.random() < (chosen.lost_posts_share if post else chosen.lost_comments_share):
            ways = _POSTS_LOST if post else _COMMENTS_LOST
            way = dice.choices(tuple(ways), tuple(ways.values()))[0]
            age = self._age()
            later(now + age, partial(self._lose, item, way))
            if way in REMOVERS and dice.random() < chosen.restored_share:
                later(now + age + self._age(), partial(self._restore_if_removed, item))

    # -- random changes: what is impossible by then does not happen -------------------------------------------------

    def _age(self) -> float:
        """Draw an age; each order of magnitude is equally frequent."""
        first, last = (max(end, 0.001) for end in self._settings.seconds)
        return math.exp(self._dice.uniform(math.log(first), math.log(last)))

    def _drift(self, item: Item, now: float) -> None:
        step = self._dice.choice((-1, 1, 1)) * self._dice.randint(1, _LARGEST_STEP)
        if not (item.later and item.later.vanished):
            self.score(item, now, self._score_of(item) + step)

    def _edit_somehow(self, item: Item, now: float) -> None:
        number = self._dice.randrange(36**6)
        original = self._original(item)
        link = item.kind is Kind.SUBMISSIONS and not original.get("is_self", True)
        if not link and (item.later is None or item.later.state in {"public", "account"}):
            self.edit(item, now, f"{original.get(_text_field(item), '')}\n\nEdit {number:x}: corrected.")

    def _lose(self, item: Item, way: str, now: float) -> None:
        if item.later is not None and item.later.state not in {"public", "account"}:
            return
        if way in REMOVERS:
            self.remove(item, now, way)
        elif way == Op.DELETE:
            self.delete(item, now)
        elif way == Op.VANISH:
            self.vanish(item, now)
        elif item.later is None or not item.later.account_deleted:
            self.delete_account(item, now)

    def _restore_if_removed(self, item: Item, now: float) -> None:
        if item.later is not None and item.later.state == "removed":
            self.restore(item, now)

    def _score_of(self, item: Item) -> int:
        if item.later is not None and item.later.score is not None:
            return item.later.score
        score = self._original(item).get("score", 0)
        return score if isinstance(score, int) else 0

    def _unlike(self, item: Item, *states: str) -> tuple[Later, str]:
        """Return the changes and the state of an item; raise ChangeError if it is one of these."""
        later = _later(item)
        if later.state in states:
            raise ChangeError(f"{item.fullname} is {later.state} already")
        return later, later.state

    def _record(
        self, now: float, item: Item, op: str, *, category: str | None = None, old: str | int, new: str | int
    ) -> Change:
        item.rendered = None
        return self._world.log.add(now, item, op, category=category, old=old, new=new)


def _later(item: Item) -> Later:
    """Return the changes of an item; there are some from now on."""
    if item.later is None:
        item.later = Later()
        item.rendered = None
    return item.later


def _text_field(item: Item) -> str:
    return "selftext" if item.kind is Kind.SUBMISSIONS else "body"
