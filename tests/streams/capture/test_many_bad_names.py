"""Many names of a group are refused at once: the good ones flow on during the search, and nobody else is blamed."""

import random
from pathlib import Path

import pytest

from core.reddit.quota import Priority
from core.reddit.request_errors import QuotaShort
from tests.streams.capture.life import Life
from tests.streams.capture.test_isolation import LASTING, missing, pour
from tests.streams.capture.world import World
from tests.support.soaking import SOAK

NAMES = tuple(f"Sub{number:03}" for number in range(300))
BAD = {
    "the first half": NAMES[:150],
    "the last half": NAMES[150:],
    "every second": NAMES[::2],
    "at random": tuple(random.Random(3).sample(NAMES, 150)),
    "most": NAMES[:120] + NAMES[150:],
    "a few": NAMES[7::60],
}


class Story:
    """Three hundred names, of which some are refused from a moment on; the others bring five items a second."""

    def __init__(
        self, directory: Path, bad: tuple[str, ...], how: str, *, latency: float = 0.1, describes: bool = False
    ) -> None:
        self.life = Life(directory, World(NAMES, cap=1000, page_size=100), latency=latency, describes=describes)
        for number, name in enumerate(NAMES):
            self.life.world.add(name, self.life.clock.now - 600.0 + number)
        self.life.run(20.0)
        self.bad, self.good = set(bad), [name for name in NAMES if name not in bad]
        self.began = self.life.clock.now
        self.life.world.refusals.update(dict.fromkeys(bad, LASTING[how]))
        self._asked = len(self.life.asked)
        self._captured: dict[str, float] = {}
        chance = random.Random(5)
        for number in range(5 * 120):
            moment, name = self.began + number / 5, chance.choice(self.good)
            self.life.clock.at(moment, lambda moment=moment, name=name: self.life.world.add(name, moment))  # type: ignore[misc]
        for second in range(120):
            self.life.clock.at(self.began + second + 0.5, self._look)

    def _look(self) -> None:
        for name in self.life.spooled():
            self._captured.setdefault(name, self.life.clock.now)

    @property
    def requests(self) -> int:
        return len(self.life.asked) - self._asked

    @property
    def set_aside(self) -> set[str]:
        return {report["subreddit"] for report in self.life.notes.events("subreddit_unavailable")}

    def first(self) -> float:
        """Return the seconds from the failure to the first capture of something newer."""
        return min(self._captured[name] for name in self._captured if self._made(name) >= self.began) - self.began

    def delays(self, since: float, until: float) -> list[float]:
        """Return the delays of what appeared between these seconds, in order; what did not come counts as late."""
        things = [one for one in self.life.world.things.values() if since <= one.moment - self.began < until]
        return sorted(self._captured.get(one.name, one.moment + 1000.0) - one.moment for one in things)

    def _made(self, name: str) -> float:
        return self.life.world.things[name].moment


@pytest.mark.parametrize("which", ["the first half", "the last half", "every second", "at random", "a few"])
@pytest.mark.parametrize("how", ["403 without a reason", pytest.param("451", marks=SOAK)])
def test_good_names_flow_while_the_bad_ones_are_searched(tmp_path: Path, which: str, how: str) -> None:
    story = Story(tmp_path, BAD[which], how)
    story.life.run(15.0)
    assert story.first() <= 15.0
    assert story.set_aside, "a name is set aside before the search is over"
    assert story.set_aside <= story.bad
    story.life.run(75.0)
    assert story.set_aside == story.bad
    assert story.delays(50.0, 80.0)[-1] <= 10.0
    assert story.requests <= 750
    assert missing(story.life) == []
    assert {gap.unproven for gap in story.life.gaps()} == {(name,) for name in story.bad}


def test_half_of_the_new_items_come_within_fifteen_seconds_also_where_the_bad_names_lie_scattered(
    tmp_path: Path,
) -> None:
    story = Story(tmp_path, BAD["at random"], "403 without a reason")
    story.life.run(60.0)
    delays = story.delays(0.0, 30.0)
    assert delays[len(delays) // 2] <= 15.0
    assert delays[-1] <= 45.0


def test_what_comes_back_during_the_search_is_read_again_without_loss(tmp_path: Path) -> None:
    story = Story(tmp_path, BAD["at random"], "451")
    story.life.clock.at(story.began + 25.0, story.life.world.refusals.clear)
    story.life.run(25.0)
    assert story.set_aside
    new = [item for name in sorted(story.bad)[::5] for item in pour(story.life, name, 1)]
    story.life.run(200.0)
    assert set(new) <= set(story.life.spooled())
    assert len(story.life.spooled()) == len(set(story.life.spooled()))
    assert missing(story.life) == []


def test_names_that_fail_during_the_search_hold_up_the_others_for_a_short_time_only(tmp_path: Path) -> None:
    """One of those that were answered is refused later: the polls of the others find it out."""
    story = Story(tmp_path, BAD["the first half"], "451")
    story.life.run(10.0)
    fresh = story.good[40]
    story.life.world.refusals[fresh] = LASTING["403 without a reason"]
    story.life.run(80.0)
    assert fresh in story.set_aside
    assert story.set_aside <= story.bad | {fresh}
    assert story.life.gaps_open()


def test_many_absent_names_leave_the_quota_to_those_that_can_be_read(tmp_path: Path) -> None:
    story = Story(tmp_path, BAD["the last half"], "403 without a reason")
    story.life.run(120.0)
    before = story.requests
    story.life.run(300.0)
    assert story.requests - before <= 300, "tries of absent names included"
    story.life.world.refusals.clear()
    story.life.run(300.0)
    assert not story.life.gaps_open()


def test_a_long_search_takes_only_what_the_quota_has_to_spare(tmp_path: Path) -> None:
    story = Story(tmp_path, BAD["at random"], "451")
    plain, denied = story.life.get, []

    def get(path: str, params: dict[str, str | int], priority: Priority) -> object:
        if priority is not Priority.STREAM:
            denied.append(path)
            raise QuotaShort("the quota is kept for the streams")
        return plain(path, params, priority)

    story.life.get = get  # type: ignore[method-assign]
    story.life.run(60.0)
    assert denied
    assert story.requests <= 120
    polls = [path for moment, path in story.life.asked if moment > story.began + 30.0 and path.count("+")]
    assert len(polls) >= 4, "the names that were answered are polled on"


@pytest.mark.parametrize("which", ["a few", "at random", "most"])
def test_where_reddit_describes_subreddits_the_good_ones_flow_at_once(tmp_path: Path, which: str) -> None:
    story = Story(tmp_path, BAD[which], "403 without a reason", describes=True)
    story.life.run(8.0)
    assert story.first() <= 4.0
    story.life.run(52.0)
    assert story.set_aside == story.bad
    assert 3 <= story.life.described <= 9, "300 names, 100 in a request"
    assert story.delays(10.0, 50.0)[-1] <= 10.0
    assert missing(story.life) == []


def test_a_cold_start_with_names_that_cannot_be_read(tmp_path: Path) -> None:
    """Of two thousand names, one in a hundred is private, banned or missing: all others flow within a minute."""
    names = tuple(f"Subreddit{number:04}" for number in range(2000))
    world = World(names, cap=1000, page_size=100)
    life = Life(tmp_path, world, describes=True, latency=0.1)
    for number, name in enumerate(names):
        world.add(name, life.clock.now - 600.0 + number / 10)
    for number, name in enumerate(names[50::100]):
        world.close(name, ("private", "banned", "missing")[number % 3])
    life.run(60.0)
    closed = set(world.closed)
    spooled = life.spooled()
    assert {thing.name for thing in world.things.values() if thing.subreddit not in closed} <= set(spooled)
    life.run(30.0)
    assert {report["subreddit"] for report in life.notes.events("subreddit_unavailable")} == closed
    assert {name for gap in life.gaps() for name in gap.unproven} == closed
