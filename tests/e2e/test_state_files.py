"""Files of the state that are deleted, replaced or put back while everything runs: what is lost is in a gap."""

import contextlib
import json
import shutil
import subprocess
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from core.spool import SpoolReader
from tests.e2e.stages import EVERYWHERE, EXACTLY_ONCE, on
from tests.support.durations import allowed
from tests.support.files import remove_directory_in_use
from tests.support.ports import free_port
from tests.support.soaking import SOAK
from tests.support.trial import Trial
from tests.support.waiting import wait_until

# Few items before the start, so that short listings contain all of them at the first poll.
WORLD: dict[str, Any] = {"subreddits": ("Alpha", "Beta"), "comments_per_second": 1, "submissions_per_second": 1}
SHORT: dict[str, Any] = {**WORLD, "cap": 100, "backlog": 20}


def begin(trial: Trial, world: dict[str, Any]) -> None:
    trial.start(**world)
    trial.simulator.rates(comments=20)


def remove(state_dir: Path, pattern: str) -> None:
    for path in state_dir.glob(pattern):
        path.unlink()


def remove_spool(trial: Trial) -> None:
    remove(trial.system.state_dir, "spool-comments.db*")


def reader_of(trial: Trial) -> SpoolReader | None:
    return SpoolReader.open(trial.system.state_dir, "comments")


def last_seq(trial: Trial) -> int:
    reader = reader_of(trial)
    if reader is None:
        return 0
    with contextlib.closing(reader):
        return reader.last_seq()


def wait_flowing(trial: Trial) -> None:
    """Return when the spool that is in its place takes new records."""
    before = last_seq(trial)
    wait_until(lambda: last_seq(trial) > before, 30.0, "the spool in its place to grow")


def said(trial: Trial, name: str, event: str) -> list[dict[str, object]]:
    return [line for line in trial.system.log(name) if line["event"] == event]


def lost_spools(trial: Trial, *states: str) -> list[dict[str, Any]]:
    """Return the gaps of lost spools that have one of these states; of any state if none is given."""
    gaps = [gap for gap in trial.system.gaps() if gap["reason"].startswith("the spool was lost")]
    return [gap for gap in gaps if not states or gap["state"] in states]


def finish(trial: Trial, at_least: int) -> None:
    trial.system.kills.append("state")  # a spool without its names captures again what is still listed
    ledger, _ = trial.finish_with_gaps(at_least=at_least)
    trial.notes["outside"] = len(ledger.lost_outside_gaps)


@on(soak=(EXACTLY_ONCE, EVERYWHERE))
def test_the_spool_removed_while_it_runs(trial: Trial) -> None:
    """The case that was found: the writer went on into the file that has no name any more."""
    begin(trial, WORLD)
    trial.pass_time(4)
    removed_at = time.time()
    remove_spool(trial)
    wait_until(lambda: said(trial, "comments", "spool_saved"), what="the spool to be saved")
    assert trial.system.state_dir.joinpath("spool-comments.db").exists()
    noticed = said(trial, "comments", "spool_file_lost")
    assert len(noticed) == 1
    assert time.time() - removed_at < allowed(3.0)
    wait_flowing(trial)
    wait_until(lambda: lost_spools(trial) and not lost_spools(trial, "open"), what="the gap to be closed")
    assert [gap["state"] for gap in lost_spools(trial)] == ["repaired"]
    ledger = trial.finish(at_least=250)
    assert not ledger.lost
    if trial.delivery == "exactly_once":
        assert not ledger.duplicated


@on(EVERYWHERE)
def test_the_spool_removed_and_the_stream_restarted(trial: Trial) -> None:
    begin(trial, SHORT)
    trial.pass_time(5)
    remove_spool(trial)
    wait_until(lambda: said(trial, "comments", "spool_saved"), what="the spool to be saved")
    trial.pass_time(3)
    trial.system.command("restart", "comments")
    wait_flowing(trial)
    assert trial.system.gaps(), "the ledger contains it"
    finish(trial, 300)


@on(soak=(EVERYWHERE,))
def test_the_spool_removed_and_the_stream_killed_at_once(trial: Trial) -> None:
    """No process was running: the next start distinguishes a lost spool from a first start."""
    begin(trial, SHORT)
    trial.pass_time(6)
    trial.system.children()["comments"].suspend()
    remove_spool(trial)
    trial.system.kill_child("comments")
    wait_until(lambda: said(trial, "comments", "spool_lost"), what="the loss to be said")
    wait_flowing(trial)
    wait_until(lambda: lost_spools(trial), what="the gap of the lost spool")
    finish(trial, 250)


@on(EXACTLY_ONCE, soak=(EVERYWHERE,))
def test_the_state_directory_removed_while_it_runs(trial: Trial) -> None:
    trial.prepare(monitor=free_port(), **WORLD)
    trial.system.start()
    trial.system.wait_up()
    wait_until(trial.records, 30.0, "the first records in the topic")
    trial.simulator.rates(comments=20)
    trial.pass_time(5)
    remove_directory_in_use(trial.system.state_dir)
    wait_until(lambda: said(trial, "comments", "spool_saved"), what="the spool of comments to be saved")
    wait_until(lambda: said(trial, "submissions", "spool_saved"), what="the spool of submissions to be saved")
    wait_until(lambda: said(trial, "publisher", "positions_lost"), what="the positions to be saved")
    ours = ("supervisor.sock", "supervisor.json", "supervisor.lock", "publisher.db", "quota.db")
    names = (*ours, "monitor.json", "monitor-proof.json", "monitor-tally.json")
    for name in names:
        wait_until(trial.system.state_dir.joinpath(name).exists, what=f"{name} to be there again")
    assert trial.system.status()["supervisor"]["state"] == "RUNNING"
    wait_flowing(trial)
    trial.pass_time(4)
    ledger = trial.finish(at_least=250)
    assert not ledger.duplicated


def stop_and(trial: Trial, harm: Callable[[Path], None]) -> None:
    assert trial.system.stop() == 0
    harm(trial.system.state_dir)
    trial.system.start()
    trial.system.wait_up()
    wait_flowing(trial)


def remove_all_spools(state_dir: Path) -> None:
    remove(state_dir, "spool-*")


def remove_comments(state_dir: Path) -> None:
    remove(state_dir, "spool-comments.db*")


def put_the_old_one_back(state_dir: Path) -> None:
    remove_comments(state_dir)
    subprocess.run(["cp", state_dir.parent / "old.db", state_dir / "spool-comments.db"], check=True)


@on(EVERYWHERE)
@pytest.mark.parametrize(
    "harm", [*(pytest.param(harm, marks=SOAK) for harm in (remove_all_spools, remove_comments)), put_the_old_one_back]
)
def test_a_spool_removed_or_put_back_while_nothing_runs(trial: Trial, harm: Callable[[Path], None]) -> None:
    begin(trial, SHORT)
    trial.pass_time(4)
    assert trial.system.stop() == 0
    subprocess.run(["cp", trial.system.state_dir / "spool-comments.db", trial.system.directory / "old.db"], check=True)
    trial.system.start()
    trial.system.wait_up()
    trial.pass_time(5)
    stop_and(trial, harm)
    gaps = wait_until(lambda: lost_spools(trial), what="the gap: a lost spool is no first start")
    assert all(gap["from"] > time.time() - 60 for gap in gaps), f"from where it was delivered: {json.dumps(gaps)}"
    finish(trial, 250)


def remove_all_but_the_monitors(state_dir: Path) -> None:
    for pattern in ("spool-*", "publisher.*", "quota.*"):
        remove(state_dir, pattern)


def losses_of(trial: Trial, since: float) -> dict[str, float]:
    """Return where the gaps of both streams' lost spools begin that were recorded since then."""
    found = {gap["stream"]: gap["from"] for gap in lost_spools(trial) if gap["recorded_at"] >= since}
    return found if len(found) == 2 else {}


@on(EVERYWHERE)
def test_all_files_of_the_state_lost_between_two_runs(trial: Trial) -> None:
    """First the monitor's copy shows up to when all was proven; then only the topic does, once the broker answers."""
    trial.prepare(monitor=free_port(), **SHORT)
    trial.system.start()
    trial.system.wait_up()
    wait_until(trial.records, 30.0, "the first records in the topic")
    trial.simulator.rates(comments=20)
    trial.pass_time(5)
    stopped_at = time.time()
    stop_and(trial, remove_all_but_the_monitors)
    starts = wait_until(lambda: losses_of(trial, stopped_at), 10.0, "the gaps of both streams")
    assert all(stopped_at - 12.0 < start <= stopped_at + 1.0 for start in starts.values()), (stopped_at, starts)
    assert set(starts) == {"comments", "submissions"}, "the monitor's copy is used at once"

    lost_at = time.time()
    trial.broker.freeze()
    stop_and(trial, shutil.rmtree)
    trial.pass_time(3)
    assert not losses_of(trial, lost_at), "capture continues while it is not known"
    assert trial.system.status()["streams"]["comments"]["spooled"]
    trial.broker.thaw()
    starts = wait_until(lambda: losses_of(trial, lost_at), 30.0, "the gaps of both streams")
    # the last hour of capturing is in the gap too, here all of it: its walks may not have been finished
    assert all(stopped_at - 90.0 < start <= lost_at + 1.0 for start in starts.values()), (stopped_at, lost_at, starts)
    wait_until(lambda: "spool_lost" in trial.system.page("/readyz")[1], what="/readyz to name it")
    finish(trial, 250)


@on(soak=(EVERYWHERE,))
def test_an_older_copy_written_over_the_spool_in_use(trial: Trial) -> None:
    """The same inode with other content, several times over."""
    begin(trial, WORLD)
    trial.pass_time(3)
    assert trial.system.stop() == 0
    old = trial.system.directory / "old.db"
    subprocess.run(["cp", trial.system.state_dir / "spool-comments.db", old], check=True)
    trial.system.start()
    trial.system.wait_up()
    trial.pass_time(6)
    subprocess.run(["cp", old, trial.system.state_dir / "spool-comments.db"], check=True)
    wait_until(
        lambda: said(trial, "comments", "spool_file_lost") or said(trial, "comments", "spool_touched"),
        3.0,
        "the copy to be noticed",
    )
    wait_flowing(trial)
    finish(trial, 200)


@on(EXACTLY_ONCE, soak=(EVERYWHERE,))
def test_the_publishers_file_removed_and_replaced_while_it_runs(trial: Trial) -> None:
    begin(trial, WORLD)
    trial.pass_time(4)
    state_dir = trial.system.state_dir
    remove(state_dir, "publisher.db*")
    wait_until(lambda: said(trial, "publisher", "positions_lost"), what="the publisher to notice")
    wait_until((state_dir / "publisher.db").exists, what="a new file")
    trial.pass_time(2)
    subprocess.run(["cp", state_dir / "publisher.db", state_dir / "old.db"], check=True)
    trial.pass_time(2)
    (state_dir / "old.db").rename(state_dir / "publisher.db")
    wait_until(lambda: len(said(trial, "publisher", "positions_lost")) == 2, what="the publisher to notice")
    remove(state_dir, "quota.db*")
    wait_until(
        lambda: said(trial, "comments", "quota_file_lost") or said(trial, "submissions", "quota_file_lost"),
        what="a stream to notice",
    )
    ledger = trial.finish(at_least=200)
    assert not ledger.duplicated


@on(EVERYWHERE)
def test_a_volume_restored_from_an_older_copy_while_it_runs(trial: Trial) -> None:
    """All files at once are others, and older: everything goes on from what the processes hold."""
    begin(trial, WORLD)
    trial.pass_time(4)
    state_dir = trial.system.state_dir
    older, away = state_dir.with_name("older"), state_dir.with_name("away")
    subprocess.run(["cp", "-a", state_dir, older], check=True)
    trial.pass_time(5)
    state_dir.rename(away)
    older.rename(state_dir)
    for name in ("comments", "submissions"):
        wait_until(lambda name=name: said(trial, name, "spool_saved"), what=f"the spool of {name} to be saved")  # type: ignore[misc]
    wait_until(lambda: said(trial, "publisher", "positions_lost"), what="the positions to be saved")
    wait_until(lambda: said(trial, "supervisor", "state_lock_gone"), what="the supervisor's lock to be taken again")
    orphan = away / "spool-comments.db-wal"
    size = orphan.stat().st_size
    wait_flowing(trial)
    trial.pass_time(4)
    assert orphan.stat().st_size == size, "nothing is written to the old file"
    ledger = trial.finish(at_least=250)
    assert not ledger.duplicated


@on(EVERYWHERE)
def test_a_spool_lost_while_kafka_is_away(trial: Trial) -> None:
    """Nothing of it is delivered yet: what the open file holds is all there is."""
    begin(trial, SHORT)
    trial.pass_time(4)
    trial.broker.freeze()
    trial.pass_time(5)
    remove_spool(trial)
    wait_until(lambda: said(trial, "comments", "spool_saved"), what="the spool to be saved")
    trial.pass_time(4)
    trial.broker.thaw()
    ledger = trial.finish(at_least=250)
    assert not ledger.lost
