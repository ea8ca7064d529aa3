"""Counters of the requests that clients sent."""

from collections import Counter, defaultdict, deque

_MINUTE = 60.0
_MOST_PATHS = 200


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
        self.by_path[path if known else "(others)"] += 1
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
