"""Builds the cluster's part of the page's data: small enough to send every second with a thousand shards. Pure."""

from typing import Any

from core.cluster.view import ClusterView, Machine, Shard
from core.status.cluster_status import ClusterStatus

#: Most machines on the page.
_MAX_MACHINES = 50


def cluster_view(cluster: ClusterStatus) -> dict[str, Any]:
    """Describe the cluster. A shard is [owner's place in `names`, or null; until: null never, 0 no subreddits]."""
    view = cluster.view
    names = sorted(cluster.owners | {one.instance: 0 for one in cluster.machines})
    places = {name: place for place, name in enumerate(names)}
    machines = sorted(cluster.machines, key=lambda one: (one.instance != cluster.config.instance, one.instance))
    return {
        "instance": cluster.config.instance,
        "group": cluster.config.group,
        "age_s": None if cluster.age_s is None else round(cluster.age_s, 1),
        "old": cluster.current is None,
        "member": view is not None and view.member_since is not None,
        **_durations(cluster, view),
        "handed_over": 0 if view is None else view.handed_over,
        "skipped": 0 if view is None else view.skipped,
        "alive": len(machines),
        "machines": [_machine(one, cluster) for one in machines[:_MAX_MACHINES]],
        "more_machines": max(0, len(machines) - _MAX_MACHINES),
        "names": names,
        "shards": [
            [
                None if one.owner is None else places[one.owner],
                _proven(one, cluster),
            ]
            for one in cluster.shards
        ],
    }


def _proven(shard: Shard, cluster: ClusterStatus) -> int | None:
    if shard.shard not in cluster.used:
        return 0
    return None if shard.proven_until is None else round(shard.proven_until)


def _durations(cluster: ClusterStatus, view: ClusterView | None) -> dict[str, float | None]:
    """Return for how long something has been wrong; None: it is not."""
    moments = {
        "rebalancing_s": None if view is None else view.rebalancing_since,
        "commit_failing_s": None if view is None else view.commit_failing_since,
    }
    return {
        name: None if moment is None else round(max(0.0, cluster.now - moment), 1) for name, moment in moments.items()
    }


def _machine(machine: Machine, cluster: ClusterStatus) -> dict[str, Any]:
    until = cluster.proven_until(machine.instance)
    return {
        "name": machine.instance,
        "shards": cluster.owners.get(machine.instance, 0),
        "proven_until": None if until is None else round(until),
        "heartbeat_s": round(max(0.0, cluster.now - machine.at), 1),
        "version": machine.version,
    }
