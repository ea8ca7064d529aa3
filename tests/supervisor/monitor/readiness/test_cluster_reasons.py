"""Tests the reasons and warnings of a cluster: when they are reported, and that a cause hides its consequences."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from core.cluster.view import ClusterView
from core.errors import FaultCode
from supervisor.monitor.readiness.cluster_reasons import Missing, MissingTracker
from supervisor.monitor.readiness.problem_tracker import ActiveProblem
from supervisor.monitor.readiness.reasons import REASONS, WARNINGS, Trend, problems, warnings
from supervisor.monitor.sampling.sample import Sample
from supervisor.monitor.snapshot.snapshot_builder import SnapshotBuilder
from tests.supervisor.monitor.samples import CLUSTER_CONFIG, CONFIG, NOON, clustered, healthy, with_process, with_stream
from tests.support.clusters import cluster_view, with_machine, with_owners

VIEW = cluster_view(NOON)
FENCED = "another machine has the name gapless-0"


def in_view(**more: object) -> Sample:
    return clustered(replace(VIEW, **more))  # type: ignore[arg-type]


def found(sample: Sample, ownerless: dict[int, float] | None = None) -> list[ActiveProblem]:
    return problems(sample, Trend(answered_at=NOON - 1, missing=Missing(ownerless or {})), CLUSTER_CONFIG)


def told(sample: Sample, **machines: float) -> list[ActiveProblem]:
    away = {name.replace("_", "-"): heard for name, heard in machines.items()}
    return list(warnings(sample, CLUSTER_CONFIG, Missing(machines=away)))


CASES: dict[str, tuple[Callable[[], list[ActiveProblem]], tuple[str, str, float | None]]] = {
    "no member": (
        lambda: found(in_view(member_since=None)),
        ("cluster_not_member", "gapless-0", None),
    ),
    "never a member": (
        lambda: found(with_view(None)),
        ("cluster_not_member", "gapless-0", None),
    ),
    "shards keep moving": (
        lambda: found(in_view(rebalancing_since=NOON - 61)),
        ("cluster_rebalancing", "gapless-reddit-posts", NOON - 61),
    ),
    "commits are refused": (
        lambda: found(in_view(commit_failing_since=NOON - 20)),
        ("cluster_commit_failing", "gapless-0", NOON - 20),
    ),
    "a shard has no owner": (
        lambda: found(clustered(with_owners(VIEW, {4: None})), {4: NOON - 31}),
        ("shard_without_owner", "gapless-reddit-posts", NOON - 31),
    ),
    "two machines have one name": (
        lambda: found(
            with_process(clustered(), "publisher", "FATAL", why=FENCED, code=FaultCode.INSTANCE_TAKEN, state_age_s=9.0)
        ),
        ("cluster_name_taken", "publisher", NOON - 9),
    ),
    "a machine is silent": (
        lambda: told(clustered(), gapless_2=NOON - 61),
        ("cluster_machine_silent", "gapless-2", NOON - 61),
    ),
    "an earlier publisher was a member": (
        lambda: found(in_view(at=NOON - 400)),  # the present one has run for 300 s
        ("cluster_not_member", "gapless-0", None),
    ),
    "the view is old": (
        lambda: told(in_view(at=NOON - 20)),
        ("cluster_view_old", "gapless-0", NOON - 20),
    ),
}
OF_A_CLUSTER = {what for _, (what, _, _) in CASES.values()} & set(REASONS)


def with_view(view: ClusterView | None) -> Sample:
    sample = clustered()
    assert sample.cluster is not None
    return replace(sample, status=replace(sample.status, cluster=replace(sample.cluster, view=view)))


@pytest.mark.parametrize("case", CASES)
def test_it_is_reported_alone_with_its_subject_and_its_beginning(case: str) -> None:
    look, expected = CASES[case]
    (problem,) = look()
    assert (problem.what, problem.subject, problem.since) == expected
    assert problem.what in (*REASONS, *WARNINGS)
    assert problem.text.rstrip().endswith((".", ".log"))


def test_a_settled_cluster_has_nothing_to_report() -> None:
    assert found(clustered()) == []
    assert told(clustered()) == []


def test_the_only_machine_never_reports_a_cluster() -> None:
    assert problems(healthy(), Trend(answered_at=NOON - 1, missing=Missing({1: NOON - 999})), CONFIG) == []


@pytest.mark.parametrize(
    "sample",
    [
        in_view(rebalancing_since=NOON - 59),
        in_view(commit_failing_since=NOON - 10),
        with_process(in_view(member_since=None), "publisher", uptime_s=20.0),
        clustered(with_machine(VIEW, "gapless-2", at=NOON + 300)),
        clustered(with_machine(VIEW, "gapless-2", at=NOON - 300)),
        with_process(in_view(at=NOON - 20), "publisher", uptime_s=10.0),
    ],
    ids=[
        "a rebalance of a minute",
        "a commit during a rebalance",
        "it is joining",
        "a clock that is ahead",
        "a clock that is behind",
        "a publisher that has just started",
    ],
)
def test_what_ends_by_itself_is_no_trouble(sample: Sample) -> None:
    assert found(sample) == []
    assert told(sample) == []


@pytest.mark.parametrize("what", [{"member_since": None}, {"commit_failing_since": NOON - 60}, {"at": NOON - 60}])
def test_while_kafka_is_away_its_consequences_are_not_reported_too(what: dict[str, object]) -> None:
    sample = replace(in_view(**what), kafka_away_since=NOON - 90)
    assert [problem.what for problem in found(sample)] == ["kafka_away"]


@pytest.mark.parametrize("what", [{"member_since": None}, {"at": NOON - 60}])
def test_a_publisher_that_does_not_run_is_the_only_reason(what: dict[str, object]) -> None:
    sample = with_process(in_view(**what), "publisher", "BACKOFF")
    assert [problem.what for problem in found(sample)] == ["process_down"]
    assert told(sample) == []


@pytest.mark.parametrize("what", [{"member_since": None}, {"at": NOON - 60}])
def test_a_machine_that_is_no_member_does_not_judge_the_others(what: dict[str, object]) -> None:
    view = with_owners(replace(VIEW, **what), {4: None})  # type: ignore[arg-type]
    reported = [*found(clustered(view), {4: NOON - 99}), *told(clustered(view), gapless_2=NOON - 600)]
    assert {problem.what for problem in reported} <= {"cluster_not_member", "cluster_view_old"}


def test_of_many_shards_without_owner_the_first_are_named() -> None:
    ownerless = dict.fromkeys(range(16), NOON - 40)
    (problem,) = found(clustered(with_owners(VIEW, dict.fromkeys(range(16)))), ownerless)
    assert "0, 1, 2, 3, 4, 5, 6, 7, 8, 9 and 6 more" in problem.text


def without(view: ClusterView, *shards: int) -> ClusterView:
    return with_owners(view, dict.fromkeys(shards))


def test_a_shard_is_without_owner_for_as_long_as_it_was_seen_so() -> None:
    tracker = MissingTracker()

    def owners(seconds: float, *shards: int, **more: object) -> dict[int, float]:
        now = NOON + seconds
        view = replace(without(cluster_view(now), *shards), **more)  # type: ignore[arg-type]
        return dict(tracker.update(clustered(view, now=now).cluster).owners)

    assert owners(0, 4) == {4: NOON}
    assert owners(10, 4, 5) == {4: NOON, 5: NOON + 10}
    assert owners(20, 4, 5, 6, at=NOON - 100) == {4: NOON, 5: NOON + 10}, "an old view changes nothing"
    assert owners(25, 4, 5, 6, member_since=None) == {4: NOON, 5: NOON + 10}, "who is no member does not know"
    assert owners(30, 5) == {5: NOON + 10}
    assert tracker.update(None) == Missing()


def test_a_machine_is_missed_after_it_was_heard_for_a_day() -> None:
    tracker = MissingTracker()

    def away(seconds: float, machines: int, **more: object) -> dict[str, float]:
        now = NOON + seconds
        view = replace(cluster_view(now, machines=machines), **more)  # type: ignore[arg-type]
        return dict(tracker.update(clustered(view, now=now).cluster).machines)

    assert away(0, 2) == {}
    assert away(5, 3) == {}
    assert away(10, 2) == {"gapless-2": NOON + 5}
    assert away(500, 1, member_since=None) == {"gapless-1": NOON + 10, "gapless-2": NOON + 5}
    assert away(510, 2) == {"gapless-2": NOON + 5}
    assert away(90_000, 2) == {}


def test_a_failover_is_over_before_anything_is_reported() -> None:
    builder = SnapshotBuilder(CLUSTER_CONFIG)

    def reasons_at(seconds: float) -> list[str]:
        now = NOON + seconds
        sample = clustered(with_owners(cluster_view(now), {4: None}), now=now)
        sample = replace(sample, now=now, status=replace(sample.status, now=now))
        fresh = {"polled_at": now, "captured_at": now, "waiting_since": None}
        for stream in ("submissions", "comments"):
            sample = with_stream(sample, stream, **fresh)
        return [reason.what for reason in builder.build(sample).readiness.reasons if "shard" in reason.what]

    assert [reasons_at(second) for second in (0, 10, 29)] == [[], [], []]
    assert reasons_at(31) == ["shard_without_owner"]


def test_a_machine_that_stands_by_is_ready_though_its_streams_read_nothing() -> None:
    sample = clustered(owned=frozenset(), subreddits=())
    for stream in ("submissions", "comments"):
        sample = with_stream(sample, stream, polled_at=None, captured_at=None, begun=None, proven={})
    assert found(sample) == []
    assert told(sample) == []
    owner = clustered()
    for stream in ("submissions", "comments"):
        owner = with_stream(owner, stream, polled_at=None, captured_at=None)
    assert {problem.what for problem in found(owner)} == {"stream_silent"}
