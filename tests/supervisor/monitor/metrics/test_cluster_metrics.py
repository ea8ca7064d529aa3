"""Tests the metrics of a machine of a cluster."""

from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from core.cluster.view import ClusterView
from supervisor.monitor.metrics.exposition import MetricInput, exposition
from supervisor.monitor.sampling.monotonic_counters import MonotonicCounters
from supervisor.monitor.sampling.sample import Sample
from tests.supervisor.monitor.samples import CLUSTER_CONFIG, CONFIG, NOON, clustered, healthy, with_stream
from tests.support.clusters import cluster_view, with_owners

VIEW = cluster_view(NOON)


def numbers(sample: Sample, counters: MonotonicCounters | None = None) -> dict[tuple[str, ...], float]:
    config = CONFIG if sample.cluster is None else CLUSTER_CONFIG
    written = exposition(MetricInput(sample, config, counters or MonotonicCounters())).decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(written)
        for sample in family.samples
    }


def of_the_cluster(view: ClusterView) -> dict[tuple[str, ...], float]:
    return {key: value for key, value in numbers(clustered(view)).items() if key[0].startswith("cluster_")}


def test_the_only_machine_has_no_such_metric() -> None:
    assert [name for name, *_ in numbers(healthy()) if name.startswith("cluster_")] == []


def test_the_numbers_are_those_of_the_view() -> None:
    view = replace(with_owners(VIEW, {4: None, 5: None}), member_since=None, handed_over=7, skipped=3)
    view = replace(view, commit_failing_since=NOON - 5, rebalancing_since=NOON - 12.34)
    found = of_the_cluster(view)
    proven = {shard: found.pop(("cluster_proven_until_seconds", str(shard))) for shard in (0, 3, 6, 9, 12, 15)}
    assert proven == {shard: NOON - 5 - shard for shard in proven}
    assert found == {
        ("cluster_up",): 0,
        ("cluster_owned_shards",): 6,
        ("cluster_ownerless_shards",): 2,
        ("cluster_live_machines",): 3,
        ("cluster_commit_failing_seconds",): 5,
        ("cluster_rebalancing_seconds",): 12.3,
        ("cluster_handed_over_records_total",): 7,
        ("cluster_skipped_records_total",): 3,
    }


def test_labels_are_only_the_shards_of_this_machine() -> None:
    labels = {key[1] for key in of_the_cluster(cluster_view(NOON, 256)) if key[0] == "cluster_proven_until_seconds"}
    assert labels <= {str(number) for number in range(0, 256, 3)}


def test_of_an_old_view_only_the_counters_remain() -> None:
    found = of_the_cluster(replace(VIEW, at=NOON - 20, handed_over=7))
    assert set(found) == {("cluster_handed_over_records_total",), ("cluster_skipped_records_total",)}
    assert found["cluster_handed_over_records_total",] == 7


def test_counters_do_not_go_back_when_the_file_is_new() -> None:
    counters = MonotonicCounters()
    name = ("cluster_handed_over_records_total",)
    assert [
        numbers(clustered(replace(VIEW, handed_over=count)), counters)[name] for count in (1000, 1010, 0, 5, 25)
    ] == [1000, 1010, 1010, 1015, 1035]


def test_the_streams_are_measured_by_the_subreddits_of_this_machine() -> None:
    late = {"bitcoin": NOON, "ethereum": NOON - 5000}
    name = ("reddit_proven_until_seconds", "comments")
    assert numbers(with_stream(clustered(), "comments", proven=late))[name] == NOON - 5000
    assert numbers(with_stream(clustered(subreddits=("Bitcoin",)), "comments", proven=late))[name] == NOON


def test_a_machine_that_stands_by_claims_nothing_and_raises_no_alert() -> None:
    found = {name for name, *_ in numbers(clustered(owned=frozenset(), subreddits=()))}
    claims = {"reddit_proven_until_seconds", "reddit_completeness_ratio", "reddit_time_ratio"}
    assert not found & (claims | {"reddit_last_poll_age_seconds", "reddit_last_capture_age_seconds"})
