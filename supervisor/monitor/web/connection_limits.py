"""Decides which connections the monitor keeps, and which one it closes for a new one. Pure.

A new connection is always accepted. At the limit, the least useful connection is closed for it, of the same
address first. So a health check is answered even when one client fills the monitor.
"""

import enum
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field

_MIN = 16
_MAX = 256
_SHARE_OF_FILES = 3  #: a third of this process's file descriptors
_SHARE_OF_ADDRESS = 2  #: half of all connections

#: An IPv6 client owns a whole network of this prefix.
_IPV6_PREFIX = 64


class Phase(enum.Enum):
    """The phase of a connection."""

    IDLE = enum.auto()  #: its answer is sent, and no other request has begun
    HEAD = enum.auto()  #: its request is not complete
    WORKING = enum.auto()  #: its request is being answered
    ANSWERED = enum.auto()  #: it has not read its whole answer
    LISTENING = enum.auto()  #: it receives events


#: Least useful first. A request in progress is judged by age alone: a new request does not
#: yield to an older, slow one.
_ORDER = ((Phase.IDLE,), (Phase.HEAD, Phase.WORKING, Phase.ANSWERED), (Phase.LISTENING,))


#: How long a connection may stay in a phase, seconds. Events have limits of their own.
TIMEOUTS = {Phase.IDLE: 80.0, Phase.HEAD: 5.0, Phase.ANSWERED: 10.0, Phase.WORKING: 30.0}

#: Seconds that a client may leave our full buffer unread.
READ_TIMEOUT = 10.0

REASONS = {Phase.HEAD: "request_late", Phase.ANSWERED: "slow_reader", Phase.WORKING: "work_late", Phase.IDLE: "idle"}
EVICTED = "too_many"
BAD_REQUEST = "bad_request"

#: Reasons for closing a connection early.
DROP_REASONS = (EVICTED, BAD_REQUEST, *(reason for phase, reason in REASONS.items() if phase is not Phase.IDLE))


@dataclass(frozen=True, slots=True)
class Limits:
    """Limits of connections, in total and per address."""

    total: int
    per_address: int

    @classmethod
    def of_files(cls, open_files: int) -> "Limits":
        """Choose the limits so that most file descriptors of the process stay free for its own work."""
        total = max(_MIN, min(_MAX, open_files // _SHARE_OF_FILES))
        return cls(total, max(_MIN // 2, total // _SHARE_OF_ADDRESS))


@dataclass(eq=False, slots=True)
class Connection:
    """One connection; times are of a monotonic clock, seconds."""

    origin: str
    since: float  #: when its phase began
    phase: Phase = Phase.HEAD
    blocked_since: float | None = None  #: it does not read what we send


@dataclass(slots=True)
class _Group:
    """The connections of one address, by phase, the oldest first."""

    phases: dict[Phase, dict[Connection, None]] = field(default_factory=lambda: {phase: {} for phase in Phase})
    count: int = 0

    def least_useful(self) -> Connection:
        for phases in _ORDER:
            oldest = [next(iter(self.phases[phase])) for phase in phases if self.phases[phase]]
            if oldest:
                return min(oldest, key=lambda one: one.since)
        raise AssertionError("a group has members")


class Connections:
    """All connections that are open."""

    def __init__(self, limits: Limits) -> None:
        self.limits = limits
        self._groups: dict[str, _Group] = {}
        self._count = 0

    def __len__(self) -> int:
        return self._count

    def add(self, connection: Connection) -> Connection | None:
        """Add a connection; return the one that the caller must close for it, if any."""
        victim = self._victim(connection.origin)
        if victim is not None:
            self.remove(victim)
        group = self._groups.setdefault(connection.origin, _Group())
        group.phases[connection.phase][connection] = None
        group.count += 1
        self._count += 1
        return victim

    def _victim(self, origin: str) -> Connection | None:
        group = self._groups.get(origin)
        if group is not None and group.count >= self.limits.per_address:
            return group.least_useful()
        if self._count >= self.limits.total:
            return max(self._groups.values(), key=lambda one: one.count).least_useful()
        return None

    def remove(self, connection: Connection) -> bool:
        """Remove a connection; return whether it was known."""
        group = self._groups.get(connection.origin)
        if group is None or connection not in group.phases[connection.phase]:
            return False
        del group.phases[connection.phase][connection]
        group.count -= 1
        self._count -= 1
        if not group.count:
            del self._groups[connection.origin]
        return True

    def move(self, connection: Connection, phase: Phase, now: float) -> None:
        """Move a connection to another phase. A removed one stays removed."""
        group = self._groups.get(connection.origin)
        if group is None or connection not in group.phases[connection.phase]:
            return
        del group.phases[connection.phase][connection]
        connection.phase, connection.since = phase, now
        group.phases[phase][connection] = None

    def in_phase(self, phase: Phase) -> list[Connection]:
        """Return the connections in this phase."""
        return [one for group in self._groups.values() for one in group.phases[phase]]

    def overdue(self, now: float) -> Iterator[tuple[Connection, str]]:
        """Yield each connection that took too long, with the reason. The caller closes it."""
        for phase in Phase:
            timeout = TIMEOUTS.get(phase, float("inf"))
            for one in self.in_phase(phase):
                if one.blocked_since is not None and now - one.blocked_since >= READ_TIMEOUT:
                    yield one, REASONS[Phase.ANSWERED]
                elif now - one.since >= timeout:
                    yield one, REASONS[phase]


def origin_of(address: object) -> str:
    """Return the key of a client: its IPv4 address, or the network of its IPv6 address."""
    text = str(address[0]) if isinstance(address, tuple) and address else ""
    if ":" not in text:
        return text
    try:
        number = ipaddress.IPv6Address(text)
    except ValueError:
        return text
    if number.ipv4_mapped is not None:
        return str(number.ipv4_mapped)
    return str(ipaddress.IPv6Network((number, _IPV6_PREFIX), strict=False).network_address)
