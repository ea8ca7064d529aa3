"""Many groups share the quota: new items do not wait for the first walks, late ones are found, nothing comes twice."""

from collections import Counter
from pathlib import Path

import pytest

from core.reddit.limiter import Wishes
from core.reddit.quota import Quota
from streams.capture.pacing import Pacing
from streams.capture.scheduler import Kind, Task, choose
from tests.streams.capture.life import BIRTH, Clock, Life
from tests.streams.capture.test_late_scan import steady
from tests.streams.capture.world import World

NAMES = tuple(f"Name{number:02}" for number in range(40))
GROUPS = 10
LATE_BY = 10.0


def busy_life(directory: Path) -> Life:
    """Return a life of ten groups; the listing of each holds a backlog, and one name has a third of all items."""
    life = Life(directory, World(NAMES, cap=1000, page_size=100), path_limit=120)
    for number in range(GROUPS * 300):
        life.world.add(NAMES[number % len(NAMES)], BIRTH - number * 1.0)
    return life


def hot(life: Life, rate: float, seconds: float) -> None:
    for step in range(int(rate * seconds)):
        moment = life.clock.now + step / rate
        life.clock.at(moment, lambda moment=moment: life.world.add(NAMES[0], moment))  # type: ignore[misc]


def test_new_and_late_items_do_not_wait_for_the_first_walks(tmp_path: Path) -> None:
    life = busy_life(tmp_path)
    steady(life, 4.0, 150.0)
    hot(life, 6.0, 150.0)
    surfaced: dict[str, float] = {}
    for after in range(30, 110, 4):

        def appear() -> None:
            late = life.world.add(NAMES[0], life.clock.now - LATE_BY, late=True)
            surfaced[late.name] = life.clock.now

        life.clock.at(BIRTH + after, appear)
    life.run(150.0)
    counts = Counter(life.spooled())
    assert [name for name in surfaced if counts[name] != 1] == []
    assert counts.most_common(1)[0][1] == 1
    old = [one.name for one in life.world.things.values() if one.surfaced and one.moment < life.clock.now - 40.0]
    newer = [name for name in old if life.world.things[name].moment > BIRTH]
    assert [name for name in newer if not counts[name]] == []
    assert life.gaps() == []


class Window:
    """A quota of one client, of which nothing is used."""

    def __init__(self, clock: Clock) -> None:
        self._clock = clock

    def state(self) -> Quota:
        return Quota(limit=1000.0, reset_at=self._clock() + 600.0)

    def exchange_wishes(self, own: Wishes) -> list[Wishes]:
        del own
        return []

    def requests_of_others(self) -> int:
        return 0


def pacing_of(groups: int, clock: Clock) -> Pacing:
    pacing = Pacing(Window(clock), 16.0, sharers=1, clock=clock, wall=clock)  # type: ignore[arg-type]
    pacing.replan(lambda: dict.fromkeys(range(groups), 0.5))
    return pacing


def test_background_requests_of_all_kinds_take_turns() -> None:
    clock = Clock()
    pacing = pacing_of(14, clock)
    kinds = [Kind.WALK, Kind.SEARCH, Kind.RETURN]
    for kind in kinds * 3:
        pacing.spend(kind)
    served = []
    for _ in range(9):
        due, name = min((pacing.background_due(kind), kind.name) for kind in kinds)
        clock.advance(max(0.0, due - clock.now))
        pacing.spend(Kind[name])
        served.append(name)
    assert all(served.count(kind.name) == 3 for kind in kinds)


@pytest.mark.parametrize(("groups", "at_once"), [(1, 30), (14, 6)])
def test_many_groups_send_few_background_requests_at_once(groups: int, at_once: int) -> None:
    clock = Clock()
    pacing = pacing_of(groups, clock)
    clock.advance(600.0)
    pacing.replan(lambda: dict.fromkeys(range(groups), 0.5))
    sent = 0
    while pacing.background_due(Kind.WALK) <= clock.now:
        pacing.spend(Kind.WALK)
        sent += 1
    assert at_once - 1 <= sent <= at_once


def test_the_busiest_of_equal_tasks_comes_first() -> None:
    tasks = [Task(Kind.WALK, 5.0, key, weight=weight) for key, weight in ((1, 0.5), (2, 4.0), (3, 1.0))]
    chosen = choose(tasks, 5.0, None)
    assert chosen is not None
    assert chosen.key == 2
