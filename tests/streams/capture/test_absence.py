"""Subreddits that cannot be read for a while: the others go on, and what they missed comes with their return."""

import itertools
from collections import Counter
from pathlib import Path

import pytest

from tests.streams.capture.life import Life
from tests.streams.capture.world import Thing, World

NAMES = ("Alpha", "Beta", "Gamma", "Delta")
REASONS = ["private", "banned", "quarantined", "missing"]


@pytest.fixture
def life(tmp_path: Path) -> Life:
    world = World(NAMES)
    life = Life(tmp_path, world)
    for number in range(40):
        world.add(NAMES[number % 4], life.clock.now - 40 + number)
    return life


def arrive(life: Life, name: str, count: int = 5) -> list[str]:
    return [life.world.add(name, life.clock.now + number * 0.01).name for number in range(count)]


@pytest.mark.parametrize("reason", REASONS)
def test_it_leaves_the_combined_request_and_is_reported(life: Life, reason: str) -> None:
    life.run(30.0)
    life.world.close("Beta", reason)
    arrive(life, "Alpha")
    life.run(20.0)
    (report,) = life.notes.events("subreddit_unavailable")
    assert (report["subreddit"], report["reason"]) == ("Beta", reason)
    assert life.asked[-1][1] == "/r/Alpha+Gamma+Delta/new"


def test_the_others_go_on(life: Life) -> None:
    life.run(30.0)
    for name in ("Alpha", "Delta"):
        life.world.close(name)
    life.run(10.0)
    names = arrive(life, "Beta") + arrive(life, "Gamma")
    life.run(20.0)
    assert set(names) <= set(life.spooled())
    assert {report["subreddit"] for report in life.notes.events("subreddit_unavailable")} == {"Alpha", "Delta"}


@pytest.mark.parametrize("closed_for", [30.0, 300.0, 4000.0])
def test_it_comes_back_with_what_was_missed(life: Life, closed_for: float) -> None:
    """What surfaced between its opening and our next try is in a gap that is repaired, and comes once."""
    life.run(30.0)
    life.world.close("Beta")
    life.run(closed_for)
    life.world.open("Beta")
    missed = arrive(life, "Beta", 30)
    for name in ("Alpha", "Gamma", "Delta"):
        arrive(life, name, 60)
    life.run(1000.0)
    later = arrive(life, "Beta")
    life.run(60.0)
    counts = Counter(life.spooled())
    assert all(counts[name] == 1 for name in missed + later)
    assert counts.total() == len(counts)
    (gap,) = life.gaps()
    assert gap.subreddits == ("Beta",)
    assert gap.repaired
    assert life.notes.events("subreddit_available_again")


def test_tries_grow_rarer(life: Life) -> None:
    life.world.close("Beta")
    life.run(5000.0)
    moments = [moment for moment, path in life.asked if path == "/r/Beta/new"]
    pauses = [round(after - before) for before, after in itertools.pairwise(moments)]
    assert pauses[:5] == pytest.approx([60, 120, 240, 480, 900], abs=20)
    assert max(pauses) < 920
    levels = [level for level, event, _ in life.notes.entries if event == "subreddit_unavailable"]
    assert levels == ["error"] + ["info"] * (len(levels) - 1), "one alarm, not one for each try"


def test_all_of_them_closed_and_open_again(life: Life) -> None:
    life.run(30.0)
    for name in NAMES:
        life.world.close(name)
    life.run(100.0)
    asked = len(life.asked)
    life.run(500.0)
    assert len(life.asked) - asked < 20, "nothing but the tries"
    for name in NAMES:
        life.world.open(name)
    names = [name for subreddit in NAMES for name in arrive(life, subreddit)]
    life.run(1000.0)
    assert set(names) <= set(life.spooled())


def test_absence_survives_a_restart(life: Life) -> None:
    life.run(30.0)
    life.world.close("Beta")
    life.run(30.0)
    life.kill(down_for=20.0)
    life.run(40.0)
    assert life.kills == 1
    assert len(life.notes.events("subreddit_unavailable")) <= 3
    life.world.open("Beta")
    names = arrive(life, "Beta", 10)
    life.run(300.0)
    assert set(names) <= set(life.spooled())


def test_what_a_probe_shows_is_captured_though_it_is_removed_at_once(life: Life) -> None:
    life.run(30.0)
    life.world.close("Beta")
    (thing,) = [life.world.things[name] for name in arrive(life, "Gamma", 1)]
    _remove_when_shown(life, thing)
    life.run(60.0)
    assert thing.removed
    assert thing.name in life.spooled()


def _remove_when_shown(life: Life, thing: Thing) -> None:
    """Remove it as soon as any answer has shown it."""
    if thing.name in life.world.shown:
        life.world.remove(thing)
    else:
        life.clock.at(life.clock.now + 0.01, lambda: _remove_when_shown(life, thing))


def test_a_spool_that_refuses_does_not_let_it_return_unnoticed(life: Life) -> None:
    """The gap of its absence and its return are one transaction; refused, both come later."""
    life.run(30.0)
    life.world.close("Beta")
    life.run(20.0)
    life.world.open("Beta")
    missed = arrive(life, "Beta", 20)
    for name in ("Alpha", "Gamma"):
        arrive(life, name, 100)
    life.fates.update(dict.fromkeys(range(life.operations + 1, life.operations + 60), "full"))
    life.run(30.0)
    life.fates.clear()
    life.run(400.0)
    counts = Counter(life.spooled())
    assert all(counts[name] == 1 for name in missed)
    assert counts.total() == len(counts)


def test_a_newcomer_whose_listing_moves_on_faster_than_it_is_read_leaves_a_gap(tmp_path: Path) -> None:
    life = Life(tmp_path, World(("Alpha", "Beta"), page_size=20))
    life.world.close("Beta")
    life.run(10.0)
    life.world.open("Beta")
    life.latency = 1.5
    began = life.clock.now
    for number in range(8000):
        moment = began + 0.05 * number
        life.clock.at(moment, lambda moment=moment: life.world.add("Beta", moment))  # type: ignore[misc]
    life.run(390.0)
    life.latency = 0.1
    life.run(900.0)
    assert life.notes.events("subreddit_joined")
    captured, gaps = set(life.spooled()), life.gaps()
    after_the_first_request = [
        thing for thing in life.world.things.values() if thing.created > life.first_asked["beta"]
    ]
    lost = [thing for thing in after_the_first_request if thing.name not in captured]
    assert lost
    assert [thing for thing in lost if not any(gap.admits(thing.created) for gap in gaps)] == []
