"""Decides which connections the monitor keeps, and which one it closes for a new one. Pure.

A new connection is always taken: where there are too many, the one that is needed least is closed for it, of the same
address first. So one client can fill the monitor, and a health check still gets in.
"""

import enum
import ipaddress
from collections.abc import Iterator
from dataclasses import dataclass, field

_FEWEST = 16
_MOST = 256
_SHARE_OF_FILES = 3  #: a third of the files that this process may open
_SHARE_OF_ADDRESS = 2  #: half of all connections

#: An IPv6 client has a whole network of this prefix to itself.
_IPV6_PREFIX = 64


class Phase(enum.Enum):
    """What a connection does."""

    IDLE = enum.auto()  #: its answer is taken, and no other request has begun
    HEAD = enum.auto()  #: its request is not complete
    WORKING = enum.auto()  #: its request is answered just now
    ANSWERED = enum.auto()  #: it has not taken all of its answer
    LISTENING = enum.auto()  #: it takes events


#: From what is needed least. A request under way is judged by age alone: a request that has just come in does not
#: give way to one that has been slow for longer.
_ORDER = ((Phase.IDLE,), (Phase.HEAD, Phase.WORKING, Phase.ANSWERED), (Phase.LISTENING,))


#: How long a connection may stay in a phase, seconds. Events have limits of their own.
TIMEOUTS = {Phase.IDLE: 80.0, Phase.HEAD: 5.0, Phase.ANSWERED: 10.0, Phase.WORKING: 30.0}

#: How long a client may leave our full buffer untouched, seconds.
READ_TIMEOUT = 10.0

REASONS = {Phase.HEAD: "request_late", Phase.ANSWERED: "slow_reader", Phase.WORKING: "work_late", Phase.IDLE: "idle"}
EVICTED = "too_many"
BAD_REQUEST = "bad_request"

#: Why a connection is closed that wanted to go on.
DROP_REASONS = (EVICTED, BAD_REQUEST, *(reason for phase, reason in REASONS.items() if phase is not Phase.IDLE))


@dataclass(frozen=True, slots=True)
class Limits:
    """How many connections there may be, in total and from one address."""

    total: int
    per_address: int

    @classmethod
    def of_files(cls, open_files: int) -> "Limits":
        """Choose the limits so that most of the files that the process may open stay free for its own work."""
        total = max(_FEWEST, min(_MOST, open_files // _SHARE_OF_FILES))
        return cls(total, max(_FEWEST // 2, total // _SHARE_OF_ADDRESS))


@dataclass(eq=False, slots=True)
class Connection:
    """One connection; moments are of a monotonic clock."""

    origin: str
    since: float  #: when its phase began
    phase: Phase = Phase.HEAD
    blocked_since: float | None = None  #: it does not take what we send


@dataclass(slots=True)
class _Group:
    """The connections of one address, by phase, the oldest first."""

    phases: dict[Phase, dict[Connection, None]] = field(default_factory=lambda: {phase: {} for phase in Phase})
    count: int = 0

    def least_needed(self) -> Connection:
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

    def enter(self, connection: Connection) -> Connection | None:
        """Take a connection; return the one that is left out for it, which the caller closes."""
        victim = self._victim(connection.origin)
        if victim is not None:
            self.leave(victim)
        group = self._groups.setdefault(connection.origin, _Group())
        group.phases[connection.phase][connection] = None
        group.count += 1
        self._count += 1
        return victim

    def _victim(self, origin: str) -> Connection | None:
        group = self._groups.get(origin)
        if group is not None and group.count >= self.limits.per_address:
            return group.least_needed()
        if self._count >= self.limits.total:
            return max(self._groups.values(), key=lambda one: one.count).least_needed()
        return None

    def leave(self, connection: Connection) -> bool:
        """Forget a connection; tell whether it was known."""
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
        """Let a connection begin another phase. One that was left out stays out."""
        group = self._groups.get(connection.origin)
        if group is None or connection not in group.phases[connection.phase]:
            return
        del group.phases[connection.phase][connection]
        connection.phase, connection.since = phase, now
        group.phases[phase][connection] = None

    def of_phase(self, phase: Phase) -> list[Connection]:
        """Return the connections in this phase."""
        return [one for group in self._groups.values() for one in group.phases[phase]]

    def overdue(self, now: float) -> Iterator[tuple[Connection, str]]:
        """Yield each connection that took too long, with the reason. The caller makes it leave."""
        for phase in Phase:
            timeout = TIMEOUTS.get(phase, float("inf"))
            for one in self.of_phase(phase):
                if one.blocked_since is not None and now - one.blocked_since >= READ_TIMEOUT:
                    yield one, REASONS[Phase.ANSWERED]
                elif now - one.since >= timeout:
                    yield one, REASONS[phase]


def origin_of(address: object) -> str:
    """Return what clients are told apart by: the IPv4 address, or the network of an IPv6 address."""
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
