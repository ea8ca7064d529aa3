"""Counters of the requests that clients sent: those of all paths, and those of the crawl world by name."""

from collections import Counter, defaultdict, deque
from typing import Any

from simulator.crawl.crawl_paths import Address, CrawlRequest

_MINUTE = 60.0
_MOST_PATHS = 200
_MOST_NAMES = 20_000
_MOST_AGENTS = 200
_OTHERS = "(others)"


class Traffic:
    """Requests by path, by outcome, by fault and by client."""

    def __init__(self, started: float) -> None:
        self.started = started
        self.requests = 0
        self.listing_requests = 0
        self.by_path: Counter[str] = Counter()
        self.by_status: Counter[str] = Counter()
        self.by_fault: Counter[str] = Counter()
        self.by_client: Counter[str] = Counter()
        self._recent: defaultdict[str, deque[float]] = defaultdict(deque)

    def asked(self, path: str, client: str | None, *, listing: bool, now: float) -> None:
        """Count an incoming request."""
        self.requests += 1
        self.listing_requests += listing
        known = path in self.by_path or len(self.by_path) < _MOST_PATHS
        self.by_path[path if known else _OTHERS] += 1
        if client is not None:
            self.by_client[client] += 1
            recent = self._recent[client]
            recent.append(now)
            while recent[0] <= now - _MINUTE:
                recent.popleft()

    def answered(self, outcome: str) -> None:
        """Count how a request ended: its status, or the fate of the connection."""
        self.by_status[outcome] += 1

    def spoiled(self, fault: str) -> None:
        """Count a fault that was applied."""
        self.by_fault[fault] += 1

    def last_minute(self, now: float) -> dict[str, int]:
        """Return each client's number of data requests in the last minute."""
        return {client: sum(moment > now - _MINUTE for moment in recent) for client, recent in self._recent.items()}


class Count:
    """Requests of one kind, by address and by name."""

    def __init__(self) -> None:
        self._by_address: Counter[str] = Counter()
        self._names: dict[bool, dict[str, Counter[str]]] = {False: {}, True: {}}

    def note(self, asked: CrawlRequest) -> None:
        """Count one request."""
        address = asked.address
        self._by_address[address] += 1
        names = self._names[address.of_user]
        key = asked.name.lower()
        counter = names.get(key)
        if counter is None:
            counter = names.setdefault(key if len(names) < _MOST_NAMES else _OTHERS, Counter())
        counter[address] += 1

    def as_json(self) -> dict[str, Any]:
        """Return all counts; names in lower case."""
        return {
            "by_address": {address.value: self._by_address[address] for address in Address},
            "subreddits": self._names[False],
            "users": self._names[True],
        }


class CrawlTraffic:
    """Every request to the crawl addresses, and its user agents."""

    def __init__(self) -> None:
        self._asked = Count()
        self._answered = Count()
        self._agents: Counter[str] = Counter()

    def note(self, asked: CrawlRequest, user_agent: str) -> None:
        """Count an incoming request."""
        self._asked.note(asked)
        known = user_agent in self._agents or len(self._agents) < _MOST_AGENTS
        self._agents[user_agent if known else _OTHERS] += 1

    def answered(self, asked: CrawlRequest) -> None:
        """Count a complete, good answer that was written."""
        self._answered.note(asked)

    def as_json(self) -> dict[str, Any]:
        """Return all counts."""
        return {"asked": self._asked.as_json(), "answered": self._answered.as_json(), "by_user_agent": self._agents}
