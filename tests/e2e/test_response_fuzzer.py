"""Thousands of answers, a quarter of them bad: everything flows again, nothing is lost, nothing is overstated.

Most of them are given on a clock that only waits move: the client, the capture, the quota and the spool are the real
ones, the answers are the simulator's. The rest are given over the network to the whole system. A failure prints its
seed; GAPLESS_SEED repeats it, and `make soak` runs more.
"""

from pathlib import Path

import pytest

from tests.e2e.stages import EVERYWHERE, on
from tests.fuzz import processes, stream_life
from tests.support.soaking import SOAK
from tests.support.trial import Trial

#: `make soak` runs the others, and as many more as its time allows.
LIVES = range(10)
LIVES_IN_EACH_RUN = 4
ANSWERS_OF_A_LIFE = 1_000


@pytest.mark.parametrize(
    "number", [*LIVES[:LIVES_IN_EACH_RUN], *(pytest.param(life, marks=SOAK) for life in LIVES[LIVES_IN_EACH_RUN:])]
)
def test_a_stream_survives_a_thousand_answers(tmp_path: Path, seed: int, number: int) -> None:
    life = stream_life.born(tmp_path, seed + number, print)
    life.storm(ANSWERS_OF_A_LIFE)
    assert not life.broken, life.broken[:5]
    assert life.recover() <= stream_life.RECOVERY
    missing = life.settle()
    assert not missing, [item.truth() for item in missing[:3]]
    assert not life.broken, life.broken[:5]
    assert life.transport.answers >= ANSWERS_OF_A_LIFE
    assert life.transport.bad >= ANSWERS_OF_A_LIFE / 20


@on(EVERYWHERE)
def test_the_whole_system_survives_a_storm_of_bad_answers(trial: Trial) -> None:
    storm = processes.Storm(trial)
    storm.start()
    trial.notes["answers"] = storm.blow(answers=10_000, seconds=15.0)
    recovery = storm.recovery()
    trial.notes |= {"flows again after (s)": round(recovery, 1), "samples": len(storm.samples)}
    wrong = storm.settle()
    trial.notes["most memory (MiB)"] = {name: held >> 20 for name, held in sorted(storm.memory.items())}
    assert not wrong, "\n".join(wrong)
    assert recovery <= processes.RECOVERY
