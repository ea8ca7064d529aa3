"""The publisher's view of the cluster, in `cluster.json`: who owns which shard, and whether this machine can commit.

Written about once a second, read by `status`, the monitor and the streams. It decides nothing about delivery.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from core.storage.private_files import replace_json


@dataclass(frozen=True, slots=True)
class Shard:
    """A shard: the instance that owns it, None if none does, and up to when it is proven.

    `proven_until`: the least created_utc of its subreddits and streams; None: something was never proven.
    """

    shard: int
    owner: str | None = None
    proven_until: float | None = None


@dataclass(frozen=True, slots=True)
class Machine:
    """A machine of the cluster, as its last heartbeat describes it.

    Attributes:
        at: when the heartbeat was written, epoch seconds of its clock.
        client: digest of its Reddit client id: machines with the same one share a quota.
        needed, wished: requests per second, as in `core.reddit.limiter.Wishes`, of all its processes.
        version: of the program.
    """

    instance: str
    at: float
    shards: tuple[int, ...] = ()
    client: str = ""
    needed: float = 0.0
    wished: float = 0.0
    version: str = ""


@dataclass(frozen=True, slots=True)
class ClusterView:
    """The cluster as this machine's publisher knows it at `at` (epoch seconds).

    Attributes:
        member_since: since when it is a member of the group, None while it is not (joining, or Kafka is away).
        rebalancing_since: since when the assignment has been changing, None if it is settled.
        commit_failing_since: since when the group refuses this machine's commits, None if it does not.
        handed_over: records that this machine gave to other owners, since the file was new.
        skipped: records of this machine's spools that others had delivered.
    """

    instance: str
    group: str
    at: float
    shards: tuple[Shard, ...] = ()
    machines: tuple[Machine, ...] = ()
    member_since: float | None = None
    rebalancing_since: float | None = None
    commit_failing_since: float | None = None
    handed_over: int = 0
    skipped: int = 0

    def document(self) -> dict[str, Any]:
        """Return the form documented for `status --json`."""
        return {"instance": self.instance, "shards": [asdict(one) for one in self.shards]}


def view_path(state_dir: Path) -> Path:
    """Return the file."""
    return state_dir / "cluster.json"


def write_view(state_dir: Path, view: ClusterView) -> None:
    """Replace the file. Raises OSError."""
    replace_json(view_path(state_dir), asdict(view))


def read_view(state_dir: Path) -> ClusterView | None:
    """Return the view as last written; None if there is none, or it cannot be read."""
    try:
        stored: Mapping[str, Any] = json.loads(view_path(state_dir).read_text(encoding="utf-8"))
        shards = tuple(Shard(**one) for one in stored["shards"])
        machines = tuple(Machine(**{**one, "shards": tuple(one["shards"])}) for one in stored["machines"])
        return ClusterView(**{**stored, "shards": shards, "machines": machines})
    except (OSError, ValueError, TypeError, KeyError, AttributeError):
        return None
