"""Tests the cluster's part of the page's data."""

from dataclasses import replace

import orjson

from core.config.slices import ClusterConfig
from core.status.cluster_status import ClusterStatus
from supervisor.monitor.readiness.problem_tracker import Readiness
from supervisor.monitor.snapshot.cluster_view import cluster_view as shown
from supervisor.monitor.snapshot.history import History
from supervisor.monitor.snapshot.page_view import view
from tests.supervisor.monitor.samples import CLUSTER_CONFIG, CONFIG, NOON, clustered, healthy, with_stream
from tests.support.clusters import cluster_view, with_owners


def of(count: int = 16, machines: int = 3, **more: object) -> ClusterStatus:
    made = replace(cluster_view(NOON, count, machines), **more)  # type: ignore[arg-type]
    config = ClusterConfig("gapless-0", "gapless-reddit-posts", count, 6.0, "x")
    return ClusterStatus(config, NOON, view=made, used=frozenset(range(0, count, 2)))


def test_a_page_without_a_cluster_has_no_such_part() -> None:
    assert view(healthy(), CONFIG, History(), Readiness(), str)["cluster"] is None


def test_shards_and_machines_are_told_with_their_numbers() -> None:
    part = shown(of(rebalancing_since=NOON - 9, handed_over=4))
    assert (part["instance"], part["group"], part["member"], part["old"]) == (
        "gapless-0",
        "gapless-reddit-posts",
        True,
        False,
    )
    assert (part["rebalancing_s"], part["commit_failing_s"], part["handed_over"]) == (9.0, None, 4)
    assert part["names"] == ["gapless-0", "gapless-1", "gapless-2"]
    assert part["shards"][:3] == [[0, NOON - 5], [1, 0], [2, NOON - 7]]
    assert part["machines"][0] == {
        "name": "gapless-0",
        "shards": 6,
        "proven_until": NOON - 17,
        "heartbeat_s": 0.5,
        "version": "0.2.0",
    }


def test_a_shard_without_owner_or_proof_says_so() -> None:
    made = with_owners(cluster_view(NOON), {0: None})
    made = replace(made, shards=tuple(replace(one, proven_until=None) for one in made.shards))
    cluster = replace(of(), view=made)
    assert shown(cluster)["shards"][:2] == [[None, None], [1, 0]]


def test_before_the_publisher_has_joined_the_page_has_what_is_configured() -> None:
    part = shown(replace(of(), view=None))
    assert (part["age_s"], part["member"], part["machines"]) == (None, False, [])
    assert len(part["shards"]) == 16


def test_a_thousand_shards_and_many_machines_stay_small() -> None:
    part = shown(of(1024, 90))
    assert (len(part["machines"]), part["more_machines"], part["alive"]) == (50, 40, 90)
    assert len(orjson.dumps(part)) < 40_000


def test_the_streams_on_the_page_are_those_of_this_machine() -> None:
    late = {"bitcoin": NOON, "ethereum": NOON - 5000}
    sample = with_stream(clustered(subreddits=("Bitcoin",)), "comments", proven=late)
    document = view(sample, CLUSTER_CONFIG, History(), Readiness(), str)
    assert document["streams"]["comments"]["proven_until"] == NOON
    idle = with_stream(clustered(owned=frozenset(), subreddits=()), "comments", proven=late)
    document = view(idle, CLUSTER_CONFIG, History(), Readiness(), str)
    assert (document["streams"]["comments"]["complete"], document["streams"]["comments"]["proven_until"]) == (
        None,
        None,
    )
