"""Rules: answers to selected requests that are replaced or altered.

Pure: requests, pages, time and randomness are arguments; the server applies the result.
"""

import random
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import unquote

from simulator.answer import Answer
from simulator.faults import Endpoint
from simulator.item import Kind
from simulator.rule_keys import CONDITIONS, EFFECTS, RuleError, check

_NAMES = re.compile(r"/r/([^/?]+)")
_KIND = re.compile(r"/(new|comments)(?:\.json)?/?$")
_ENDPOINTS = {
    "data": frozenset({Endpoint.LISTING, Endpoint.OTHER}),
    "listing": frozenset({Endpoint.LISTING}),
    "token": frozenset({Endpoint.TOKEN}),
    "any": frozenset(Endpoint),
}
#: conditions that depend on the page itself
_OF_THE_PAGE = frozenset({"holds", "position"})


@dataclass(frozen=True, slots=True)
class Received:
    """The properties of a request that a rule checks."""

    endpoint: Endpoint
    target: str  # path and query as received
    names: frozenset[str]  # lower case
    kind: Kind | None
    anchored: bool
    limit: int

    @classmethod
    def read(cls, endpoint: Endpoint, path: str, target: str, query: Mapping[str, str], limit: int) -> "Received":
        """Read a request."""
        match, kind = _NAMES.match(path), _KIND.search(path)
        in_query = query.get("sr_name", "").split(",")
        names = unquote(match[1]).split("+") if match else in_query
        return cls(
            endpoint,
            target,
            frozenset(name.lower() for name in names if name),
            None if kind is None else Kind.SUBMISSIONS if kind[1] == "new" else Kind.COMMENTS,
            bool(query.get("after") or query.get("before")),
            limit,
        )


@dataclass(slots=True)
class Rule:
    """One rule: conditions, effects, and its lifetime."""

    id: str
    conditions: dict[str, Any]
    effects: dict[str, Any]
    until: float | None = None
    left: int | None = None
    used: int = 0

    @property
    def of_the_page(self) -> bool:
        """Whether the page must be known before this rule can be decided."""
        return not _OF_THE_PAGE.isdisjoint(self.conditions)

    def meets(self, received: Received) -> bool:
        """Return whether the request meets every condition about requests."""
        wanted = self.conditions
        return (
            received.endpoint in _ENDPOINTS[wanted.get("endpoint", "data")]
            and ("path" not in wanted or re.search(wanted["path"], received.target) is not None)
            and ("names" not in wanted or not received.names.isdisjoint(name.lower() for name in wanted["names"]))
            and ("all_names" not in wanted or received.names >= {name.lower() for name in wanted["all_names"]})
            and wanted.get("kind") in {None, received.kind}
            and wanted.get("anchored") in {None, received.anchored}
            and received.limit > wanted.get("limit_above", 0)
            and len(received.names) > wanted.get("names_above", -1)
            and len(received.target) > wanted.get("longer_than", -1)
        )

    def meets_page(self, answer: Answer, places: range) -> bool:
        """Return whether the page meets every condition about pages; `places` counts from 1."""
        holds = self.conditions.get("holds")
        position = self.conditions.get("position")
        return (holds is None or any(item.fullname == holds for item in answer.items)) and (
            position is None or position in places
        )

    def as_json(self, now: float) -> dict[str, Any]:
        """Return the rule as it was given, with its remaining uses and time."""
        life = {"seconds": None if self.until is None else round(self.until - now, 3), "count": self.left}
        return {"id": self.id, **self.conditions, **self.effects, **life, "used": self.used}


@dataclass(slots=True)
class Rules:
    """The rules in force, oldest first. When several match one request, the older one's effects take precedence."""

    dice: random.Random
    _rules: dict[str, Rule] = field(default_factory=dict)
    _numbered: int = 0

    @property
    def none(self) -> bool:
        """Whether there are no rules."""
        return not self._rules

    def add(self, given: Mapping[str, Any], now: float) -> str:
        """Add a rule, or replace the one with the same id; return its id."""
        values = check(given)
        self._numbered += 1
        name = str(values.pop("id", self._numbered))
        seconds, count = values.pop("seconds", None), values.pop("count", None)
        conditions = {key: value for key, value in values.items() if key in CONDITIONS}
        effects = {key: value for key, value in values.items() if key in EFFECTS}
        if not effects:
            raise RuleError(f"a rule needs an effect: give at least one of {', '.join(sorted(EFFECTS))}")
        self._rules[name] = Rule(name, conditions, effects, None if seconds is None else now + seconds, count)
        return name

    def remove(self, name: str | None) -> None:
        """Remove one rule; all without a name."""
        if name is None:
            self._rules.clear()
        elif self._rules.pop(name, None) is None:
            raise RuleError(f"no rule has the id {name}: known are {', '.join(self._rules) or 'none'}")

    def as_json(self, now: float) -> list[dict[str, Any]]:
        """Return every rule in force."""
        self._forget(now)
        return [rule.as_json(now) for rule in self._rules.values()]

    def of_the_page(self) -> bool:
        """Return whether a rule depends on the page."""
        return any(rule.of_the_page for rule in self._rules.values())

    def for_request(self, received: Received, now: float) -> dict[str, Any]:
        """Return the effects of all rules that the request meets; this counts as a use of each."""
        self._forget(now)
        met = [rule for rule in self._rules.values() if not rule.of_the_page and rule.meets(received)]
        return self._use(met)

    def for_page(self, received: Received, answer: Answer, places: range, now: float) -> dict[str, Any]:
        """Return the effects of the rules that check pages."""
        self._forget(now)
        rules = [rule for rule in self._rules.values() if rule.of_the_page and rule.meets(received)]
        return self._use([rule for rule in rules if rule.meets_page(answer, places)])

    def _use(self, met: list[Rule]) -> dict[str, Any]:
        effects: dict[str, Any] = {}
        for rule in met:
            if self.dice.random() >= rule.conditions.get("share", 1.0):
                continue
            rule.used += 1
            if rule.left is not None:
                rule.left -= 1
            headers = {**rule.effects.get("headers", {}), **effects.get("headers", {})}
            effects = {**rule.effects, **effects} | ({"headers": headers} if headers else {})
        return effects

    def _forget(self, now: float) -> None:
        over = [
            rule.id
            for rule in self._rules.values()
            if (rule.until is not None and rule.until <= now) or (rule.left is not None and rule.left <= 0)
        ]
        for name in over:
            del self._rules[name]
