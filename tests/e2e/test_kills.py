"""Whatever process dies, by any signal, every item is in the topic; with exactly-once it is there once."""

import time

from tests.e2e.stages import EVERYWHERE, EXACTLY_ONCE, SERIOUS, on
from tests.support.durations import allowed
from tests.support.processes import gone
from tests.support.system import CHILDREN
from tests.support.trial import Trial
from tests.support.waiting import wait_until


@on(SERIOUS)
def test_sigkill_of_a_random_child_every_2_seconds_for_a_minute(trial: Trial) -> None:
    kill_at_random(trial, 60)
    trial.finish(at_least=1000)
    assert len(trial.system.kills) >= 20
    assert set(trial.system.kills) == set(CHILDREN)


@on(EXACTLY_ONCE)
def test_sigkill_of_a_random_child_every_2_seconds_in_exactly_once(trial: Trial) -> None:
    kill_at_random(trial, 36)
    trial.finish(at_least=600)
    assert len(trial.system.kills) >= 12
    assert "publisher" in trial.system.kills


def kill_at_random(trial: Trial, seconds: float) -> None:
    trial.start()
    end = time.monotonic() + seconds
    while time.monotonic() < end or "publisher" not in trial.system.kills:
        trial.pass_time(2)
        trial.system.kill_random_child(trial.random)


@on(EVERYWHERE, EXACTLY_ONCE)
def test_sigkill_of_the_supervisor_and_a_new_start(trial: Trial) -> None:
    """Twice, the second time in the middle of a burst; no orphan outlives it by two seconds."""
    trial.start()
    for burst in (19, 150):
        trial.simulator.rates(comments=burst)
        trial.pass_time(5)
        orphans = trial.system.kill_supervisor()
        assert len(orphans) == len(CHILDREN)
        wait_until(lambda: all(map(gone, orphans)), allowed(2.0), "the orphans to end themselves")  # noqa: B023
        trial.simulator.rates(comments=19)
        trial.system.start()
        trial.system.wait_up()
    trial.pass_time(3)
    trial.finish(at_least=900)


@on(EVERYWHERE, EXACTLY_ONCE)
def test_sigterm_in_the_middle_of_a_burst_and_a_new_start(trial: Trial) -> None:
    trial.start()
    trial.simulator.rates(comments=150, seconds=10)
    trial.pass_time(4)
    assert trial.system.stop() == 0
    trial.system.start()
    trial.pass_time(8)
    trial.finish(at_least=1500)
