"""The audit's own files under faults: odd items, a full disk, files that are broken or gone, clocks that jump."""

import errno
import math
import sqlite3
from contextlib import closing
from pathlib import Path
from typing import Any, NoReturn

import pytest

from core.spool.name_index import NameIndex
from core.status.audit_store import AuditStore, audit_path, read_audit_counters
from core.storage.sqlite import connect
from streams.audit.found_files import finds_directory
from tests.streams.audit.stage import Stage, outcomes, settings

DAY_S = 86_400.0


def odd(stage: Stage, value: object) -> None:
    """Let Reddit serve this value in a field of each item."""
    get = stage.get

    def odd_get(path: str, params: dict[str, str | int], *_: object) -> object:
        answer: Any = get(path, params)
        for child in answer["data"]["children"]:
            child["data"]["odd"] = value
        return answer

    stage.get = odd_get  # type: ignore[method-assign, assignment]


def remove(path: Path) -> None:
    for companion in ("", "-wal", "-shm"):
        path.with_name(path.name + companion).unlink(missing_ok=True)


@pytest.mark.parametrize(
    ("served", "kept"),
    [("\ud800 half", "\ufffd half"), (10**30, 10**30), (math.inf, None), ([[]] * 3, [[]] * 3)],
    ids=["half a pair", "large", "infinite", "nested"],
)
def test_whatever_reddit_serves_is_handed_over_and_captured(tmp_path: Path, served: object, kept: object) -> None:
    stage = Stage(tmp_path, settings(hide=({"kind": "submissions", "share": 0.3},)))
    stage.run(1500.0)
    odd(stage, served)
    before = len(stage.streams["submissions"].rows())
    stage.audit(stage.runner("submissions"), 20)
    assert outcomes(stage.observed("submissions"))["missing"] > 0
    found = stage.streams["submissions"].rows()[before:]
    assert len(found) == stage.streams["submissions"].writer.counters()["audit_captured"] > 0
    assert not [path for path in finds_directory(tmp_path, "submissions").iterdir() if path.suffix != ".json"]
    assert all(content["reddit"]["odd"] == kept for _, content in found)


def test_a_full_disk_delays_what_was_found_and_leaves_no_parts(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    stage = Stage(tmp_path, settings(hide=({"kind": "submissions", "share": 0.3},)))
    stage.run(1500.0)
    runner, refused = stage.runner("submissions"), 0

    def full(_descriptor: int) -> NoReturn:
        raise OSError(errno.ENOSPC, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr("streams.audit.found_files.os.fsync", full)
        for _ in range(8):
            try:
                runner.step()
            except OSError:
                refused += 1
            stage.clock.advance(20.0)
    assert refused > 1
    assert list(finds_directory(tmp_path, "submissions").iterdir()) == []
    stage.audit(runner, 1)
    assert stage.streams["submissions"].writer.counters()["audit_captured"] > 0


def test_a_broken_file_is_moved_aside(tmp_path: Path) -> None:
    path = audit_path(tmp_path, "comments")
    path.write_bytes(b"garbage" * 1000)
    store = AuditStore(tmp_path, "comments")
    store.count("audit_requests")
    assert read_audit_counters(tmp_path, "comments") == {"audit_requests": 1}
    (aside,) = tmp_path.glob("audit-comments.db.corrupt-*")
    assert aside.read_bytes() == b"garbage" * 1000


@pytest.mark.parametrize("fate", ["deleted", "replaced"])
def test_a_file_that_is_lost_while_it_is_open_is_begun_anew(tmp_path: Path, fate: str) -> None:
    stage = Stage(tmp_path, settings())
    stage.run(900.0)
    runner = stage.runner("submissions")
    stage.audit(runner, 5)
    remove(audit_path(tmp_path, "submissions"))
    if fate == "replaced":
        AuditStore(tmp_path, "submissions").close()
    runner.step()
    assert read_audit_counters(tmp_path, "submissions") == {"audit_requests": 1}
    stage.run(900.0)
    stage.audit(stage.runner("submissions", 2), 15)
    assert outcomes(stage.observed("submissions")).keys() == {"found"}, "it judges what is captured from then on"


def test_a_file_that_breaks_while_it_is_open_is_moved_aside(tmp_path: Path) -> None:
    store, path = AuditStore(tmp_path, "submissions"), audit_path(tmp_path, "submissions")
    store.count("audit_requests")
    assert not store.renew()
    with closing(connect(path)) as other:
        other.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    path.write_bytes(b"garbage" * 1000)
    with pytest.raises(sqlite3.DatabaseError) as broken:
        connect(path).close()
    assert store.renew(broken.value)
    store.count("audit_requests")
    assert read_audit_counters(tmp_path, "submissions") == {"audit_requests": 1}
    store.renew(broken.value)
    assert read_audit_counters(tmp_path, "submissions") == {"audit_requests": 1}, "the new file is sound"
    assert len(list(tmp_path.glob("audit-submissions.db.corrupt-*"))) == 1


def test_a_clock_that_was_far_ahead_ends_no_audit(tmp_path: Path) -> None:
    """What was noted under the wrong clock lies in the future."""
    stage = Stage(tmp_path, settings())
    stage.run(900.0)
    stage.clock.now += 400 * DAY_S
    for stream in stage.streams.values():
        stream.finds.step()  # a new file of the index
    ahead = AuditStore(tmp_path, "submissions", stage.clock)
    ahead.scope({"alpha": "", "newcomer": ""}, stage.clock.now)
    ahead.close()
    stage.clock.now -= 400 * DAY_S
    stage.run(1500.0)
    start = NameIndex(tmp_path, "submissions").start()
    assert start is not None
    assert start <= stage.clock.now
    stage.audit(stage.runner("submissions"), 20)
    newest = max(one.at for one in stage.observed("submissions"))
    assert newest > stage.clock.now - 900.0, "what is captured now is drawn"
    store = AuditStore(tmp_path, "submissions", stage.clock)
    assert store.scope({"newcomer": ""}, stage.clock.now) == {"newcomer": stage.clock.now}
