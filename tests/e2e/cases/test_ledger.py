"""Cases of what the system says of itself: what has not been read is not proven, and what is lost is admitted."""

import shutil
import time
from collections.abc import Callable

import pytest

from core.spool import spool_path
from tests.e2e.cases.support import (
    delivered,
    messages,
    proof,
)
from tests.e2e.stages import EVERYWHERE, on
from tests.support.files import remove_directory_in_use
from tests.support.soaking import SOAK
from tests.support.trial import Trial
from tests.support.waiting import wait_until

STREAMS = ("submissions", "comments")


def proven(trial: Trial, stream: str) -> dict[str, float]:
    """Return up to when each subreddit is proven, by lower-case name."""
    found: dict[str, float] = {name.lower(): at for name, at in proof(trial)["proven_until"][stream].items()}
    return found


@on(EVERYWHERE)
def test_time_in_which_reddit_says_nothing_is_not_proven(trial: Trial) -> None:
    """A frozen Reddit (as by SIGSTOP): `proven_until` does not move, completeness falls at once, and recovers."""
    trial.start(subreddits=("Alpha", "Beta"), comments_per_second=30)
    trial.pass_time(4)
    wait_until(lambda: proven(trial, "comments").get("alpha"), 10.0, "the first proof")
    before = {stream: trial.system.status()["streams"][stream]["completeness"] for stream in STREAMS}
    trial.simulator.freeze(60)
    frozen = time.time()
    trial.pass_time(7)
    for stream in STREAMS:
        assert max(proven(trial, stream).values()) <= frozen + 2
        now = trial.system.status()["streams"][stream]["completeness"]
        assert now < before[stream], "time that has not been read is not complete"
    said = trial.system.command("gaps").lower()
    assert "proven until" in said
    trial.simulator.freeze(0)
    wait_until(lambda: min(proven(trial, "comments").values()) > frozen + 5, 40.0, "the proof to catch up")
    trial.finish(at_least=300)
    assert not trial.system.gaps(), "all of it was still listed"


@on(EVERYWHERE)
def test_a_stream_that_never_read_anything_proves_nothing(trial: Trial) -> None:
    """Both streams parked over a wrong secret: the ledger does not say "no gaps"."""
    trial.prepare(client_id="test-client", client_secret="another", comments_per_second=30)
    trial.system.start()
    wait_until(lambda: len(messages(trial, "comments", "error")) > 0, 30.0, "the refusal")
    said = trial.system.command("gaps")
    assert "proven contiguous" not in said
    assert not [at for stream in STREAMS for at in proven(trial, stream).values() if at is not None]
    trial.system.destroy()


@on(EVERYWHERE)
def test_a_gap_begins_where_its_subreddits_were_proven(trial: Trial) -> None:
    """Not five minutes before: a margin for late items is given beside it."""
    trial.start(subreddits=("Alpha", "Beta"), cap=150, backlog=50, comments_per_second=2)
    trial.simulator.rates(comments=20)
    trial.pass_time(4)
    assert trial.system.stop() == 0
    until = proven(trial, "comments")
    trial.simulator.rates(comments=200, seconds=5)
    made = trial.simulator.stats()["items"]["comments"]
    wait_until(lambda: trial.simulator.stats()["items"]["comments"] > made + 800, 20.0, "the burst to pass")
    trial.system.start()
    trial.system.wait_up()
    wait_until(lambda: [gap for gap in proof(trial)["gaps"] if gap["stream"] == "comments"], 20.0, "the gap")
    gaps = [gap for gap in proof(trial)["gaps"] if gap["stream"] == "comments"]
    for gap in gaps:
        started = min(until[name.lower()] for name in gap["subreddits"])
        assert gap["from"] is not None
        assert gap["from"] >= started - 1.5, f"{gap} begins before {until}"
    ledger, _ = trial.finish_with_gaps(at_least=800)
    assert ledger.lost, "the burst was meant to be too long"


@on(EVERYWHERE)
def test_a_subreddit_that_cannot_be_read_is_an_open_gap_from_that_moment(trial: Trial) -> None:
    trial.start(subreddits=("Alpha", "Beta"), comments_per_second=20)
    trial.pass_time(3)
    closed = time.time()
    trial.simulator.subreddit("Beta", "private")

    def gaps() -> list[dict[str, object]]:
        return [gap for gap in proof(trial)["gaps"] if gap["stream"] == "comments" and gap["subreddits"] == ["Beta"]]

    wait_until(gaps, 15.0, "the gap of what is away")
    (gap,) = gaps()
    assert (gap["to"], gap["state"]) == (None, "open")
    assert isinstance(gap["from"], int | float)
    assert abs(float(gap["from"]) - closed) < 10
    assert trial.system.status()["streams"]["comments"]["completeness"] < 1.0
    assert trial.system.stop() == 0


def start_at_thirty(trial: Trial) -> None:
    """Start with short listings; 30 comments per second come after the start: before it, a listing forgets in vain."""
    trial.start(subreddits=("Alpha", "Beta"), cap=200, backlog=50, comments_per_second=2)
    trial.simulator.rates(comments=30)


def remove_spool(trial: Trial) -> None:
    for path in trial.system.state_dir.glob("spool-comments.db*"):
        path.unlink(missing_ok=True)


def remove_state(trial: Trial) -> None:
    remove_directory_in_use(trial.system.state_dir)


def move_spool(trial: Trial) -> None:
    path = spool_path(trial.system.state_dir, "comments")
    path.rename(path.with_name("moved.db"))


def restore_copy(trial: Trial) -> None:
    path = spool_path(trial.system.state_dir, "comments")
    copy = path.with_name("copy.db")
    shutil.copyfile(path, copy)
    trial.pass_time(3)
    copy.replace(path)


@on(EVERYWHERE)
@pytest.mark.parametrize(
    "harm", [restore_copy, *(pytest.param(harm, marks=SOAK) for harm in (move_spool, remove_spool, remove_state))]
)
def test_a_spool_that_is_taken_away_while_in_use_is_noticed(trial: Trial, harm: Callable[[Trial], None]) -> None:
    """log rotation's old mistake: what is lost with the file is in a gap, and the log says so."""
    start_at_thirty(trial)
    trial.pass_time(4)
    harm(trial)
    trial.pass_time(3)
    ledger, _ = trial.finish_with_gaps(at_least=250)
    assert len(ledger.lost) <= 150, ledger.summary()
    assert any("spool" in line["event"] for line in messages(trial, "comments", "warning", "error"))


@on(EVERYWHERE)
def test_a_spool_that_is_gone_at_the_start_is_not_taken_for_a_first_start(trial: Trial) -> None:
    """The publisher still knows the spool that was there: what came meanwhile may be lost, and is admitted."""
    start_at_thirty(trial)
    trial.pass_time(4)
    before = len(delivered(trial))
    remove_spool(trial)
    trial.system.command("restart", "comments")
    wait_until(lambda: len(delivered(trial)) > before + 60, 20.0, "the stream to go on")
    trial.finish_with_gaps(at_least=250)
    assert [gap for gap in proof(trial)["gaps"] if gap["stream"] == "comments"], "a lost spool is a gap"


@on(EVERYWHERE)
def test_slow_answers_leave_their_share_to_everything_else(trial: Trial) -> None:
    """An answer that takes longer than the interval between polls: late scans and pages below the top still come."""
    trial.start(subreddits=("Alpha", "Beta"), backlog=300, late_share=0.02, late_seconds=(3, 5))
    trial.simulator.rates(comments=150)  # not before the start: a full listing drops what was not requested yet
    trial.simulator.faults(latency=1.2)
    before = trial.simulator.stats()["requests"]
    trial.pass_time(12)
    asked = trial.simulator.stats()["requests"] - before
    assert asked >= 8
    trial.simulator.clear_faults()
    trial.finish_with_gaps(at_least=1500)
