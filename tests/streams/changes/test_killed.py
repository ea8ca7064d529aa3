"""Kills between the spool's transaction and the duties' file: nothing is reported twice, nothing is lost."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from contextlib import closing
from pathlib import Path
from typing import cast

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from core.spool import SpoolReader
from core.spool.followed_positions import changes_path
from core.spool.spool_files import remove_database, spool_path
from core.status.changes_status import read_changes_status
from core.storage.sqlite import connect
from streams.changes.changes_process import open_duties
from streams.changes.duties import ChangesFileBroken, suspect_path
from tests.streams.changes.killed_checker import NUMBER, names, things
from tests.streams.changes.small_reddit import Thing
from tests.streams.changes.stage import HOUR, MortalWriter, Stage
from tests.support import memory

CHANGES = ("edit", "score", "removed", "deleted", "account", "gone", "public", "")


def _play(thing: Thing, change: str, turn: int, no_account: set[str]) -> list[str]:
    """Change an item; return what has to be reported. `no_account`: items whose author is known to be gone."""
    before = thing.state
    visible = before in {"public", "account"}
    if change == "edit":
        thing.text = f"edit {turn}"
        return ["edit"] if visible else []
    if change == "score":
        thing.score += 1
        return [] if before == "gone" else ["score"]
    if not change or change == before:
        return []
    thing.state, thing.category = change, "moderator"
    if change == "public":
        no_account.discard(thing.fullname)
        return ["restored"]
    if change == "account":
        told = thing.fullname in no_account
        no_account.add(thing.fullname)
        return [*([] if visible else ["restored"]), *([] if told else ["deleted"])]
    return [{"removed": "removed", "deleted": "deleted", "gone": "gone"}[change]]


@settings(max_examples=15)
@given(
    script=st.lists(st.lists(st.sampled_from(CHANGES), min_size=4, max_size=4), min_size=3, max_size=3),
    fates=st.dictionaries(st.integers(1, 4), st.sampled_from(["before", "after"]), max_size=3),
)
def test_whatever_happens_and_whenever_it_is_killed(script: list[list[str]], fates: dict[int, str]) -> None:
    """Each change between two looks is reported once, in its order."""
    with memory.directory() as directory:
        stage = Stage(directory, fates=dict(fates))
        items = stage.capture("comments", 3) + stage.capture("submissions", 2)
        expected: dict[str, list[str]] = {one.fullname: [] for one in items}
        no_account: set[str] = set()
        pending = {one.fullname: (one.text, one.score) for one in items}
        for turn, changes in enumerate(script):
            for thing, change in zip(items, changes, strict=False):
                expected[thing.fullname] += _play(thing, change, turn, no_account)
                text, score = pending[thing.fullname]
                if thing.state in {"public", "account"} and change in {"public", "account"} and thing.text != text:
                    expected[thing.fullname].append("edit")  # it was edited while it could not be read
                if change not in {"score"} and thing.state != "gone" and thing.score != score:
                    expected[thing.fullname].append("score")  # its score changed while it was gone
                if thing.state in {"public", "account"}:
                    text = thing.text
                pending[thing.fullname] = text, thing.score if thing.state != "gone" else score
            stage.run(24.2 * HOUR if turn else HOUR * 1.2)
        for thing in items:
            assert stage.ops(thing) == expected[thing.fullname], (thing, stage.events(thing))
        assert stage.waiting() == 0


def test_a_kill_after_the_spool_and_before_the_duties_is_made_good(tmp_path: Path) -> None:
    stage = Stage(tmp_path, fates={1: "after"})
    things = stage.capture("comments", 5)
    for thing in things:
        thing.score = 9
    stage.run(2 * HOUR)
    assert stage.kills == 1
    assert len(stage.notes.events("look_completed")) == 1
    assert len(stage.events()) == 5
    assert len(stage.reddit.asked) == 1


def test_a_lost_file_is_reported_and_what_is_delivered_later_is_looked_at(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    (old,) = stage.capture("comments")
    old.score = 5
    stage.run(2 * HOUR)
    remove_database(changes_path(tmp_path))
    (new,) = stage.capture("submissions")
    stage.run(60)
    old.score, new.score = 6, 7
    stage.deliver("submissions")
    stage.run(60 * HOUR)
    assert stage.ops(old) == ["score"], "nothing of before is reported again"
    assert stage.events(new) == [], "it was delivered before the new file was made"
    (late,) = stage.capture("comments")
    late.score = 8
    stage.run(2 * HOUR)
    assert stage.ops(late) == ["score"]
    assert stage.counters()["changes_files_lost"] == 1
    status = read_changes_status(tmp_path, ("submissions", "comments"))
    assert status is not None
    assert status.files_lost == 1
    assert status.lost_at is not None
    assert 0 < stage.clock.now - status.lost_at < 63 * HOUR


@pytest.mark.parametrize("marked", [False, True])
def test_a_broken_file_is_moved_aside_and_reported(tmp_path: Path, *, marked: bool) -> None:
    stage = Stage(tmp_path)
    stage.capture("comments")
    stage.run(60)
    if marked:
        suspect_path(tmp_path).touch()
    else:
        changes_path(tmp_path).write_bytes(b"x" * 70_000)
    stage.run(60)
    (thing,) = stage.capture("comments")
    thing.score = 8
    stage.run(2 * HOUR)
    assert stage.ops() == ["score"]
    assert stage.counters()["changes_files_lost"] == 1
    assert list(tmp_path.glob("changes.db.corrupt-*"))
    assert not suspect_path(tmp_path).exists()


def test_a_file_that_is_deleted_while_it_is_open_is_written_back(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    things = stage.capture("comments", 3)
    stage.run(60)
    for thing in things:
        thing.score = 4

    def delete() -> None:
        remove_database(changes_path(tmp_path))

    stage.clock.at(stage.clock.now + HOUR / 2, delete)
    stage.run(2 * HOUR)
    assert len(stage.events()) == 3
    assert changes_path(tmp_path).exists()
    stage.run(60 * HOUR)
    assert stage.waiting() == 0
    assert "changes_files_lost" not in stage.counters()


def test_an_older_copy_of_the_file_is_noticed(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.capture("comments")
    stage.run(60)
    copy = changes_path(tmp_path).read_bytes()
    stage.run(2 * HOUR)
    for later in range(2):
        stage.capture("comments")
        stage.run(2 * HOUR + later)
    remove_database(changes_path(tmp_path))
    changes_path(tmp_path).write_bytes(copy)
    stage.run(60)
    assert stage.notes.events("changes_file_older")
    stage.run(50 * HOUR)
    assert stage.waiting() == 0


def test_a_replaced_spool_is_followed_from_its_first_row(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    first = stage.capture("comments", 3)
    stage.run(60)
    remove_database(spool_path(tmp_path, "comments"))
    (tmp_path / "spool-comments.lock").unlink()
    second = stage.capture("comments", 2)
    for thing in (*first, *second):
        thing.score = 2
    stage.run(2 * HOUR)
    assert sorted(one["fullname"] for one in stage.events()) == sorted(one.fullname for one in (*first, *second))


def test_a_block_that_cannot_be_read_is_dropped_and_counted(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    stage.capture("comments", 2)
    stage.run(60)
    (other,) = stage.capture("submissions")
    stage.run(60)
    with closing(MortalWriter(tmp_path, "changes", clock=stage.clock)) as writer:
        writer.fates = {}
        duties = open_duties(stage.config(), writer, stage.clock)
        duties.close()
    with closing(connect(changes_path(tmp_path))) as connection:
        connection.execute("UPDATE blocks SET blob = x'ff00' WHERE stream = 'comments'")
    other.score = 3
    stage.run(2 * HOUR)
    assert stage.ops(other) == ["score"]
    assert stage.counters()["looks_dropped"] == 2


def _checker(directory: Path) -> "subprocess.Popen[str]":
    return subprocess.Popen(
        [sys.executable, "-m", "tests.streams.changes.killed_checker", str(directory)],
        stdout=subprocess.PIPE,
        text=True,
        cwd=Path(__file__).parents[3],
        env={**os.environ, "PARENT": str(os.getpid())},
    )


@pytest.mark.parametrize("kills", [3, pytest.param(25, marks=pytest.mark.soak)])
def test_a_real_process_that_is_killed_at_any_moment(tmp_path: Path, seed: int, kills: int) -> None:
    """SIGKILL again and again: at the end each item has each of its changes exactly once."""
    draw = random.Random(seed)
    Stage(tmp_path).store("comments", things())
    Stage(tmp_path).deliver("comments")
    for turn in range(kills + 1):
        child = _checker(tmp_path)
        assert child.stdout is not None
        line = child.stdout.readline()
        assert line, f"the process ended by itself (seed {seed})"
        if turn < kills:
            for _ in range(draw.randrange(1, 8)):
                line = child.stdout.readline()
            time.sleep(draw.uniform(0.0, 0.01))  # somewhere inside a look, not between two
            child.send_signal(signal.SIGKILL)
        rest = child.communicate(timeout=60)[0]
        if child.returncode == 0:
            break
    assert child.returncode == 0, rest
    reader = SpoolReader.open(tmp_path, "changes")
    assert reader is not None
    with closing(reader):
        rows = [json.loads(row.value) for row in reader.read(0, 10**6) if row.schema == "reddit.change.v1"]
    for name in names():
        scores = [row["score"] for row in rows if row["fullname"] == name]
        assert scores == [1001, 1002, 1003], (name, scores, seed)
    assert len(rows) == 3 * NUMBER
    assert cast(int, child.returncode) == 0


@pytest.mark.parametrize("exactly_once", [False, True])
def test_after_an_older_copy_nothing_is_reported_twice_in_exactly_once(tmp_path: Path, *, exactly_once: bool) -> None:
    stage = Stage(tmp_path, exactly_once=exactly_once)
    early = stage.capture("comments", 4)
    stage.run(60)
    copy = changes_path(tmp_path).read_bytes()
    early[0].text, early[1].state, early[2].state = "edited", "removed", "gone"
    stage.run(2 * HOUR)
    later = stage.capture("submissions", 2)
    later[0].score = 9
    stage.run(2 * HOUR)
    newest = stage.capture("submissions", 2)
    stage.run(60)
    before = [(one["fullname"], one["op"]) for one in stage.events()]
    assert len(before) == 4
    remove_database(changes_path(tmp_path))
    changes_path(tmp_path).write_bytes(copy)
    early[3].score = newest[0].score = 50
    stage.run(60)
    assert stage.notes.events("changes_file_older")
    stage.run(2 * HOUR)
    early[0].text = later[0].text = newest[1].text = "edited again"
    stage.run(50 * HOUR)
    assert stage.waiting() == 0
    told = [(one["fullname"], one["op"]) for one in stage.events()]
    new = [
        *((one.fullname, "edit") for one in (early[0], later[0], newest[1])),
        (newest[0].fullname, "score"),
    ]
    if exactly_once:
        assert sorted(told) == sorted([*before, *new])
        assert stage.counters()["changes_unreported"] == 5
        assert json.loads(stage.latest_of(early[3])[-1].value)["score"] == 50, "the newest state is written"
        assert stage.latest_of(early[1])[-1].value == b""
    else:
        assert set(told) == {*before, *new, (early[3].fullname, "score")}


@pytest.mark.parametrize("damage", ["truncated", "halved", "zeros", "garbage", "swapped"])
def test_a_file_whose_content_is_damaged_in_use_stops_nothing(tmp_path: Path, damage: str) -> None:
    """What was delivered before may be lost with it, and that is counted; nothing false is reported, nothing stops."""
    stage = Stage(tmp_path)
    things = stage.capture("comments", 150)
    stage.run(60)
    path = changes_path(tmp_path)
    whole = path.read_bytes()
    for thing in things:
        thing.score = 4

    def spoil() -> None:
        size = path.stat().st_size
        if damage == "swapped":
            path.rename(path.with_suffix(".old"))
            path.write_bytes(whole)
            return
        with path.open("r+b") as file:
            if damage in {"truncated", "halved"}:
                file.truncate(0 if damage == "truncated" else size // 2)
            else:
                file.write((b"\0" if damage == "zeros" else b"x") * size)

    stage.clock.at(stage.clock.now + HOUR / 2, spoil)
    try:
        stage.run(2 * HOUR)
    except ChangesFileBroken:
        stage.run(60)  # the supervisor starts it again
    (new,) = stage.capture("submissions")
    new.score = 9
    stage.run(60 * HOUR)
    assert stage.ops(new) == ["score"]
    told = [one["fullname"] for one in stage.events() if one["fullname"] != new.fullname]
    assert len(told) == len(set(told))
    if len(told) < len(things):
        assert stage.counters()["changes_files_lost"] == 1
    assert stage.waiting() == 0


def test_a_lost_spool_is_reported_and_looks_go_on(tmp_path: Path) -> None:
    stage = Stage(tmp_path)
    things = stage.capture("comments", 3)
    for thing in things:
        thing.score = 2
    stage.run(2 * HOUR)
    assert len(stage.events()) == 3
    assert not stage.notes.events("changes_spool_lost")
    remove_database(spool_path(tmp_path, "changes"))
    for thing in things:
        thing.text = "edited"
    stage.run(50 * HOUR)
    assert len(stage.notes.events("changes_spool_lost")) == 1
    assert stage.ops() == ["edit"] * 3
    assert stage.waiting() == 0
