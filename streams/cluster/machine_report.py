"""Reports this machine to the others and to its own processes: heartbeat, view of the cluster, share of the quota."""

import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import Protocol

from core.cluster.view import ClusterView, Machine, Shard, write_view
from core.config.slices import ClusterConfig
from core.periodic import Timer
from core.version import VERSION
from streams.cluster.heartbeats import Heartbeats
from streams.cluster.membership import Membership
from streams.cluster.quota_sharer import QuotaSharer
from streams.cluster.state_records import HEARTBEAT_EVERY_S, Heartbeat

_VIEW_EVERY_S = 1.0
#: A machine counts as alive for this many session timeouts after its heartbeat, and for this time at least, seconds.
_ALIVE_SESSIONS = 2.0
_ALIVE_S = 8.0


class Proven(Protocol):
    """Knows up to when a shard is proven."""

    def proven_until(self, shard: int) -> float | None:
        """Return created_utc, epoch seconds; None: something was never proven."""
        ...


class MachineReport:
    """Heartbeat, view and counters.

    Args:
        config: the place of this machine in the cluster.
        state_dir: where the view is written.
        counters: returns the durable counters of the publisher.
        quota: the share of the quota.
        clock: monotonic seconds.
        wall: epoch seconds.
    """

    def __init__(
        self,
        config: ClusterConfig,
        state_dir: Path,
        counters: Callable[[str], int],
        quota: QuotaSharer,
        *,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._config = config
        self._state_dir = state_dir
        self._counters = counters
        self._quota = quota
        self._clock = clock
        self._wall = wall
        self._beats = Timer(HEARTBEAT_EVERY_S)
        self._views = Timer(_VIEW_EVERY_S)
        self._beating = False
        self._refused_since: float | None = None
        self._others: list[Machine] = []
        self._alive_for = max(_ALIVE_S, _ALIVE_SESSIONS * config.session_timeout)

    @property
    def heartbeat_due(self) -> bool:
        """Whether it is time for a heartbeat."""
        return self._beats.due <= self._clock()

    def heartbeat(self, held: Collection[int], proven: Proven) -> Heartbeat | None:
        """Return the heartbeat if it is time for one."""
        if not self.heartbeat_due:
            return None
        self._beating = True
        moments = {shard: proven.proven_until(shard) for shard in sorted(held)}
        return Heartbeat(self._machine(held), moments)

    def _machine(self, held: Collection[int]) -> Machine:
        needed, wished = self._quota.wishes
        return Machine(
            self._config.instance,
            self._wall(),
            tuple(sorted(held)),
            client=self._config.client,
            needed=round(needed, 4),
            wished=round(wished, 4),
            version=VERSION,
        )

    def committed(self) -> None:
        """Note that the last writes are durable."""
        self._refused_since = None
        if self._beating:
            self._beats.restart(self._clock())
            self._beating = False

    def abandoned(self) -> None:
        """Note that the last writes failed."""
        self._beating = False

    def refused(self) -> None:
        """Note that the group refuses the commits of this machine."""
        if self._refused_since is None:
            self._refused_since = self._wall()

    def share_quota(self, heartbeats: Heartbeats | None) -> None:
        """Adjust this machine's share of the quota, also while Kafka is away (then there are no heartbeats)."""
        self._quota.step(lambda: () if heartbeats is None else heartbeats.take())

    @property
    def others_alive(self) -> bool:
        """Whether another machine of the group is alive."""
        return bool(self._others)

    def update(self, membership: Membership, heartbeats: Heartbeats, held: Collection[int], proven: Proven) -> None:
        """Write the view, about once a second. Raises OSError."""
        if not self._views.elapsed(self._clock()):
            return
        beats = {
            name: beat
            for name, (beat, age) in heartbeats.ages().items()
            if name != self._config.instance and age <= self._alive_for
        }
        self._others = [beat.machine for beat in beats.values()]
        shards = [self._shard(shard, membership, held, proven, beats) for shard in range(self._config.shards)]
        view = ClusterView(
            instance=self._config.instance,
            group=self._config.group,
            at=self._wall(),
            shards=tuple(shards),
            machines=tuple(sorted([self._machine(held), *self._others], key=lambda one: one.instance)),
            member_since=membership.member_since,
            rebalancing_since=membership.rebalancing_since,
            commit_failing_since=self._refused_since,
            handed_over=self._counters("handed_over"),
            skipped=self._counters("skipped"),
        )
        write_view(self._state_dir, view)

    def close(self) -> None:
        """Release the quota's file."""
        self._quota.close()

    def _shard(
        self,
        shard: int,
        membership: Membership,
        held: Collection[int],
        proven: Proven,
        beats: dict[str, Heartbeat],
    ) -> Shard:
        if shard in membership.shards:
            return Shard(shard, self._config.instance, proven.proven_until(shard) if shard in held else None)
        owners = [beat for beat in beats.values() if shard in beat.proven_until]
        if not owners:
            return Shard(shard)
        newest = max(owners, key=lambda beat: beat.machine.at)
        return Shard(shard, newest.machine.instance, newest.proven_until[shard])
