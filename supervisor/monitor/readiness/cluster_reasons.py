"""Readiness rules for a machine of a cluster; all silent where there is only one machine. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from core.config.slices import MonitorConfig
from core.status.cluster_status import VIEW_OLD_AFTER_S, ClusterStatus
from supervisor.monitor.readiness.problem_tracker import ActiveProblem
from supervisor.monitor.sampling.sample import Sample

#: Seconds that a publisher has to join the group, and an assignment to settle.
_JOINS_WITHIN_S = 30.0
_SETTLES_WITHIN_S = 60.0

#: Seconds that the group may refuse a commit: a commit during a rebalance is repeated.
_COMMITS_WITHIN_S = 15.0

#: Seconds that a shard may have no owner, after its owner's session has ended.
_OWNED_WITHIN_S = 30.0

_MAX_NAMED = 10


@dataclass(slots=True)
class OwnerlessShards:
    """Remembers since when each shard has had no owner, over all samples."""

    _since: dict[int, float] = field(default_factory=dict)

    def update(self, cluster: ClusterStatus | None) -> Mapping[int, float]:
        """Take the present shards without owner; return them with their start times. An old view changes nothing."""
        if cluster is None:
            self._since.clear()
        elif cluster.current is not None:
            self._since = {shard: self._since.get(shard, cluster.now) for shard in cluster.without_owner}
        return dict(self._since)


def membership(sample: Sample, config: MonitorConfig) -> Iterator[ActiveProblem]:
    """Check whether this machine is a member of the group, and may commit.

    While Kafka is away, this is its consequence, and not reported.
    """
    cluster, joined_at = sample.cluster, sample.running_since("publisher")
    if cluster is None or joined_at is None or sample.outage_since is not None:
        return
    view, log = cluster.current, config.logging.log_dir / "publisher.log"
    if view is None or view.member_since is None:
        late = sample.now - joined_at > _JOINS_WITHIN_S
        if late and (view is not None or cluster.view is None):
            text = (
                f"This machine is no member of the group {cluster.config.group}, so it delivers nothing: records wait"
            )
            hint = f"on disk. It tries again automatically. Can it reach Kafka ({config.kafka_servers})? See {log}"
            yield ActiveProblem("cluster_not_member", cluster.config.instance, f"{text} {hint}")
        return
    moving, refused = view.rebalancing_since, view.commit_failing_since
    if moving is not None and sample.now - moving > _SETTLES_WITHIN_S:
        text = f"The shards of the group {cluster.config.group} keep moving between machines, and do not settle."
        hint = f"A machine joins and leaves repeatedly: see `status CONFIG` on each, and {log}"
        yield ActiveProblem("cluster_rebalancing", cluster.config.group, f"{text} {hint}", moving)
    if refused is not None and sample.now - refused > _COMMITS_WITHIN_S:
        text = "The group refuses the commits of this machine: another one may own its shards. Records wait on disk;"
        hint = f"nothing is lost. It joins again automatically; `restart CONFIG publisher` does it now. See {log}"
        yield ActiveProblem("cluster_commit_failing", cluster.config.instance, f"{text} {hint}", refused)


def shards(sample: Sample, ownerless: Mapping[int, float]) -> Iterator[ActiveProblem]:
    """Check whether each shard has an owner. A machine that is no member does not know."""
    cluster = sample.cluster
    if cluster is None or cluster.current is None or cluster.current.member_since is None:
        return
    lasting = {shard: since for shard, since in ownerless.items() if sample.now - since > _OWNED_WITHIN_S}
    if lasting:
        named = ", ".join(map(str, sorted(lasting)[:_MAX_NAMED]))
        more = f" and {len(lasting) - _MAX_NAMED} more" if len(lasting) > _MAX_NAMED else ""
        noun = "shard" if len(lasting) == 1 else "shards"
        text = f"No machine owns the {noun} {named}{more}: their subreddits are not captured."
        hint = "Check that all machines have the same [cluster] table, and that the publisher of each one runs."
        yield ActiveProblem("shard_without_owner", cluster.config.group, f"{text} {hint}", min(lasting.values()))


def others(sample: Sample) -> Iterator[ActiveProblem]:
    """Yield machines without a recent heartbeat; the others do their work."""
    cluster = sample.cluster
    if cluster is None or cluster.current is None or cluster.current.member_since is None:
        return
    for machine in cluster.machines:
        if machine.instance != cluster.config.instance and not cluster.alive(machine):
            text = f"The machine {machine.instance} sends no heartbeat: it is down, or cannot reach Kafka."
            hint = "The other machines have its shards. If it was removed on purpose, this ends after a day."
            yield ActiveProblem("cluster_machine_silent", machine.instance, f"{text} {hint}", machine.at)


def old_view(sample: Sample, config: MonitorConfig) -> Iterator[ActiveProblem]:
    """Yield that the publisher runs and does not describe the cluster: nothing else about it is known."""
    cluster, running_since = sample.cluster, sample.running_since("publisher")
    if cluster is None or cluster.view is None or cluster.current is not None or running_since is None:
        return
    if sample.now - running_since > VIEW_OLD_AFTER_S:
        text = "The publisher runs, but does not write the state of the cluster (cluster.json in"
        text = f"{text} {config.state_dir}), so owners and members are not known. Is there space on the disk?"
        hint = f"See {config.logging.log_dir / 'publisher.log'}"
        yield ActiveProblem("cluster_view_old", cluster.config.instance, f"{text} {hint}", cluster.view.at)
