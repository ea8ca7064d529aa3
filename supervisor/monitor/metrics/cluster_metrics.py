"""Metrics of a machine of a cluster; none where there is only one machine."""

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from core.status.cluster_status import ClusterStatus
from supervisor.monitor.metrics.metric_families import Value, counter, gauge, gauges
from supervisor.monitor.sampling.monotonic_counters import MonotonicCounters
from supervisor.monitor.sampling.sample import Sample


def families(sample: Sample, counters: MonotonicCounters) -> Iterator[Metric]:
    """Yield the metrics of the cluster; of an old view only the counters are true."""
    cluster = sample.cluster
    if cluster is None:
        return
    yield from _counters(cluster, counters)
    yield from _now(cluster)
    moments: dict[str, Value] = {}
    if cluster.current is not None:  # as many labels as this machine owns shards: 1,024 at most
        moments = {str(one.shard): one.proven_until for one in cluster.own}
    text = "created_utc up to which the subreddits of a shard of this machine are proven; absent while one never was"
    yield from gauges("cluster_proven_until_seconds", text, "shard", moments)


def _counters(cluster: ClusterStatus, counters: MonotonicCounters) -> Iterator[Metric]:
    handed_over, skipped = (0, 0) if cluster.view is None else (cluster.view.handed_over, cluster.view.skipped)
    text = "Records of this machine's spools that went to the present owner of their shard"
    yield from counter("cluster_handed_over_records_total", text, counters.follow(("handed over",), handed_over))
    text = "Records of this machine's spools that were not sent, since another machine had delivered them"
    yield from counter("cluster_skipped_records_total", text, counters.follow(("skipped",), skipped))


def _now(cluster: ClusterStatus) -> Iterator[Metric]:
    view = cluster.current
    if view is None:
        return
    yield from gauge("cluster_up", "1 while this machine is a member of the group", int(view.member_since is not None))
    yield from gauge("cluster_owned_shards", "Shards that this machine owns", len(cluster.own))
    text = "Shards that no machine owns: their subreddits are not captured"
    yield from gauge("cluster_ownerless_shards", text, len(cluster.without_owner))
    text = "Machines with a recent heartbeat, this one included"
    yield from gauge("cluster_live_machines", text, len(cluster.machines))
    text = "Seconds for which the group has refused the commits of this machine; 0 while it accepts them"
    yield from gauge("cluster_commit_failing_seconds", text, _seconds(cluster, view.commit_failing_since))
    text = "Seconds for which shards have been moving between machines; 0 while the assignment is settled"
    yield from gauge("cluster_rebalancing_seconds", text, _seconds(cluster, view.rebalancing_since))


def _seconds(cluster: ClusterStatus, since: float | None) -> float:
    return 0.0 if since is None else round(max(0.0, cluster.now - since), 1)
