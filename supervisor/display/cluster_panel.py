"""The cluster's part of `status`: the machines, the shards of this one, and what is wrong with others. Pure."""

import textwrap
from collections.abc import Iterable

from core.cluster.view import Machine
from core.status.cluster_status import ClusterStatus
from supervisor.display.formatting import duration, plural, table, utc_text

_MACHINES = ("MACHINE", "SHARDS", "PROVEN", "HEARTBEAT", "VERSION")
_MOST_MACHINES = 20
_MOST_RANGES = 24
_WIDTH = 100
_NONE = "-"


def cluster_block(cluster: ClusterStatus, *, runs: bool = True) -> str:
    """Format the cluster: a line, a table of the machines, and the shards that matter here.

    `runs`: whether this machine runs. If not, its files soon describe the past: other machines have its shards.
    """
    head = f"Cluster: machine {cluster.config.instance} of group {cluster.config.group}"
    if not runs:
        return f"{head}; nothing runs here, and `status` on another machine shows the cluster"
    if cluster.view is None:
        return f"{head}; the publisher has not joined it yet, so owners of shards are not known"
    alive = plural(len(cluster.machines), "machine")
    lines = [f"{head}, {alive} alive, {plural(cluster.config.shards, 'shard')}", *_troubles(cluster)]
    shown = sorted(cluster.machines, key=lambda one: one.instance != cluster.config.instance)  # this one first
    rows = [_row(machine, cluster) for machine in shown[:_MOST_MACHINES]]
    blocks = ["\n".join(lines)]
    if rows:
        more = len(shown) - len(rows)
        rest = f"\nand {plural(more, 'more machine')} (see --json)" if more else ""
        blocks.append(f"{table([_MACHINES, *rows], right=(1, 2, 3))}{rest}")
    blocks.append("\n".join(_shards(cluster)))
    return "\n\n".join(blocks)


def _troubles(cluster: ClusterStatus) -> Iterable[str]:
    """Yield what is wrong now; of an old view only its age is certain."""
    view = cluster.view
    if view is None:
        return
    if cluster.current is None:
        yield f"  as of {duration(cluster.age_s)} ago: the publisher has not written the cluster's state since then"
        return
    if view.member_since is None:
        yield "  this machine is no member of the group now: it is joining, or Kafka is away; records wait on disk"
    if view.rebalancing_since is not None:
        yield f"  shards have been moving for {duration(max(0.0, cluster.now - view.rebalancing_since))}"
    if view.commit_failing_since is not None:
        since = duration(max(0.0, cluster.now - view.commit_failing_since))
        yield f"  the group has refused the commits of this machine for {since}; records wait on disk"


def _row(machine: Machine, cluster: ClusterStatus) -> tuple[str, ...]:
    here = " (this one)" if machine.instance == cluster.config.instance else ""
    owned, until = cluster.owners.get(machine.instance, 0), cluster.proven_until(machine.instance)
    proven = _NONE if until is None else f"{duration(max(0.0, cluster.now - until))} ago"
    heartbeat = f"{duration(max(0.0, cluster.now - machine.at))} ago"
    return f"{machine.instance}{here}", str(owned), proven, heartbeat, machine.version or _NONE


def _shards(cluster: ClusterStatus) -> Iterable[str]:
    own = ranges(one.shard for one in cluster.own)
    yield _wrapped("Shards here:   ", own or "none: this machine stands by")
    if cluster.without_owner:
        yield _wrapped("Without owner: ", ranges(cluster.without_owner))
    least = cluster.proven_least
    if least is not None:
        owner = f"shard {least.shard} ({least.owner or 'no owner'})"
        moment = least.proven_until
        until = "not proven yet" if moment is None else f"until {utc_text(moment)}"
        yield f"Proven least:  {owner}, {until}"


def ranges(numbers: Iterable[int]) -> str:
    """Format numbers as ranges, "0-3, 7"; of many ranges the first ones, and how many numbers follow."""
    found: list[list[int]] = []
    for number in sorted(numbers):
        if found and number == found[-1][-1] + 1:
            found[-1].append(number)
        else:
            found.append([number])
    texts = [str(part[0]) if len(part) == 1 else f"{part[0]}-{part[-1]}" for part in found]
    more = sum(map(len, found[_MOST_RANGES:]))
    return ", ".join(texts[:_MOST_RANGES]) + (f" and {more} more" if more else "")


def _wrapped(label: str, text: str) -> str:
    return textwrap.fill(text, _WIDTH, initial_indent=label, subsequent_indent=" " * len(label), break_on_hyphens=False)
