"""Whatever process dies, by any signal, every item is in the topic; with exactly-once it is there once."""

import time

from tests.e2e.stages import EVERYWHERE, EXACTLY_ONCE, SERIOUS, on
from tests.support.durations import allowed
from tests.support.processes import gone
from tests.support.system import CHILDREN
from tests.support.trial import Trial
from tests.support.waiting import wait_until


@on(EXACTLY_ONCE, soak=(SERIOUS,))
def test_sigkill_of_a_random_child_every_2_seconds(trial: Trial) -> None:
    kill_at_random(trial, 20)
    trial.finish(at_least=400)
    assert len(trial.system.kills) >= 7


@on(soak=(SERIOUS, EXACTLY_ONCE))
def test_sigkill_of_a_random_child_every_2_seconds_for_a_minute(trial: Trial) -> None:
    kill_at_random(trial, 60)
    trial.finish(at_least=1000)
    assert len(trial.system.kills) >= 20


def kill_at_random(trial: Trial, seconds: float) -> None:
    """Kill a child every two seconds for this time, and until each was killed."""
    trial.start()
    end = time.monotonic() + seconds
    while time.monotonic() < end or set(trial.system.kills) != set(CHILDREN):
        trial.pass_time(2)
        trial.system.kill_random_child(trial.random)


@on(EXACTLY_ONCE, soak=(EVERYWHERE,))
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


@on(EXACTLY_ONCE, soak=(EVERYWHERE,))
def test_sigterm_in_the_middle_of_a_burst_and_a_new_start(trial: Trial) -> None:
    trial.start()
    trial.simulator.rates(comments=150, seconds=10)
    trial.pass_time(4)
    assert trial.system.stop() == 0
    trial.system.start()
    trial.system.wait_up()
    trial.finish(at_least=1500)
