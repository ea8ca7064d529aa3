"""The share of this machine in a quota that several machines use with one Reddit client id. Pure.

All machines read the same heartbeats in the same order (one partition), and compute the shares of all from them, but at
different moments. So a machine lowers its share at once, and raises it only when the others have had the time to lower
theirs: together they never have more than the quota.

A machine that Kafka does not reach is silent, and the others divide the quota without it. It continues to capture, so
before they do, it gives up what it does not need; Reddit's headers, which count the requests of all, limit the rest.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field, replace
from types import MappingProxyType

from core.cluster.view import Machine
from core.reddit.bounds import number
from streams.cluster.state_records import HEARTBEAT_EVERY_S

#: A share rises when all that was computed in this time allows it, seconds: a heartbeat, and the time until it is read.
_HOLD_S = HEARTBEAT_EVERY_S + 1.0

#: A machine that is silent for this many session timeouts has no share; for how many heartbeats at least.
_SILENT_SESSIONS = 2.0
_SILENT_HEARTBEATS = 3.0

#: After this part of that time without its own heartbeat, a machine gives up what it does not need.
_CUT_OFF = 0.75

#: The least share: this part of the quota, but all machines together get no more than the second part this way.
_FLOOR = 0.02
_FLOORS = 0.25

#: Until anything is known: this part of the quota, unless less was stored.
_FIRST = 0.25

#: A share is this multiple of the requests that a machine needs: it plans only a part for polls.
_ROOM = 1.25

#: As above, for a machine that Kafka does not reach: its needs may grow until Kafka is back.
_CUT_OFF_ROOM = 1.5

#: More than this no machine needs, whatever its heartbeat says, requests per second.
_MOST_PER_SECOND = 1_000.0


@dataclass(frozen=True, slots=True)
class Sharing:
    """What does not change.

    Attributes:
        instance: this machine's name.
        client: the digest of its client id.
        per_minute: the client's quota, requests per minute.
        session_timeout: of the machines' group in Kafka, seconds.
    """

    instance: str
    client: str
    per_minute: float
    session_timeout: float

    @property
    def silence(self) -> float:
        """The seconds without a heartbeat after which a machine leaves the sharing."""
        return max(_SILENT_SESSIONS * self.session_timeout, _SILENT_HEARTBEATS * HEARTBEAT_EVERY_S)


@dataclass(frozen=True, slots=True)
class Heard:
    """The last heartbeat of a machine, and when it arrived, on this machine's clock."""

    machine: Machine
    at: float


@dataclass(frozen=True, slots=True)
class ShareState:
    """The share of this machine, and what the next one depends on; times are on a monotonic clock.

    Attributes:
        share: requests per minute.
        began: when this state was new.
        stored: the share before, None if there was none.
        heard: the last heartbeats, by instance, this machine's included.
        target: what the heartbeats allow now.
        targets: what they allowed before, and until when; only those that still hold the share down.
        connected: the share when this machine last heard its own heartbeats; None: it never did.
    """

    share: float
    began: float
    stored: float | None
    target: float
    heard: Mapping[str, Heard] = field(default_factory=lambda: MappingProxyType({}))
    targets: tuple[tuple[float, float], ...] = ()
    connected: float | None = None


def begin(sharing: Sharing, now: float, stored: float | None = None, *, is_recent: bool = False) -> ShareState:
    """Return the state at the start, before anything is known of the others.

    `stored`: the share of the run before; `is_recent`: it ended so shortly ago that the others still leave it.
    """
    first = _FIRST * sharing.per_minute
    if stored is not None:
        first = min(stored, sharing.per_minute) if is_recent else min(stored, first)
    return ShareState(share=first, began=now, stored=stored, target=first)


def advance(
    state: ShareState,
    heartbeats: Iterable[Machine],
    now: float,
    wall: float,
    *,
    needed: float,
    sharing: Sharing,
    left: Iterable[str] = (),
) -> ShareState:
    """Return the state at this moment. Call it about once a second, with or without heartbeats.

    Args:
        state: the state before.
        heartbeats: those read since then, in the order of the topic, this machine's own included.
        now: a monotonic clock, seconds.
        wall: this machine's clock, epoch seconds, with which it writes its own heartbeats.
        needed: requests per second that this machine needs now.
        sharing: the fixed values.
        left: instances that have said that they stop.

    """
    for heartbeat in heartbeats:
        state = _retarget(_with_heartbeat(state, heartbeat, now, wall, sharing), now, needed, sharing)
    gone = set(left) - {sharing.instance}
    if gone:
        heard = {name: one for name, one in state.heard.items() if name not in gone}
        state = replace(state, heard=MappingProxyType(heard))
    return _retarget(state, now, needed, sharing)


def shares(machines: Iterable[Machine], per_minute: float) -> dict[str, float]:
    """Divide a quota between machines: what they need, then what they wish for, then the rest equally."""
    ordered = sorted(machines, key=lambda one: one.instance)
    if not ordered:
        return {}
    floor = min(_FLOOR * per_minute, _FLOORS * per_minute / len(ordered))
    needs = [_ROOM * _per_minute(one.needed) for one in ordered]
    extras = [max(0.0, _ROOM * _per_minute(one.wished) - need) for one, need in zip(ordered, needs, strict=True)]
    rest = per_minute - floor * len(ordered)
    covered, extra = _divide(rest, needs), [0.0] * len(ordered)
    rest -= sum(covered)
    extra = _divide(max(0.0, rest), extras)
    equal = max(0.0, rest - sum(extra)) / len(ordered)
    return {one.instance: floor + need + wish + equal for one, need, wish in zip(ordered, covered, extra, strict=True)}


def _per_minute(per_second: object) -> float:
    """Return what a heartbeat names, in requests per minute; anything but a sensible number counts as nothing."""
    return 60.0 * min(max(0.0, number(per_second) or 0.0), _MOST_PER_SECOND)


def _divide(amount: float, wanted: list[float]) -> list[float]:
    """Return what is wanted, or the same fraction of each where the amount is too small."""
    total = sum(wanted)
    return wanted if total <= amount else [amount * one / total for one in wanted]


def _with_heartbeat(state: ShareState, machine: Machine, now: float, wall: float, sharing: Sharing) -> ShareState:
    known = state.heard.get(machine.instance)
    if known is not None and known.machine.at == machine.at:
        return state  # read twice
    at, heard = now, dict(state.heard)
    if machine.instance == sharing.instance:
        at = now - max(0.0, wall - machine.at)  # an old one does not show that Kafka is reached now
        if not _is_connected(state, now, sharing):
            # the others' heartbeats were not read either: they are alive until they are silent from now on
            heard = {name: replace(one, at=now) for name, one in heard.items()}
        if known is not None:
            at = max(at, known.at)
    heard[machine.instance] = Heard(machine, at)
    return replace(state, heard=MappingProxyType(heard))


def _is_connected(state: ShareState, now: float, sharing: Sharing) -> bool:
    """Return whether this machine's own heartbeats come back from Kafka."""
    own = state.heard.get(sharing.instance)
    return own is not None and now - own.at <= _CUT_OFF * sharing.silence


def _retarget(state: ShareState, now: float, needed: float, sharing: Sharing) -> ShareState:
    """Compute what the heartbeats allow now, and the share: the least of what they allowed lately."""
    is_connected = _is_connected(state, now, sharing)
    if is_connected:
        state = _without_silent(state, now, sharing)
        alive = [one.machine for one in state.heard.values() if one.machine.client == sharing.client]
        # its own heartbeat may still name a client id that it had before
        target = shares(alive, sharing.per_minute).get(sharing.instance, _FLOOR * sharing.per_minute)
    else:
        target = _unconnected(state, now, needed, sharing)
    targets = (*state.targets, (now, state.target)) if target != state.target else state.targets
    targets = tuple(one for one in targets if one[0] > now - _HOLD_S and one[1] < target)
    share = min([target, *(value for _, value in targets)])
    connected = share if is_connected else state.connected
    return replace(state, share=share, target=target, targets=targets, connected=connected)


def _without_silent(state: ShareState, now: float, sharing: Sharing) -> ShareState:
    alive = {name: one for name, one in state.heard.items() if now - one.at <= sharing.silence}
    return state if len(alive) == len(state.heard) else replace(state, heard=MappingProxyType(alive))


def _unconnected(state: ShareState, now: float, needed: float, sharing: Sharing) -> float:
    """Return the target of a machine that Kafka does not reach."""
    if state.connected is not None:
        return min(state.connected, _FLOOR * sharing.per_minute + _CUT_OFF_ROOM * 60.0 * needed)
    if state.stored is not None and now - state.began > sharing.silence:
        return min(state.stored, sharing.per_minute)  # Kafka is away: the others have no news either
    return state.target
