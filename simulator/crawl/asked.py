"""Counts the requests of the crawl world and the answers sent completely."""

from collections import Counter
from typing import Any

from simulator.crawl.crawl_paths import Address, Asked

_MOST_NAMES = 20_000
_MOST_AGENTS = 200
_OTHERS = "(others)"


class Count:
    """Requests of one kind, by address and by name."""

    def __init__(self) -> None:
        self._by_address: Counter[str] = Counter()
        self._names: dict[bool, dict[str, Counter[str]]] = {False: {}, True: {}}

    def note(self, asked: Asked) -> None:
        """Count one request."""
        address = asked.address
        self._by_address[address] += 1
        names = self._names[address.of_user]
        key = asked.name.lower()
        counter = names.get(key)
        if counter is None:
            counter = names.setdefault(key if len(names) < _MOST_NAMES else _OTHERS, Counter())
        counter[address] += 1

    def tell(self) -> dict[str, Any]:
        """Return all counts; names in lower case."""
        return {
            "by_address": {address.value: self._by_address[address] for address in Address},
            "subreddits": self._names[False],
            "users": self._names[True],
        }


class AskedFor:
    """Every request to the crawl addresses, and its user agents."""

    def __init__(self) -> None:
        self._asked = Count()
        self._answered = Count()
        self._agents: Counter[str] = Counter()

    def note(self, asked: Asked, user_agent: str) -> None:
        """Count an incoming request."""
        self._asked.note(asked)
        known = user_agent in self._agents or len(self._agents) < _MOST_AGENTS
        self._agents[user_agent if known else _OTHERS] += 1

    def answered(self, asked: Asked) -> None:
        """Count a complete, good answer that was written."""
        self._answered.note(asked)

    def tell(self) -> dict[str, Any]:
        """Return all counts."""
        return {"asked": self._asked.tell(), "answered": self._answered.tell(), "by_user_agent": self._agents}
