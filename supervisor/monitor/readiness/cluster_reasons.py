"""Readiness rules for a machine of a cluster; all silent where there is only one machine. Pure."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from core.config.slices import MonitorConfig
from core.process import program
from core.status.cluster_status import ClusterStatus
from supervisor.monitor.readiness.problem_tracker import ActiveProblem
from supervisor.monitor.sampling.sample import Sample

#: Seconds that a publisher has to join the group, and an assignment to settle.
_JOINS_WITHIN_S = 30.0
_SETTLES_WITHIN_S = 60.0

#: Seconds that the group may refuse a commit: a commit during a rebalance is repeated.
_COMMITS_WITHIN_S = 15.0

#: Seconds that a shard may have no owner, after its owner's session has ended.
_OWNED_WITHIN_S = 30.0

#: A machine that is away for less (seconds) is restarting; one that is away for longer than a day is gone.
_MISSED_AFTER_S = 60.0
_GONE_AFTER_S = 86_400.0

_MAX_NAMED = 10


@dataclass(frozen=True, slots=True)
class Missing:
    """What the cluster lacks, and since when (epoch seconds)."""

    owners: Mapping[int, float] = field(default_factory=dict)  #: shards that no machine owns
    machines: Mapping[str, float] = field(default_factory=dict)  #: machines that were heard before


#: Nothing is known to be missing.
COMPLETE = Missing()


@dataclass(slots=True)
class MissingTracker:
    """Remembers over all samples since when a shard has had no owner, and when each machine was last heard."""

    _ownerless: dict[int, float] = field(default_factory=dict)
    _heard: dict[str, float] = field(default_factory=dict)

    def update(self, cluster: ClusterStatus | None) -> Missing:
        """Take the present state; an old view, and one of a machine that is no member, changes nothing."""
        if cluster is None:
            return COMPLETE
        if cluster.current is not None and cluster.current.member_since is not None:
            now = cluster.now
            self._ownerless = {shard: self._ownerless.get(shard, now) for shard in cluster.without_owner}
            self._heard |= {machine.instance: now for machine in cluster.machines}
            self._heard = {name: at for name, at in self._heard.items() if now - at < _GONE_AFTER_S}
        present = {machine.instance for machine in cluster.machines}
        away = {name: at for name, at in self._heard.items() if name not in present}
        return Missing(dict(self._ownerless), away)


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
        written = cluster.view is not None and cluster.view.at >= joined_at  # by this publisher: see `old_view`
        if late and (view is not None or not written):
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


def shards(sample: Sample, missing: Missing) -> Iterator[ActiveProblem]:
    """Check whether each shard has an owner. A machine that is no member does not know."""
    cluster = sample.cluster
    if cluster is None or cluster.current is None or cluster.current.member_since is None:
        return
    lasting = {shard: since for shard, since in missing.owners.items() if sample.now - since > _OWNED_WITHIN_S}
    if lasting:
        named = ", ".join(map(str, sorted(lasting)[:_MAX_NAMED]))
        more = f" and {len(lasting) - _MAX_NAMED} more" if len(lasting) > _MAX_NAMED else ""
        noun = "shard" if len(lasting) == 1 else "shards"
        text = f"No machine owns the {noun} {named}{more}: their subreddits are not captured."
        hint = "Check that all machines have the same [cluster] table, and that the publisher of each one runs."
        yield ActiveProblem("shard_without_owner", cluster.config.group, f"{text} {hint}", min(lasting.values()))


def others(sample: Sample, missing: Missing) -> Iterator[ActiveProblem]:
    """Yield machines that were heard before and are not now; the others do their work."""
    cluster = sample.cluster
    if cluster is None or cluster.current is None or cluster.current.member_since is None:
        return
    for instance, heard in missing.machines.items():
        if sample.now - heard > _MISSED_AFTER_S:
            text = (
                f"The machine {instance} sends no heartbeat: it was stopped, is down, or cannot reach Kafka. The other"
            )
            hint = (
                f"machines have its shards. If it was removed on purpose: `{program.command()} restart CONFIG monitor`"
            )
            yield ActiveProblem("cluster_machine_silent", instance, f"{text} {hint} ends this warning.", heard)


def old_view(sample: Sample, config: MonitorConfig) -> Iterator[ActiveProblem]:
    """Yield that the publisher runs and does not describe the cluster: nothing else about it is known."""
    cluster, running_since = sample.cluster, sample.running_since("publisher")
    if cluster is None or cluster.view is None or cluster.current is not None or running_since is None:
        return
    if cluster.view.at >= running_since:
        text = "The publisher runs, but does not write the state of the cluster (cluster.json in"
        text = f"{text} {config.state_dir}), so owners and members are not known. Is there space on the disk?"
        hint = f"See {config.logging.log_dir / 'publisher.log'}"
        yield ActiveProblem("cluster_view_old", cluster.config.instance, f"{text} {hint}", cluster.view.at)
