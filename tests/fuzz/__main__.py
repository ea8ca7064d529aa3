"""`python -m tests.fuzz`, and `make soak`: storms of bad answers, seed after seed, for a given time or number.

Each round is the life of a stream or of a crawl on a fake clock, in turn; every tenth one is a storm against the whole
system in processes. A line of the table is a round. The exit code is 1 if one failed; its seed repeats it.
"""

import argparse
import random
import shutil
import sys
import tempfile
import time
import traceback
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from tests.fuzz import processes, scraper_life, stream_life
from tests.support.brokers import TansuBroker
from tests.support.trial import Trial

_ANSWERS_OF_A_LIFE = 2_000
_ANSWERS_OF_A_CRAWL = 3_000
_SECONDS_OF_A_STORM = 60.0
_HEADING = f"{'seed':>10}  {'part':<9} {'answers':>8} {'bad':>6} {'flows again':>11} {'took':>7}  outcome"


@dataclass(frozen=True, slots=True)
class Round:
    """The result of one seed."""

    answers: int
    bad: int
    recovery: float
    wrong: list[str]


def main(arguments: Sequence[str] | None = None) -> int:
    """Run rounds until the answers or the seconds are used up."""
    given = _parser().parse_args(arguments)
    seed = random.SystemRandom().randrange(1_000_000) if given.seed is None else given.seed
    print(f"first seed {seed}; repeat a round with --seed SEED --rounds 1 --part PART\n{_HEADING}", flush=True)
    end, answers, rounds, failed = time.monotonic() + given.seconds, 0, 0, []
    while time.monotonic() < end and answers < given.answers and rounds < given.rounds:
        part = given.part or ("processes" if rounds % 10 == 9 else "scraper" if rounds % 2 else "stream")
        began = time.monotonic()
        outcome = _round(part, seed, keep=given.keep)
        took = time.monotonic() - began
        words = "; ".join(outcome.wrong)[:300] or "ok"
        figures = f"{outcome.answers:>8} {outcome.bad:>6} {outcome.recovery:>9.1f} s {took:>5.0f} s"
        print(f"{seed:>10}  {part:<9} {figures}  {words}", flush=True)
        failed += [seed] if outcome.wrong else []
        answers, rounds, seed = answers + outcome.answers, rounds + 1, seed + 1
    print(f"{rounds} rounds, {answers} answers, {len(failed)} failed" + (f": seeds {failed}" if failed else ""))
    return 1 if failed else 0


def _parser() -> argparse.ArgumentParser:
    top = argparse.ArgumentParser(prog="python -m tests.fuzz", description=__doc__)
    top.add_argument("--answers", type=int, default=10**9, help="end after this many answers")
    top.add_argument("--seconds", type=float, default=600.0, help="end after this many seconds (%(default)s)")
    top.add_argument("--rounds", type=int, default=10**9, help="end after this many seeds")
    top.add_argument("--seed", type=int, help="the first seed (drawn, and printed)")
    top.add_argument("--part", choices=("stream", "scraper", "processes"), help="only this kind of round")
    top.add_argument("--keep", action="store_true", help="keep the state and logs in the directory for temporary files")
    return top


def _round(part: str, seed: int, *, keep: bool) -> Round:
    directory = Path(tempfile.mkdtemp(prefix=f"soak-{seed}-"))
    try:
        return _PARTS[part](directory, seed)
    except Exception as error:  # noqa: BLE001 -- a failure of one seed must not end the soak
        traceback.print_exc(file=sys.stderr)
        return Round(0, 0, 0.0, [f"{type(error).__name__}: {str(error)[:200]}"])
    finally:
        if not keep:
            shutil.rmtree(directory, ignore_errors=True)


def _life(directory: Path, seed: int) -> Round:
    life = stream_life.born(directory, seed)
    life.storm(_ANSWERS_OF_A_LIFE)
    recovery = life.recover()
    wrong = [f"{item.fullname} is missing outside the gaps" for item in life.settle()[:5]] + life.broken[:5]
    if recovery > stream_life.RECOVERY:
        wrong.append(f"flowed again only after {recovery:.0f} s")
    return Round(life.transport.answers, life.transport.bad, recovery, wrong)


def _storm(directory: Path, seed: int) -> Round:
    broker = TansuBroker(directory)
    trial = Trial(directory, broker, "at_least_once", seed)
    try:
        broker.start()
        storm = processes.Storm(trial, longest=30.0)
        storm.start()
        answers = storm.blow(answers=10**9, seconds=_SECONDS_OF_A_STORM)
        recovery = storm.recovery()
        wrong = storm.settle()
        bad = sum(trial.simulator.stats()["by_fault"].values())
    finally:
        trial.end()
        broker.stop()
    if recovery > processes.RECOVERY:
        wrong.append(f"flowed again only after {recovery:.0f} s")
    return Round(answers, bad, recovery, wrong)


def _crawl(directory: Path, seed: int) -> Round:
    life = scraper_life.born(directory, seed, _ANSWERS_OF_A_CRAWL)
    life.live()
    return Round(life.notes["answers"], life.notes["bad"], life.notes["recovery"], life.wrong)


_PARTS: dict[str, Callable[[Path, int], Round]] = {"stream": _life, "scraper": _crawl, "processes": _storm}


if __name__ == "__main__":
    sys.exit(main())
