"""Requests that keep failing: the cause is set aside, everything else flows, and the ledger says what is missing."""

from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.reddit.request_errors import (
    BadAnswer,
    NetworkBlocked,
    RequestRejected,
    ServerTrouble,
    TooLarge,
    TooSlow,
    Unavailable,
    Unreachable,
)
from core.spool import GapState
from streams.reddit.limited_names import RequestLimited
from tests.streams.capture.life import Life
from tests.streams.capture.world import World
from tests.support.soaking import SOAK

NAMES = ("Alpha", "Beta", "Gamma")

LASTING: dict[str, Callable[[], Exception]] = {
    "400": lambda: RequestRejected(400, "Reddit answered 400"),
    "410": lambda: RequestRejected(410, "Reddit answered 410"),
    "414": lambda: RequestRejected(414, "Reddit answered 414"),
    "431": lambda: RequestRejected(431, "Reddit answered 431"),
    "451": lambda: RequestRejected(451, "Reddit answered 451"),
    "302": lambda: RequestRejected(302, "a redirect to another listing"),
    "429": RequestLimited,
    "500": lambda: ServerTrouble("Reddit answered 500"),
    "403 without a reason": lambda: Unavailable("forbidden", named=False),
    "404 without a reason": lambda: Unavailable("missing", named=False),
    "403 with HTML": lambda: NetworkBlocked("403 with HTML"),
    "broken JSON": lambda: BadAnswer("JSON that breaks off"),
    "timeout": lambda: Unreachable("no complete answer within 20 s"),
}


def pour(life: Life, name: str, count: int = 5, step: float = 0.01) -> list[str]:
    return [life.world.add(name, life.clock.now + number * step).name for number in range(count)]


def stream(life: Life, name: str, seconds: float, per_second: float) -> None:
    """Let items appear at a steady rate from now on."""
    for number in range(int(seconds * per_second)):
        moment = life.clock.now + number / per_second
        life.clock.at(moment, lambda moment=moment: life.world.add(name, moment))  # type: ignore[misc]


def missing(life: Life) -> list[str]:
    """Return what was listed before the proven moment, is not in the spool, and lies in no gap."""
    spooled, gaps, proven_until = set(life.spooled()), life.gaps(), life.proven_until()
    return [
        thing.name
        for thing in life.world.things.values()
        if thing.surfaced
        and thing.created < proven_until[thing.subreddit.lower()]
        and thing.name not in spooled
        and not any(thing.subreddit in gap.unproven and gap.admits(thing.created) for gap in gaps)
    ]


@pytest.mark.parametrize("how", LASTING)
def test_one_name_of_three_fails_the_others_flow_and_it_comes_back(tmp_path: Path, how: str) -> None:
    life = Life(tmp_path, World(NAMES))
    for name in NAMES:
        pour(life, name, 10)
    life.run(30.0)
    life.world.refusals["Beta"] = LASTING[how]
    life.run(60.0)
    names = pour(life, "Alpha") + pour(life, "Gamma")
    pour(life, "Beta")
    life.run(30.0)
    assert set(names) <= set(life.spooled())
    (report, *_) = life.notes.events("subreddit_unavailable")
    assert report["subreddit"] == "Beta"
    (gap,) = life.gaps()
    assert (gap.unproven, gap.end, gap.state) == (("Beta",), None, GapState.OPEN)
    del life.world.refusals["Beta"]
    life.run(1000.0)
    assert missing(life) == []
    (gap,) = life.gaps()
    assert gap.repaired
    assert len(life.spooled()) == len(set(life.spooled())) == len(life.world.things)


@pytest.mark.parametrize("how", ["403 without a reason", "403 with HTML", "500", "timeout", "451"])
def test_where_every_name_is_refused_nobody_is_set_aside(tmp_path: Path, how: str) -> None:
    names = tuple(f"Sub{number}" for number in range(20))
    life = Life(tmp_path, World(names))
    for name in names:
        pour(life, name, 3)
    life.run(30.0)
    life.world.refusals.update(dict.fromkeys(names, LASTING[how]))
    before = len(life.asked)
    life.run(30.0)
    requests = len(life.asked) - before
    assert requests <= 40
    life.world.refusals.clear()
    new = pour(life, names[7], 5)
    life.run(45.0)
    assert set(new) <= set(life.spooled())
    assert life.notes.events("subreddit_unavailable") == []
    assert len(life.notes.events("reddit_refuses_everything")) <= 1
    assert life.gaps() == []


@pytest.mark.parametrize("how", ["403 without a reason", "403 with HTML", "500", "451", "414"])
@pytest.mark.parametrize("seconds", [4.0, 7.0, 10.0, 12.0])
def test_what_is_refused_with_all_others_is_not_blamed_when_that_ends(tmp_path: Path, how: str, seconds: float) -> None:
    """The refusal of everything ends in the middle of the search."""
    names = tuple(f"Sub{number}" for number in range(8))
    life = Life(tmp_path, World(names))
    for name in names:
        pour(life, name, 3)
    life.clock.at(life.clock.now + 20.0, lambda: life.world.refusals.update(dict.fromkeys(names, LASTING[how])))
    life.clock.at(life.clock.now + 20.0 + seconds, life.world.refusals.clear)
    life.run(80.0)
    assert life.notes.events("subreddit_unavailable") == []
    assert life.notes.events("group_split") == []
    assert life.gaps() == []


@pytest.mark.parametrize("how", ["403 without a reason", "500", "451", "414"])
def test_most_names_are_refused_and_the_good_ones_are_tried_last(tmp_path: Path, how: str) -> None:
    names = tuple(f"Sub{number}" for number in range(9))
    life = Life(tmp_path, World(names))
    good = ("Sub2", "Sub3")
    life.world.refusals.update({name: LASTING[how] for name in names if name not in good})
    items = [item for name in good for item in pour(life, name, 3)]
    life.run(120.0)
    assert set(items) <= set(life.spooled())
    named = {report["subreddit"] for report in life.notes.events("subreddit_unavailable")}
    assert named == set(names) - set(good)


def test_one_refusal_of_everything_is_one_message_and_a_short_pause(tmp_path: Path) -> None:
    names = tuple(f"Sub{number}" for number in range(20))
    life = Life(tmp_path, World(names))
    pour(life, names[0], 3)
    life.run(30.0)
    life.world.refusals.update(dict.fromkeys(names, LASTING["403 without a reason"]))
    life.run(6.0)
    life.world.refusals.clear()
    new = pour(life, names[3], 3)
    life.run(12.0)
    assert len(life.notes.events("reddit_refuses_everything")) == 1
    assert set(new) <= set(life.spooled())


@pytest.mark.parametrize("backlog", [130, 200])
def test_a_lower_page_that_always_fails_does_not_hold_the_newest_one(tmp_path: Path, backlog: int) -> None:
    life = Life(tmp_path, World(("Alpha",), cap=1000, page_size=100))
    pour(life, "Alpha", 300)
    poison = list(life.world.things)[300 - backlog]
    life.world.poison.add(poison)
    stream(life, "Alpha", 100.0, 5.0)
    life.run(40.0)
    newest = [name for name, thing in life.world.things.items() if thing.moment < life.clock.now - 12.0][-20:]
    assert set(newest) <= set(life.spooled())
    life.run(60.0)
    assert missing(life) == []
    neighbours = list(life.world.things)[300 - backlog + 1 : 300]
    assert set(neighbours) <= set(life.spooled()), "everything above the bad item"


def test_a_lower_page_that_fails_in_a_combined_listing_is_repaired_from_the_own_ones(tmp_path: Path) -> None:
    life = Life(tmp_path, World(("Alpha", "Beta"), cap=1000, page_size=100))
    for number in range(400):
        life.world.add(("Alpha", "Beta")[number % 2], life.clock.now - 400 + number)
    life.run(30.0)
    life.kill(down_for=300.0)
    for number in range(300):
        life.world.add(("Alpha", "Beta")[number % 2], life.clock.now + 1 + number / 2)
    poison = list(life.world.things)[500]
    life.world.poison.add(poison)
    life.run(60.0)
    newest = [life.world.add("Alpha", life.clock.now).name]
    life.run(60.0)
    assert set(newest) <= set(life.spooled())
    assert missing(life) == []
    life.world.poison.clear()
    life.run(1500.0)
    assert missing(life) == []
    assert set(life.world.things) == set(life.spooled())
    assert [gap for gap in life.gaps() if gap.state is GapState.OPEN] == []


def test_a_path_that_is_too_long_is_split_until_it_fits(tmp_path: Path) -> None:
    names = tuple(f"Subreddit{number:03}" for number in range(64))
    life = Life(tmp_path, World(names, path_limit=200))
    for name in names:
        pour(life, name, 2)
    life.run(60.0)
    later = [name for subreddit in names[::7] for name in pour(life, subreddit, 2)]
    life.run(60.0)
    assert set(later) <= set(life.spooled())
    assert missing(life) == []
    assert life.notes.events("subreddit_unavailable") == []
    assert life.gaps() == []


def test_800_names_flow_in_requests_below_the_limit(tmp_path: Path) -> None:
    names = tuple(f"Subreddit_number{number:04}" for number in range(800))
    life = Life(tmp_path, World(names, cap=1000, page_size=100))
    items = [name for subreddit in names[::16] for name in pour(life, subreddit, 2)]
    life.run(30.0)
    more = [name for subreddit in names[::9] for name in pour(life, subreddit, 1)]
    life.run(60.0)
    assert set(items + more) <= set(life.spooled())
    assert max(len(path) for _, path in life.asked) < 6000
    assert Counter(life.spooled()).most_common(1)[0][1] == 1


@pytest.mark.parametrize("latency", [0.05, 1.0, 2.4, 3.0, 8.0, 30.0])
def test_slow_answers_starve_nothing(tmp_path: Path, latency: float) -> None:
    """A private subreddit comes back, its gap is repaired, late items are found, and names are pruned."""
    life = Life(tmp_path, World(NAMES, cap=1000, page_size=100), latency=latency)
    for name in NAMES:
        pour(life, name, 80, step=-1.0)
    stream(life, "Alpha", 3000.0, 1.0)
    life.run(60.0 + 10 * latency)
    life.world.close("Beta")
    life.run(20.0 + 10 * latency)
    life.world.open("Beta")
    returned = pour(life, "Beta", 30)
    life.run(160.0 + 30 * latency)
    late = life.world.add("Gamma", life.clock.now - 200.0, late=True).name
    life.run(60.0 + 50 * latency)
    assert set(returned) <= set(life.spooled())
    assert late in life.spooled()
    assert missing(life) == [] or latency >= 8.0
    assert all(gap.repaired for gap in life.gaps())


def test_an_unavailable_subreddit_does_not_stop_the_repair_of_the_others(tmp_path: Path) -> None:
    names = ("Alpha", "Beta", "Gamma", "Delta")
    life = Life(tmp_path, World(names, cap=220))
    for name in names:
        pour(life, name, 30)
    life.run(30.0)
    life.kill(down_for=100.0)
    life.clock.at(life.clock.now + 50.0, lambda: [pour(life, name, 150) for name in names])
    life.clock.at(life.clock.now + 101.0, lambda: life.world.close("Alpha", "banned"))
    life.run(200.0)
    assert all(gap.unproven == ("Alpha",) for gap in life.gaps() if gap.state is GapState.OPEN)
    life.run(2 * 3600.0)
    life.world.open("Alpha")
    life.run(1500.0)
    assert missing(life) == []
    assert [gap for gap in life.gaps() if gap.state is GapState.OPEN] == []


def test_the_gap_of_an_absence_is_open_from_its_first_moment(tmp_path: Path) -> None:
    life = Life(tmp_path, World(NAMES))
    for name in NAMES:
        pour(life, name, 10)
    life.run(30.0)
    life.world.close("Beta")
    closed_at = life.clock.now
    life.run(20.0)
    (gap,) = life.gaps()
    assert (gap.subreddits, gap.end, gap.state) == (("Beta",), None, GapState.OPEN)
    assert gap.start is not None
    assert closed_at - 10.0 <= gap.start <= closed_at
    assert gap.late_from == gap.start - 300.0


@pytest.mark.parametrize("error", [TooSlow("no complete answer within 20 s"), TooLarge("more than 32 MB")])
def test_pages_that_are_too_slow_or_too_large_are_asked_for_in_smaller_ones(tmp_path: Path, error: Exception) -> None:
    life = Life(tmp_path, World(("Alpha", "Beta"), cap=1000, page_size=100))
    plain = life.world.answer

    def refuse_large(names: list[str], after: str | None, limit: int) -> dict[str, Any]:
        if limit > 30:
            raise error
        return plain(names, after, limit)

    life.asks = refuse_large
    for number in range(300):
        life.world.add(("Alpha", "Beta")[number % 2], life.clock.now - 300 + number)
    life.run(60.0)
    assert set(life.spooled()) == set(life.world.things)
    life.asks = plain
    pour(life, "Alpha", 250)
    life.run(60.0)
    assert set(life.spooled()) == set(life.world.things)
    assert life.gaps() == []
    assert life.notes.events("subreddit_unavailable") == []


def refuse_large_pages_of(life: Life, subreddit: str, largest: int, how: str) -> None:
    """Fail each request that names the subreddit and wants more than `largest` items."""
    plain = life.world.answer

    def refuse(names: list[str], after: str | None, limit: int) -> dict[str, Any]:
        if subreddit in names and limit > largest:
            failure = LASTING[how]
            raise failure()
        return plain(names, after, limit)

    life.asks = refuse


@pytest.mark.parametrize("how", ["500", *(pytest.param(how, marks=SOAK) for how in ("400", "timeout"))])
@pytest.mark.parametrize("largest", [60, 20])
def test_large_pages_of_one_name_fail_and_its_gap_is_repaired_with_small_ones(
    tmp_path: Path, how: str, largest: int
) -> None:
    life = Life(tmp_path, World(NAMES, cap=1000, page_size=100))
    for name in NAMES:
        pour(life, name, 10)
    life.run(30.0)
    refuse_large_pages_of(life, "Beta", largest, how)
    life.run(60.0)
    life.kill(down_for=1200.0)
    life.clock.at(life.clock.now + 1100.0, lambda: [pour(life, name, 400) for name in NAMES])
    life.run(2000.0)
    assert missing(life) == []
    assert set(life.spooled()) == set(life.world.things)
    assert [gap for gap in life.gaps() if gap.state is GapState.OPEN] == []


def test_a_newcomer_without_its_backlog_keeps_what_came_since_its_first_request_over_a_restart(tmp_path: Path) -> None:
    life = Life(tmp_path, World(NAMES), start="now")
    life.configure(NAMES[:1])
    life.run(30.0)
    old = pour(life, "Beta", 3)
    life.clock.advance(5.0)
    life.configure(NAMES[:2])
    life.world.refusals.update(dict.fromkeys(NAMES, LASTING["500"]))
    life.run(5.0)
    new = pour(life, "Beta", 3)
    life.run(5.0)  # a start of its own
    life.world.refusals.clear()
    life.run(60.0)
    assert life.notes.events("subreddit_joined")
    assert set(new) <= set(life.spooled())
    assert not set(old) & set(life.spooled())
    assert life.gaps() == []


@pytest.mark.parametrize("how", ["451", "500", "timeout", "403 with HTML", "broken JSON"])
def test_newcomers_that_fail_hold_up_no_other_newcomer(tmp_path: Path, how: str) -> None:
    names = tuple(f"Sub{number}" for number in range(24))
    life = Life(tmp_path, World(names))
    for name in names:
        pour(life, name, 1)
    life.configure(names[:4])
    life.run(30.0)
    life.world.refusals.update(dict.fromkeys(names[4:14], LASTING[how]))
    life.configure(names)
    life.run(20.0)
    assert {entry["subreddit"] for entry in life.notes.events("subreddit_joined")} == set(names[14:])
    life.run(100.0)
    assert {entry["subreddit"] for entry in life.notes.events("subreddit_unavailable")} == set(names[4:14])


@pytest.mark.parametrize("how", ["timeout", *(pytest.param(how, marks=SOAK) for how in ("400", "500"))])
def test_a_newcomer_whose_large_pages_fail_joins_with_small_ones(tmp_path: Path, how: str) -> None:
    life = Life(tmp_path, World(NAMES, cap=1000, page_size=100))
    for name in NAMES:
        pour(life, name, 10)
    life.configure(("Alpha", "Gamma"))
    refuse_large_pages_of(life, "Beta", 60, how)
    life.run(30.0)
    life.configure(NAMES)
    life.run(120.0)
    assert set(life.spooled()) == set(life.world.things)


@pytest.mark.parametrize("names", [("Alpha",), ("Alpha", "Beta")])
@pytest.mark.parametrize("place", [1, 3, 5])
def test_an_item_near_the_top_that_cannot_be_served_holds_nothing_up(
    tmp_path: Path, names: tuple[str, ...], place: int
) -> None:
    life = Life(tmp_path, World(names, cap=1000, page_size=100))
    for number in range(60):
        life.world.add("Alpha", life.clock.now - 6000.0 + 100.0 * number)
    life.run(30.0)
    bad, *above = pour(life, "Alpha", place + 1)
    life.world.poison.add(bad)
    life.run(60.0)
    later = pour(life, "Alpha", 1)
    life.run(60.0)
    assert {*above, *later} <= set(life.spooled())
    assert missing(life) == []
