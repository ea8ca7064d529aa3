"""Hides items from listings: by name, or by rules that select them by creation time, kind and chance."""

import math
import random
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simulator.item import Hidden, Item, Kind
from simulator.world import World

_KEYS = ("share", "kind", "subreddit", "from", "minutes", "seconds", "listings", "cluster")


class HideError(ValueError):
    """An invalid rule; the message says what is valid."""


@dataclass(frozen=True, slots=True)
class HideRule:
    """Hides a share of the items created within an interval; times are by Reddit's clock."""

    number: int
    share: float
    kind: Kind | None
    subreddit: str | None
    start: float
    end: float
    listings: Hidden
    #: seconds: all items of a chosen interval of this length are hidden; 0: each item is chosen by itself
    cluster: float

    @classmethod
    def read(cls, number: int, given: Mapping[str, Any], now: float) -> "HideRule":
        """Check what was given; raise HideError for the first invalid value."""
        for key in given:
            if key not in _KEYS:
                raise HideError(f"no key is called {key}: known are {', '.join(_KEYS)}")
        kind, subreddit = given.get("kind"), given.get("subreddit")
        if kind is not None and kind not in set(Kind):
            raise HideError(f"kind = {kind!r}: give submissions or comments")
        if subreddit is not None and not isinstance(subreddit, str):
            raise HideError(f"subreddit = {subreddit!r}: give a name")
        share, start = _number(given, "share", 1.0), _number(given, "from", now)
        if share > 1:
            raise HideError(f"share = {share!r}: give a share from 0 to 1")
        length = _number(given, "minutes", 0.0) * 60 + _number(given, "seconds", 0.0) or math.inf
        return cls(
            number, share, Kind(kind) if kind else None, subreddit.lower() if subreddit else None, start,
            start + length, listings_of(given), _number(given, "cluster", 0.0),
        )  # fmt: skip

    def concerns(self, item: Item) -> bool:
        """Return whether the rule's conditions, chance excepted, are met."""
        return (
            self.start <= item.created + item.clock_offset < self.end
            and self.kind in {None, item.kind}
            and self.subreddit in {None, item.subreddit.lower()}
        )

    def as_json(self) -> dict[str, object]:
        """Return the rule as it was given."""
        return {
            "number": self.number,
            "share": self.share,
            "kind": self.kind,
            "subreddit": self.subreddit,
            "from": self.start,
            "until": None if math.isinf(self.end) else self.end,
            "listings": self.listings,
            "cluster": self.cluster,
        }


class Hiding:
    """The rules in force, and the items that they hide."""

    def __init__(self, world: World, seed: int) -> None:
        self._world = world
        self._seed = seed
        self._dice = random.Random(f"{seed} hiding")
        self._count = 0
        self.rules: list[HideRule] = []

    def add(self, given: Mapping[str, Any], now: float) -> HideRule:
        """Add a rule; it applies to the items that exist, too."""
        rule = HideRule.read(self._count + 1, given, now)
        self._count += 1
        self.rules.append(rule)
        for item in list(self._world.truth()):
            if item.hidden is None and self._chosen(rule, item):
                self._world.hide(item, rule.listings, now)
        return rule

    def clear(self) -> None:
        """Remove every rule; what is hidden stays hidden."""
        self.rules.clear()

    def watch(self, item: Item, now: float) -> None:
        """Hide a new item if a rule chooses it."""
        for rule in self.rules:
            if self._chosen(rule, item):
                self._world.hide(item, rule.listings, now)
                return

    def _chosen(self, rule: HideRule, item: Item) -> bool:
        if not rule.concerns(item):
            return False
        if not rule.cluster:
            return self._dice.random() < rule.share
        interval = int((item.created + item.clock_offset - rule.start) // rule.cluster)
        return random.Random(f"{self._seed} {rule.number} {interval}").random() < rule.share


def listings_of(given: Mapping[str, Any]) -> Hidden:
    """Return the listings that do not show the items; all by default."""
    listings = given.get("listings", Hidden.ALL)
    if listings not in set(Hidden):
        raise HideError(f"listings = {listings!r}: give combined, own or all")
    return Hidden(listings)


def _number(given: Mapping[str, Any], key: str, default: float) -> float:
    value = given.get(key, default)
    if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < math.inf:
        raise HideError(f"{key} = {value!r}: give a number, 0 or more")
    return float(value)
