"""One supervisor per state directory, also on a full disk."""

import os
import re
import shutil
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from core.config import Config, SupervisorSection
from core.errors import ConfigError, TransientError
from supervisor.runtime.state_lock import StateLock, StateLockedError, lock_task
from supervisor.runtime.supervise import claim
from tests.support.strangers import lock_held, needs_flock, needs_root, public_directory

LOG = structlog.stdlib.get_logger("test")


def no_room(*_: object) -> int:
    raise OSError(28, "No space left on device")


def test_a_full_disk_keeps_nobody_from_starting_again(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A supervisor must start on a full disk: its publisher empties the spools."""
    StateLock(tmp_path).close()
    monkeypatch.setattr(os, "pwrite", no_room)
    lock = StateLock(tmp_path)
    with pytest.raises(StateLockedError, match="another supervisor"):
        StateLock(tmp_path)
    lock.close()
    StateLock(tmp_path).close()


def test_the_number_of_the_one_before_is_overwritten(tmp_path: Path) -> None:
    (tmp_path / "supervisor.lock").write_text("12345678901\n")
    lock = StateLock(tmp_path)
    assert (tmp_path / "supervisor.lock").read_text() == f"{os.getpid()}\n"
    lock.close()


def settings(tmp_path: Path) -> Config:
    return Config(supervisor=SupervisorSection(state_dir=tmp_path / "state", log_dir=tmp_path / "logs"))


def test_no_room_for_the_directories_is_no_fault_of_the_configuration(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(os, "mkdir", no_room)
    with pytest.raises(TransientError, match="free disk space"):
        claim(settings(tmp_path))


@pytest.mark.parametrize("key", ["state_dir", "log_dir"])
def test_a_directory_that_cannot_be_made_is_named(tmp_path: Path, key: str) -> None:
    (tmp_path / key.removesuffix("_dir").replace("log", "logs")).write_text("a file stands in the way")
    with pytest.raises(ConfigError, match=f"change supervisor.{key}"):
        claim(settings(tmp_path))


def test_a_lock_that_somebody_removed_is_taken_again(tmp_path: Path) -> None:
    """Guards: a second supervisor beside the first one, after the lock file was deleted."""
    state_dir = tmp_path / "state"
    state_dir.mkdir()
    lock = StateLock(state_dir)
    keep = lock_task(lock, LOG).action
    for target in (state_dir / "supervisor.lock", state_dir):
        shutil.rmtree(target) if target.is_dir() else target.unlink()
        with capture_logs() as logs:
            assert keep() is None
            assert keep() is None
        assert [entry["event"] for entry in logs] == ["state_lock_gone"]
        with pytest.raises(StateLockedError):
            StateLock(state_dir)
    lock.close()


def test_where_another_supervisor_took_over_this_one_ends(tmp_path: Path) -> None:
    state_dir = tmp_path / "state"
    state_dir.mkdir()
    lock = StateLock(state_dir)
    state_dir.rename(tmp_path / "moved")
    state_dir.mkdir()
    other = StateLock(state_dir)
    reason = lock_task(lock, LOG).action()
    assert reason is not None
    assert "another supervisor" in reason
    lock.close()
    other.close()


def test_a_directory_that_cannot_be_made_is_said_once(tmp_path: Path) -> None:
    state_dir = tmp_path / "state"
    state_dir.mkdir()
    lock = StateLock(state_dir)
    keep = lock_task(lock, LOG).action
    shutil.rmtree(state_dir)
    state_dir.write_text("a file in its place")
    with capture_logs() as logs:
        assert keep() is None
        assert keep() is None
    assert [entry["event"] for entry in logs] == ["state_dir_unusable"]
    state_dir.unlink()
    assert keep() is None
    assert (state_dir / "supervisor.lock").exists()
    lock.close()


@pytest.mark.parametrize("how", ["deleted", "replaced", "a link"])
def test_no_second_supervisor_starts_while_the_lock_file_is_away(tmp_path: Path, how: str) -> None:
    """Guards: two supervisors on one state. Until the first one checks, only the directory's lock protects it."""
    lock = StateLock(tmp_path)
    path = tmp_path / "supervisor.lock"
    path.unlink()
    if how == "replaced":
        path.write_text("1\n")
    elif how == "a link":
        path.symlink_to(tmp_path / "elsewhere")
    for _ in range(2):
        with pytest.raises(StateLockedError, match="another supervisor"):
            StateLock(tmp_path)
    assert lock_task(lock, LOG).action() is None
    assert path.read_text() == f"{os.getpid()}\n"
    assert not path.is_symlink()
    lock.close()
    StateLock(tmp_path).close()


@needs_flock
def test_a_lock_file_that_another_process_keeps_ends_nobody(tmp_path: Path) -> None:
    """Otherwise any user who can create that file could end the capture."""
    lock = StateLock(tmp_path)
    keep = lock_task(lock, LOG).action
    (tmp_path / "supervisor.lock").unlink()
    with lock_held(tmp_path / "supervisor.lock") as pid, capture_logs() as logs:
        assert keep() is None
        assert keep() is None
        with pytest.raises(StateLockedError):
            StateLock(tmp_path)
    assert [entry["event"] for entry in logs] == ["state_lock_held"]
    assert f"pid {pid} " in logs[0]["error"]
    assert keep() is None
    assert (tmp_path / "supervisor.lock").read_text() == f"{os.getpid()}\n"
    lock.close()


@needs_flock
@pytest.mark.parametrize("what", ["supervisor.lock", "."])
def test_who_holds_the_lock_is_named(tmp_path: Path, what: str) -> None:
    with lock_held(tmp_path / what) as pid, pytest.raises(StateLockedError) as caught:
        StateLock(tmp_path)
    assert re.search(rf"another supervisor or process holds the lock .*: pid {pid} \((sh|sleep)", str(caught.value))
    StateLock(tmp_path).close()


@needs_flock
@needs_root
def test_a_stranger_who_holds_the_lock_file_keeps_nobody_from_starting() -> None:
    with public_directory() as state_dir:
        (state_dir / "supervisor.lock").touch(mode=0o644)
        with lock_held(state_dir / "supervisor.lock", by_nobody=True):
            lock = StateLock(state_dir)
            assert not lock.ensure()
            lock.close()
