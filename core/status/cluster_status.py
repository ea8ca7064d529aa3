"""The cluster as this machine's files show it: members, shards, owners, and what is wrong with them.

The publisher writes both files: `cluster.json` (the view, once a second) and `cluster.db` (the shards that the streams
of this machine capture).
"""

import contextlib
import sqlite3
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from core.cluster.mailbox import MailboxReader
from core.cluster.view import ClusterView, Machine, Shard, read_view
from core.config.slices import ClusterConfig
from core.status.scope import Scope, cached_shard

#: The publisher writes the view once a second; an older one (seconds) describes the past.
VIEW_OLD_AFTER_S = 15.0


@dataclass(frozen=True, slots=True)
class ClusterStatus:
    """The cluster at `now` (epoch seconds).

    Attributes:
        owned: the shards whose subreddits the streams of this machine capture.
        subreddits: of the configured ones, those of these shards.
        view: what the publisher last wrote; None: nothing yet.
        used: the shards of the configured subreddits; of the others there is nothing to prove.
    """

    config: ClusterConfig
    now: float
    owned: frozenset[int] = frozenset()
    subreddits: tuple[str, ...] = ()
    view: ClusterView | None = None
    used: frozenset[int] = frozenset()

    @property
    def scope(self) -> Scope:
        """The subreddits of this machine."""
        return Scope(self.owned, self.config.shards)

    @property
    def age_s(self) -> float | None:
        """The age of the view; None without one."""
        return None if self.view is None else max(0.0, self.now - self.view.at)

    @property
    def current(self) -> ClusterView | None:
        """The view, if it describes the present."""
        age = self.age_s
        return self.view if age is not None and age <= VIEW_OLD_AFTER_S else None

    @property
    def shards(self) -> tuple[Shard, ...]:
        """Every shard, also those of which nothing is known."""
        known = {} if self.view is None else {one.shard: one for one in self.view.shards}
        return tuple(known.get(number, Shard(number)) for number in range(self.config.shards))

    @property
    def own(self) -> tuple[Shard, ...]:
        """The shards that the group has assigned to this machine."""
        return tuple(one for one in self.shards if one.owner == self.config.instance)

    @property
    def without_owner(self) -> tuple[int, ...]:
        """The shards that no machine owns, as far as the view knows."""
        return () if self.view is None else tuple(one.shard for one in self.shards if one.owner is None)

    @property
    def proven_least(self) -> Shard | None:
        """The shard proven least far: one that was never proven, or that with the earliest time."""
        used = [] if self.view is None else [one for one in self.shards if one.shard in self.used]
        return min(used, key=lambda one: one.proven_until or float("-inf"), default=None)

    @property
    def owners(self) -> Counter[str]:
        """The number of shards of each machine."""
        return Counter(one.owner for one in self.shards if one.owner is not None)

    @property
    def machines(self) -> tuple[Machine, ...]:
        """The machines that the publisher hears, by name; this one included."""
        return () if self.view is None else tuple(sorted(self.view.machines, key=lambda one: one.instance))

    def proven_until(self, instance: str) -> float | None:
        """Return the least proven time of a machine's subreddits; None: one was never proven, or it has none."""
        moments = [one.proven_until for one in self.shards if one.owner == instance and one.shard in self.used]
        known = [moment for moment in moments if moment is not None]
        return min(known) if known and len(known) == len(moments) else None

    def document(self) -> dict[str, Any]:
        """Return the documented form, for `status --json`."""
        return ClusterView(self.config.instance, self.config.group, self.now, self.shards).document()


def read_cluster(
    config: ClusterConfig | None, state_dir: Path, subreddits: Sequence[str], now: float
) -> tuple[ClusterStatus | None, list[str]]:
    """Read both files; None without a cluster. The list names what cannot be read now."""
    if config is None:
        return None, []
    owned: frozenset[int] = frozenset()
    unreadable = []
    try:
        owned = _owned(state_dir)
    except (sqlite3.Error, OSError) as error:
        unreadable.append(f"the file of the cluster cannot be read now: {error}")
    names = Scope(owned, config.shards).names(subreddits)
    used = frozenset(cached_shard(name, config.shards) for name in subreddits)
    view = read_view(state_dir)
    if view is not None and view.instance != config.instance:
        config = replace(config, instance=view.instance)  # as the publisher runs: this terminal may lack its variable
    return ClusterStatus(config, now, owned, names, view, used), unreadable


def _owned(state_dir: Path) -> frozenset[int]:
    """Return the shards that the streams capture; none while the publisher has not been a member yet."""
    reader = MailboxReader.open(state_dir)
    if reader is None:
        return frozenset()
    with contextlib.closing(reader):
        return reader.shards()
