"""Random moves of shards between machines: every listed item is in the topic once, or in a gap."""

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tests.streams.capture.machines import SHARDS, Cluster
from tests.streams.capture.world import World
from tests.support.memory import memory_root
from tests.support.soaking import LONGER, examples

SUBREDDITS = ("Iota", "Gamma", "Alpha", "Lambda", "Delta")

machine = st.sampled_from(["a", "b", "c"])
shard = st.integers(0, SHARDS - 1)

happenings = st.one_of(
    st.tuples(
        st.just("arrive"), st.sampled_from(SUBREDDITS), st.sampled_from([1, 7, 40, 110, 300]), st.floats(0.0, 60.0)
    ),
    st.tuples(st.just("run"), machine, st.sampled_from([0.5, 3.0, 20.0, 90.0])),
    st.tuples(st.just("publish"), machine, st.sampled_from([1, 20, 1000])),
    st.tuples(st.just("round"), machine, st.sampled_from([3.0, 20.0])),
    st.tuples(st.just("move"), machine, shard),
    st.tuples(st.just("move during a run"), machine, shard, machine, st.floats(0.0, 10.0)),
    st.tuples(st.just("kill"), machine, st.integers(1, 6), st.sampled_from(["kill_before", "kill_after", "full"])),
    st.tuples(st.sampled_from(["close", "open"]), st.sampled_from(SUBREDDITS)),
)


def play(cluster: Cluster, happening: tuple[Any, ...]) -> None:
    world, clock = cluster.world, cluster.clock
    match happening:
        case "arrive", name, count, length:
            for number in range(count):
                at = clock.now + length * (number + 0.5) / count
                clock.at(at, lambda at=at: world.add(name, at))  # type: ignore[misc]
        case "run", name, seconds:
            cluster.machine(name).run(seconds)
        case "round", name, seconds:
            cluster.round(name, seconds)
        case "publish", name, most:
            cluster.publish(name, most)
        case "move", name, number:
            cluster.move(name, number)
        case "move during a run", name, number, runs, after:
            clock.at(clock.now + after, lambda: cluster.move(name, number))
            cluster.machine(runs).run(after + 3.0)
        case "kill", name, later, fate:
            one = cluster.machine(name)
            one.fates[one.operations + later] = fate
        case ("close" | "open") as action, name:
            getattr(world, action)(name)


@LONGER
@settings(max_examples=examples(2, soak=100), suppress_health_check=[HealthCheck.too_slow])
@given(
    backlog=st.integers(0, 150),
    first=st.lists(machine, min_size=SHARDS, max_size=SHARDS),
    script=st.lists(happenings, max_size=12),
)
def test_every_item_comes_once_or_is_in_a_gap(backlog: int, first: list[str], script: list[tuple[Any, ...]]) -> None:
    world = World(SUBREDDITS)
    with tempfile.TemporaryDirectory(dir=memory_root()) as directory:
        cluster = Cluster(Path(directory), world)
        for number in range(backlog):
            world.add(SUBREDDITS[number % len(SUBREDDITS)], cluster.clock.now - backlog + number)
        for number, name in enumerate(first):
            cluster.move(name, number)
        for happening in script:
            play(cluster, happening)
        cluster.settle()
        cluster.assert_complete()
        event("gap remained" if any(not gap.repaired for gap in cluster.gaps()) else "no gap remained")
