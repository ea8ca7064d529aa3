"""Shards that move between machines: nothing is lost, nothing comes twice, and gaps and absences move with them."""

from pathlib import Path

import pytest

from core.cluster.shards import shard_of
from tests.streams.capture.machines import SHARDS, Cluster
from tests.streams.capture.world import World

#: One subreddit of each shard, and a second one of the shard of Alpha.
NAMES = ("Iota", "Gamma", "Alpha", "Lambda", "Delta")


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    world = World(NAMES)
    cluster = Cluster(tmp_path, world)
    for number in range(40):
        world.add(NAMES[number % len(NAMES)], cluster.clock.now - 40 + number)
    return cluster


def arrive(cluster: Cluster, count: int = 5) -> list[str]:
    """Let items appear in all subreddits."""
    clock = cluster.clock
    return [cluster.world.add(name, clock.now + number * 0.01).name for number in range(count) for name in NAMES]


def test_only_its_own_shards_are_captured(cluster: Cluster) -> None:
    cluster.move("a", shard_of("Alpha", SHARDS))
    cluster.round("a", 30.0)
    own = {name for name in NAMES if shard_of(name, SHARDS) == shard_of("Alpha", SHARDS)}
    assert {name for _, path in cluster.machine("a").asked for name in path.split("/")[2].split("+")} == own
    assert len(cluster.topic) == 10 * len(own)


def test_a_shard_is_taken_over(cluster: Cluster) -> None:
    cluster.move("a")
    cluster.round("a", 30.0)
    arrive(cluster)
    cluster.move("b")
    cluster.round("b", 30.0)
    arrive(cluster)
    cluster.round("b", 30.0)
    assert cluster.machine("a").held() == set(range(SHARDS))  # it has not worked since
    cluster.round("a", 1.0)
    assert cluster.machine("a").held() == set()
    cluster.assert_complete()
    assert cluster.gaps() == []
    assert len(cluster.topic) == 80
