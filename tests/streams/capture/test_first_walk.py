"""The very first walk is broken off: what came since its first request is captured, or a gap admits it."""

from pathlib import Path

import pytest

from tests.streams.capture.life import Life
from tests.streams.capture.test_isolation import missing
from tests.streams.capture.world import World


def busy(life: Life, seconds: float, per_second: int) -> None:
    """Fill the listings, then let items of both subreddits arrive at a steady rate for some seconds."""
    for number in range(2 * life.world.cap):
        life.world.add(("Alpha", "Beta")[number % 2], life.clock.now - (2 * life.world.cap - number) / per_second)
    for number in range(int(seconds * per_second)):
        moment, name = life.clock.now + number / per_second, ("Alpha", "Beta")[number % 2]
        life.clock.at(moment, lambda moment=moment, name=name: life.world.add(name, moment))  # type: ignore[misc]


def not_admitted(life: Life, begun: float) -> list[str]:
    """Return what came since the first request, counts as proven, is not in the spool, and lies in no gap."""
    return [name for name in missing(life) if life.world.things[name].moment >= begun]


@pytest.mark.parametrize("latency", [0.8, 1.2, 2.0])
@pytest.mark.parametrize("killed", [False, True])
def test_newest_pages_captured_beside_a_broken_first_walk_prove_nothing(
    tmp_path: Path, latency: float, killed: bool
) -> None:
    """The listing sinks faster than the walk; the next walk meets newest pages that were captured meanwhile."""
    life = Life(tmp_path, World(("Alpha", "Beta"), cap=300, page_size=100), latency=latency)
    begun = life.clock.now
    busy(life, 12.0, 50)
    life.clock.at(begun + 11.0, lambda: setattr(life, "latency", 0.05))
    if killed:
        life.clock.at(begun + 11.0, life.kill)
    life.run(14.0)
    assert life.proven_until(), "a walk was complete by then"
    assert not_admitted(life, begun) == []
    life.run(120.0)
    assert not_admitted(life, begun) == []
    assert {thing.name for name in ("Alpha", "Beta") for thing in life.world.listing([name])} <= set(life.spooled())


def test_a_first_walk_that_is_broken_off_leaves_no_gap_where_the_next_one_reaches_below_it(tmp_path: Path) -> None:
    life = Life(tmp_path, World(("Alpha", "Beta"), cap=300, page_size=100), fates={3: "kill_before"})
    busy(life, 6.0, 20)
    life.run(60.0)
    assert life.kills == 1
    assert life.gaps() == []
    assert {thing.name for thing in life.world.listing(("Alpha", "Beta"))} <= set(life.spooled())
