"""The promise of the walk, under any interleaving of arrivals, removals, late items, kills, faults and closures."""

import tempfile
from collections import Counter
from pathlib import Path
from typing import Any

from hypothesis import HealthCheck, event, given, settings
from hypothesis import strategies as st

from core.spool import Gap
from tests.streams.capture.life import Life
from tests.streams.capture.world import Thing, World
from tests.support.soaking import LONGER, examples

SUBREDDITS = ("Alpha", "Beta", "Gamma")

#: Longer than the longest pause before an absent subreddit is tried again, and several deeper looks.
SETTLING = 1000.0

subreddit = st.sampled_from(SUBREDDITS)
seconds = st.floats(0.0, 40.0)

happenings = st.one_of(
    st.tuples(st.just("arrive"), subreddit, st.sampled_from([1, 7, 40, 110, 160, 300, 900]), seconds | st.just(1.0)),
    st.tuples(st.just("late"), subreddit, st.integers(1, 10), st.floats(1.0, 250.0)),
    st.tuples(st.just("remove"), st.integers(0, 3), st.integers(1, 12), st.booleans()),
    st.tuples(st.just("down"), st.floats(0.0, 300.0)),
    st.tuples(st.just("join"), subreddit, st.floats(0.0, 60.0)),
    st.tuples(st.just("close"), subreddit),
    st.tuples(st.just("open"), subreddit),
    st.tuples(st.just("slow"), st.sampled_from([0.5, 1.5, 6.0]), st.floats(1.0, 60.0)),
)
script = st.lists(st.tuples(seconds, happenings), max_size=14)
fates = st.dictionaries(
    st.integers(1, 250),
    st.sampled_from(["kill_before", "kill_after", "unreachable", "bad", "empty", "full"]),
    max_size=12,
)


def play(life: Life, events: list[tuple[float, tuple[Any, ...]]]) -> float:
    """Put the script on the clock; return how long it takes."""
    moment = life.clock.now
    end = moment
    for pause, happening in events:
        moment += pause
        end = max(end, _schedule(life, moment, happening))
    return end - life.clock.now


def _schedule(life: Life, moment: float, happening: tuple[Any, ...]) -> float:
    world, clock = life.world, life.clock
    match happening:
        case "arrive", name, count, length:
            for number in range(count):
                at = moment + length * (number + 0.5) / count
                clock.at(at, lambda at=at: world.add(name, at))  # type: ignore[misc]
            return moment + float(length)
        case "late", name, count, age:
            for number in range(count):
                made = moment - age - number * 0.37
                clock.at(moment, lambda made=made: world.add(name, made, late=True))  # type: ignore[misc]
        case "remove", first, count, from_foot:
            clock.at(moment, lambda: _remove(world, first, count, from_foot=from_foot))
        case "down", length:
            clock.at(moment, lambda: life.kill(length))
        case "join", name, length:
            clock.at(moment, lambda: _join(life, name, length))
        case ("close" | "open") as action, name:
            clock.at(moment, lambda: getattr(world, action)(name))
        case "slow", latency, length:
            return _answer_slowly(life, moment, latency, length)
    return moment


def _answer_slowly(life: Life, moment: float, latency: float, length: float) -> float:
    life.clock.at(moment, lambda: setattr(life, "latency", latency))
    life.clock.at(moment + length, lambda: setattr(life, "latency", 0.1))
    return moment + length


def _remove(world: World, first: int, count: int, *, from_foot: bool) -> None:
    """Remove neighbours, at the top of the listing or where pages end: what a walk holds on to."""
    listing = world.listing(world.subreddits)
    start = max(0, len(listing) - count - first) if from_foot else max(0, world.page_size - count + first)
    for thing in listing[start : start + count]:
        world.remove(thing)


def _join(life: Life, name: str, down_for: float) -> None:
    """Restart with one more subreddit in the configuration."""
    if name not in life.subreddits:
        life.configure((*life.subreddits, name))
        life.kill(down_for)


def excused(thing: Thing, gaps: list[Gap]) -> bool:
    """Tell whether an unrepaired gap admits the loss."""
    return any(thing.subreddit in gap.unproven and gap.admits(thing.created) for gap in gaps)


@LONGER
@settings(max_examples=examples(10, soak=60), suppress_health_check=[HealthCheck.too_slow])
@given(
    backlog=st.integers(0, 260),
    page_size=st.sampled_from([20, 50, 100]),
    events=script,
    what_fails=fates,
    configured=st.integers(1, 3),
)
def test_nothing_shown_is_lost_and_nothing_comes_twice(
    backlog: int,
    page_size: int,
    events: list[tuple[float, tuple[Any, ...]]],
    what_fails: dict[int, str],
    configured: int,
) -> None:
    """Shown: in the spool, once. Listed and never removed: in the spool, or in a gap that says so."""
    world = World(SUBREDDITS, page_size=page_size)
    with tempfile.TemporaryDirectory(dir=_fast_directory()) as directory:
        life = Life(Path(directory), world, dict(what_fails))
        life.configure(SUBREDDITS[:configured])
        for number in range(backlog):
            world.add(SUBREDDITS[number % 3], life.clock.now - backlog + number)
        life.run(play(life, events) + 1.0)
        settle(life)
        assert_complete(life)
        event("killed" if life.kills else "never killed")
        gaps = life.gaps()
        event("gap remained" if any(not gap.repaired for gap in gaps) else "gap repaired" if gaps else "no gap")


def settle(life: Life) -> None:
    """Let everything be readable, and live on until all is worked off."""
    for name in life.world.subreddits:
        life.world.open(name)
    life.fates.clear()
    life.run(SETTLING)


def _fast_directory() -> str | None:
    memory = Path("/dev/shm")
    return str(memory) if memory.is_dir() else None


def assert_complete(life: Life) -> None:
    world = life.world
    counts = Counter(life.spooled())
    gaps = life.gaps()
    assert [name for name, count in counts.items() if count > 1] == [], "delivered twice"
    assert world.shown - set(counts) == set(), "shown and lost"
    listed = {thing.name for thing in world.listing(life.subreddits)}
    assert listed - set(counts) == set(), "still listed and lost"
    lost = [
        thing
        for thing in world.things.values()
        if thing.name not in counts
        and thing.created > life.first_asked.get(thing.subreddit.lower(), float("inf"))
        and not (thing.removed or thing.late)
        and not excused(thing, gaps)
    ]
    assert lost == [], f"lost, and no gap admits it: {gaps}"
    assert [gap for gap in gaps if gap.pending] == [], "a gap was not worked off"
