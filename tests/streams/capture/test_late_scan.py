"""Late items, anywhere in the listing, are captured within a minute of surfacing, at a price the quota can pay."""

from collections import Counter
from pathlib import Path

import pytest

from streams.capture.late_scan import LateScan
from streams.reddit.listing_page import Item, Page
from tests.streams.capture.life import BIRTH, Clock, Life
from tests.streams.capture.world import World

WITHIN = 60.0


def steady(life: Life, rate: float, seconds: float) -> None:
    """Let items arrive evenly, in turn over the subreddits."""
    start = life.clock.now
    for number in range(int(rate * seconds)):
        name = life.world.subreddits[number % len(life.world.subreddits)]
        moment = start + number / rate
        life.clock.at(moment, lambda name=name, moment=moment: life.world.add(name, moment))  # type: ignore[misc]


def fill(life: Life, rate: float, count: int) -> None:
    for number in range(count):
        name = life.world.subreddits[number % len(life.world.subreddits)]
        life.world.add(name, life.clock.now - (count - number) / rate)


@pytest.mark.parametrize("rate", [0.05, 1.0, 5.0, 12.0])
@pytest.mark.parametrize("depth", [0.2, 0.5, 0.95])
@pytest.mark.parametrize("subreddits", [("Alpha",), ("Alpha", "Beta")])
def test_a_late_item_is_found_within_a_minute(
    tmp_path: Path, rate: float, depth: float, subreddits: tuple[str, ...]
) -> None:
    """`depth` is where in the listing it surfaces: 0 the top, 1 the foot, as far as it can stand there for a minute."""
    world = World(subreddits, cap=1000, page_size=100)
    life = Life(tmp_path, world)
    fill(life, rate, 1000)
    steady(life, rate, 150.0)
    life.run(65.0)
    reach = 1000 / rate
    age = min(depth * reach, max(1.0, reach - WITHIN - 2.0))
    late = [world.add(name, life.clock.now - age, late=True).name for name in subreddits]
    life.run(WITHIN)
    counts = Counter(life.spooled())
    assert [counts[name] for name in late] == [1] * len(late)
    assert counts.total() == len(counts)
    assert life.gaps() == []


@pytest.mark.parametrize("rate", [0.05, 1.0, 20.0])
def test_a_stream_takes_at_most_half_of_the_quota(tmp_path: Path, rate: float) -> None:
    life = Life(tmp_path, World(("Alpha", "Beta"), cap=1000, page_size=100))
    fill(life, rate, 1000)
    steady(life, rate, 240.0)
    life.run(240.0)
    settled = [moment for moment, _ in life.asked if moment >= BIRTH + 120.0]
    assert len(settled) / 2.0 <= 50.0, "requests a minute"


def test_nothing_below_the_newest_page_needs_no_look(tmp_path: Path) -> None:
    """A quiet stream asks once in max_poll_interval, and no more."""
    life = Life(tmp_path, World(("Alpha", "Beta")))
    fill(life, 1.0, 30)
    life.run(280.0)
    settled = [moment for moment, _ in life.asked if moment >= BIRTH + 120.0]
    assert len(settled) <= 11


def test_a_look_costs_no_time_when_there_is_nothing_to_do(tmp_path: Path) -> None:
    """The loop waits; it does not spin until the next moment comes."""
    for subreddits in (("Alpha",), ("Alpha", "Beta")):
        directory = tmp_path / str(len(subreddits))
        life = Life(directory, World(subreddits))
        fill(life, 1.0, 150)
        life.run(300.0)
        assert life.turns < 1000


@pytest.mark.parametrize("after", [5.0, 20.0, 26.0, 35.0])
def test_in_a_burst_a_late_item_beyond_the_foot_is_found_in_its_own_listing(tmp_path: Path, after: float) -> None:
    """It surfaces where the combined listing ends already, and stands in its subreddit's own for 20 s."""
    world = World(("Alpha", "Beta", "Gamma", "Delta"), cap=1000, page_size=100)
    life = Life(tmp_path, world)
    fill(life, 5.0, 400)
    life.run(30.0)
    steady(life, 100.0, 60.0)
    life.run(after)
    late = [world.add(name, life.clock.now - 20.0, late=True).name for name in world.subreddits]
    life.run(60.0 - after)
    counts = Counter(life.spooled())
    assert [counts[name] for name in late] == [1] * len(late)


def page_of(ages: range, now: float, *, after: str | None = "t3_more") -> Page:
    """Return a page of items of these ages, seconds, newest first."""
    items = (Item(f"t3_{age}", f"t3_{age}", "Alpha", now - age, {}) for age in ages)
    return Page(tuple(items), after)


def shallow_scan(clock: Clock) -> LateScan:
    return LateScan(clock, is_shallow=lambda: True)


def test_many_groups_scan_only_as_far_back_as_late_items_are_usual() -> None:
    clock = Clock()
    scan = shallow_scan(clock)
    scan.polled(page_of(range(40), clock.now), rate=1.0)
    clock.advance(10.0)
    assert scan.due <= clock.now
    assert scan.next_page(("Alpha", "Beta"), clock.now) == (("Alpha", "Beta"), "t3_39")
    assert scan.take(page_of(range(40, 80), clock.now), 1.0) is None
    assert scan.next_page(("Alpha", "Beta"), clock.now) is not None
    scanned = scan.take(page_of(range(80, 120), clock.now), 1.0)
    assert scanned is not None
    assert not scanned.whole
    assert scanned.foot is not None
    assert scanned.foot <= clock.now - 90.0
    assert scan.due >= clock.now + 30.0, "the next one comes after the period"


def test_where_the_newest_page_shows_that_much_no_scan_is_made() -> None:
    clock = Clock()
    scan = shallow_scan(clock)
    scan.polled(page_of(range(0, 300, 3), clock.now), rate=0.3)
    clock.advance(10.0)
    assert scan.next_page(("Alpha", "Beta"), clock.now) is None
    assert scan.due >= clock.now + 30.0


def test_the_whole_listing_is_still_scanned_from_time_to_time() -> None:
    clock = Clock()
    scan = shallow_scan(clock)
    scan.polled(page_of(range(0, 300, 3), clock.now), rate=0.3)
    clock.advance(1000.0)
    scan.polled(page_of(range(0, 300, 3), clock.now), rate=0.3)
    assert scan.next_page(("Alpha", "Beta"), clock.now) is not None
    scanned = scan.take(page_of(range(300, 330, 3), clock.now, after=None), 0.3)
    assert scanned is not None
    assert scanned.whole
