"""An item that no page can hold: everything above and below it is captured, and its gap is no larger than needed."""

from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.spool import Gap, GapState
from streams.capture.upward_walk import UpwardOutcome, UpwardWalk
from streams.reddit.listing_page import Page, parse_page
from tests.streams.capture.life import STREAM, Life
from tests.streams.capture.test_isolation import missing, pour
from tests.streams.capture.world import Thing, World, envelope
from tests.support.soaking import SOAK


def listing_of(*names: str) -> World:
    return World(names, cap=1000, page_size=100)


def outage(life: Life, count: int, *, bad: list[int]) -> list[Thing]:
    """Be away while items appear in turn in all subreddits, of which those at these places cannot be served."""
    names = life.world.subreddits
    for name in names:
        for number in range(150):
            life.world.add(name, life.clock.now - 1000.0 + number)
    life.run(30.0)
    life.kill(down_for=600.0)
    things = [life.world.add(names[n % len(names)], life.clock.now + 2.0 + n) for n in range(count)]
    life.world.poison.update(things[place].name for place in bad)
    return things


def open_gaps(life: Life) -> list[Gap]:
    return [gap for gap in life.gaps() if gap.state is GapState.OPEN]


@pytest.mark.parametrize("names", [("Alpha",), ("Alpha", "Beta", "Gamma")])
@pytest.mark.parametrize("place", [4, 290, *(pytest.param(place, marks=SOAK) for place in (60, 150))])
def test_all_but_the_item_itself_is_captured_and_the_gap_shrinks_to_it(
    tmp_path: Path, names: tuple[str, ...], place: int
) -> None:
    life = Life(tmp_path, listing_of(*names))
    things = outage(life, 300, bad=[place])
    life.run(900.0)
    (bad,) = (things[place],)
    assert {thing.name for thing in things} - set(life.spooled()) == {bad.name}
    assert missing(life) == []
    (gap,) = open_gaps(life)
    assert (gap.unproven, gap.admits(bad.created)) == ((bad.subreddit,), True)
    assert gap.start is not None
    assert gap.end is not None
    assert gap.end - gap.start <= 8.0 * len(names) or place < 6 * len(names)
    life.world.poison.clear()
    life.run(2000.0)
    assert set(life.spooled()) == set(life.world.things)
    assert [gap for gap in life.gaps() if not gap.repaired] == []
    assert len(life.spooled()) == len(set(life.spooled()))


def test_between_two_such_items_stays_a_gap(tmp_path: Path) -> None:
    life = Life(tmp_path, listing_of("Alpha", "Beta"))
    things = outage(life, 300, bad=[100, 180])
    life.run(900.0)
    assert {thing.name for thing in [*things[:100], *things[181:]]} <= set(life.spooled())
    assert missing(life) == []
    (gap,) = open_gaps(life)
    assert gap.start is not None
    assert things[90].created <= gap.start
    assert gap.end is not None
    assert gap.end <= things[190].created


def test_where_all_anchors_have_left_the_listing_nothing_is_claimed(tmp_path: Path) -> None:
    """An empty page looks like nothing new: it proves nothing."""
    life = Life(tmp_path, listing_of("Alpha"))
    things = outage(life, 300, bad=[150])
    old = [thing for thing in life.world.things.values() if thing not in things]
    for thing in old:
        life.clock.at(life.clock.now + 602.0, lambda thing=thing: life.world.remove(thing))  # type: ignore[misc]
    life.run(900.0)
    assert missing(life) == []
    assert all(gap.admits(thing.created) for gap in open_gaps(life) for thing in things[:150])
    assert not life.notes.events("gap_narrowed")


def ignored(world: World) -> Callable[..., dict[str, Any]]:
    def answer(names: list[str], after: str | None, limit: int, *, before: str | None = None) -> dict[str, Any]:
        del before
        return world.answer(names, after, limit)

    return answer


def test_a_server_that_does_not_know_before_proves_nothing(tmp_path: Path) -> None:
    life = Life(tmp_path, listing_of("Alpha", "Beta"))
    life.asks = ignored(life.world)
    things = outage(life, 300, bad=[150])
    life.clock.at(life.clock.now + 605.0, lambda: pour(life, "Alpha", 120))
    life.clock.at(life.clock.now + 612.0, lambda: pour(life, "Alpha", 120))
    life.run(900.0)
    assert missing(life) == []
    assert not life.notes.events("gap_narrowed")
    assert all(gap.admits(things[149].created) for gap in open_gaps(life))


def page(numbers: list[int]) -> Page:
    children = [
        {"kind": "t3", "data": {"name": f"t3_{n}", "subreddit": "Alpha", "created_utc": 1.7e9 + n}} for n in numbers
    ]
    return parse_page(envelope(children), STREAM)


@given(
    count=st.integers(0, 120),
    bad=st.integers(0, 119),
    sizes=st.lists(st.integers(1, 40), min_size=1, max_size=30),
    removed=st.sets(st.integers(-5, 119), max_size=20),
)
def test_the_walk_up_reaches_nothing_that_it_has_not_read(
    count: int, bad: int, sizes: list[int], removed: set[int]
) -> None:
    """Items -5 to -1 are proven, those from `count` on were read from above; some leave the listing meanwhile."""
    upward_walk = UpwardWalk(
        tuple(f"t3_{n}" for n in range(-1, -6, -1)), 1.7e9 + count, lambda name: int(name[3:]) >= count
    )
    listed, read = [n for n in range(-5, 130) if n not in removed], set()
    for size in sizes:
        if upward_walk.outcome is not None:
            break
        anchor = int(upward_walk.anchors[0][3:])
        above = [n for n in listed if n > anchor][:size] if anchor in listed else []
        if bad in above:
            break
        read |= set(above)
        upward_walk.take(page(above[::-1]), f"t3_{anchor}")
    if upward_walk.reached is not None:
        reached = int(upward_walk.reached - 1.7e9)
        assert {n for n in range(reached + 1) if n in listed} <= read
        assert reached < count
    if upward_walk.outcome is UpwardOutcome.MET:
        assert any(n >= count for n in read)
