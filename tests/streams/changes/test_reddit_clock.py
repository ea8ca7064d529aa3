"""Reddit's clock while this machine's clock is set."""

from dataclasses import dataclass

import pytest

from core.reddit.server_clock import ServerClock
from streams.changes.reddit_clock import RedditClock

START = 1_700_000_000.0
DAY = 86_400.0


@dataclass
class Machine:
    """A machine with a clock that can be set, and its clock by Reddit."""

    steady: float = 100.0
    ahead: float = 0.0

    def __post_init__(self) -> None:
        self.server = ServerClock()
        self.clock = RedditClock(self.server, wall=lambda: self.true + self.ahead, steady=lambda: self.steady)

    @property
    def true(self) -> float:
        return START + self.steady

    def set(self, ahead: float) -> None:
        self.ahead = ahead

    def answer(self) -> None:
        """Receive an answer: what the server's clock makes of it."""
        self.steady += 10.0
        self.server.answers += 1
        self._seen = [*getattr(self, "_seen", []), -self.ahead][-5:]
        self.server.offset = sorted(self._seen)[len(self._seen) // 2]

    @property
    def error(self) -> float:
        return self.clock() - self.true


@pytest.mark.parametrize("ahead", [10 * DAY, -10 * DAY, 60.0, -60.0])
def test_a_clock_that_is_set_changes_nothing(ahead: float) -> None:
    machine = Machine()
    for _ in range(6):
        machine.answer()
        assert machine.error == 0
    machine.set(ahead)
    for _ in range(12):
        assert machine.error == pytest.approx(0, abs=0.01)
        machine.answer()
    machine.set(0.0)
    for _ in range(12):
        assert machine.error == pytest.approx(0, abs=0.01)
        machine.answer()


def test_a_clock_that_is_wrong_from_the_start_is_right_after_the_first_answer() -> None:
    machine = Machine(ahead=10 * DAY)
    assert machine.error == 10 * DAY
    machine.answer()
    assert machine.error == 0


def test_a_pause_of_the_whole_machine_is_known_after_some_answers() -> None:
    """Its steady clock stands still meanwhile: the step of the other one is right."""
    machine = Machine()
    machine.clock()
    real = 3600.0
    machine.set(real)
    assert machine.error == 0
    for _ in range(5):
        machine.steady += 10.0
        machine.server.answers += 1
    assert machine.error == real


def test_small_steps_are_followed_at_once() -> None:
    machine = Machine()
    machine.clock()
    machine.set(3.0)
    assert machine.error == 3.0
