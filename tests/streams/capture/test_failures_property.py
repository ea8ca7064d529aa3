"""The promise of the capture under lasting failures: refused names, pages that always fail, slow answers, groups."""

import tempfile
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from tests.streams.capture.life import Life
from tests.streams.capture.test_isolation import LASTING
from tests.streams.capture.test_walk_property import _fast_directory, _schedule, assert_complete, fates
from tests.streams.capture.world import World
from tests.support.soaking import LONGER, examples

NAMES = ("Alpha", "Beta", "Gamma", "Delta", "Epsilon")

#: Longer than two of the longest pauses: one until an absent subreddit is tried, one until its listing is walked again.
SETTLING = 2500.0

name = st.sampled_from(NAMES)
seconds = st.floats(0.0, 60.0)

happenings = st.one_of(
    st.tuples(st.just("arrive"), name, st.sampled_from([1, 7, 40, 110, 160, 300]), seconds),
    st.tuples(st.just("late"), name, st.integers(1, 10), st.floats(1.0, 250.0)),
    st.tuples(st.just("remove"), st.integers(0, 3), st.integers(1, 12), st.booleans()),
    st.tuples(st.just("down"), st.floats(0.0, 300.0)),
    st.tuples(st.just("close"), name),
    st.tuples(st.just("open"), name),
    st.tuples(st.just("refuse"), name, st.sampled_from(sorted(LASTING))),
    st.tuples(st.just("refuse all"), st.sampled_from(sorted(LASTING))),
    st.tuples(st.just("serve"), name),
    st.tuples(st.just("serve all")),
    st.tuples(st.just("poison"), st.integers(0, 250)),
    st.tuples(st.just("path"), st.sampled_from([12, 20, 100])),
    st.tuples(st.just("slow"), st.sampled_from([0.05, 1.0, 3.0, 12.0, 30.0])),
)
script = st.lists(st.tuples(seconds, happenings), max_size=16)


def put_on_the_clock(life: Life, moment: float, happening: tuple[Any, ...]) -> float:
    world, clock = life.world, life.clock
    match happening:
        case "refuse", subreddit, how:
            clock.at(moment, lambda: world.refusals.__setitem__(subreddit, LASTING[how]))
        case "refuse all", how:
            clock.at(moment, lambda: world.refusals.update(dict.fromkeys(NAMES, LASTING[how])))
        case "serve", subreddit:
            clock.at(moment, lambda: world.refusals.pop(subreddit, None))
        case ("serve all",):
            clock.at(moment, world.refusals.clear)
        case "poison", place:
            clock.at(moment, lambda: poison(world, place))
        case "path", limit:
            clock.at(moment, lambda: setattr(world, "path_limit", limit))
        case "slow", latency:
            clock.at(moment, lambda: setattr(life, "latency", latency))
        case _:
            return _schedule(life, moment, happening)
    return moment


def poison(world: World, place: int) -> None:
    listing = world.listing(world.subreddits)
    if place < len(listing):
        world.poison.add(listing[place].name)


@LONGER
@settings(max_examples=examples(4, soak=24), suppress_health_check=[HealthCheck.too_slow])
@given(
    backlog=st.integers(0, 260),
    page_size=st.sampled_from([20, 50, 100]),
    path_limits=st.sampled_from([(6000, 100), (90, 100), (100, 100), (6000, 12), (100, 12)]),
    events=script,
    what_fails=fates,
)
def test_lasting_failures_lose_nothing_outside_the_ledger_and_everything_flows_again(
    backlog: int,
    page_size: int,
    path_limits: tuple[int, int],
    events: list[tuple[float, tuple[Any, ...]]],
    what_fails: dict[int, str],
) -> None:
    world = World(NAMES, page_size=page_size, path_limit=path_limits[1])
    with tempfile.TemporaryDirectory(dir=_fast_directory()) as directory:
        life = Life(Path(directory), world, dict(what_fails), path_limit=path_limits[0])
        for number in range(backlog):
            world.add(NAMES[number % 5], life.clock.now - backlog + number)
        moment = end = life.clock.now
        for pause, happening in events:
            moment += pause
            end = max(end, put_on_the_clock(life, moment, happening))
        life.run(end - life.clock.now + 1.0)
        for subreddit in NAMES:
            world.open(subreddit)
        world.refusals.clear()
        world.poison.clear()
        world.path_limit = path_limits[1]
        life.latency = 0.1
        life.fates.clear()
        assert_flows_again(life)
        life.run(SETTLING)
        assert_complete(life)
        event("set aside" if life.notes.events("subreddit_unavailable") else "nobody set aside")
        event("merged" if life.notes.events("groups_merged") else "never merged")
        event("narrowed" if life.notes.events("gap_narrowed") else "no gap narrowed")
        event("ours" if life.notes.events("reddit_refuses_everything") else "not ours")


def assert_flows_again(life: Life) -> None:
    """Where nobody is set aside, what appears after the last bad answer is captured within a minute."""
    if life.gaps_open():
        return
    life.run(30.0)
    new = [life.world.add(subreddit, life.clock.now).name for subreddit in NAMES]
    life.run(60.0)
    if not life.gaps_open():
        assert set(new) <= set(life.spooled())
