"""`state_dir` and `log_dir` are made private at the start, with their existing content."""

import os
import socket
import stat
import subprocess
from contextlib import closing
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from core.config import Config, SupervisorSection
from core.errors import ConfigError
from core.storage.lock_file import take_lock
from supervisor.checks.probes import probe_files
from supervisor.runtime.private_directories import examine, keep_closed, make_private, privacy_task
from supervisor.runtime.supervise import claim
from tests.support.strangers import (
    NOBODY,
    lock_held,
    needs_flock,
    needs_root,
    nobody_can,
    open_to_others,
    public_directory,
    umask,
)

LOG = structlog.stdlib.get_logger("test")

#: What an installation of an older version left, or a restored copy brought.
FORMER = (
    *("quota.db", "quota.db-wal", "quota.db-shm", "quota.lock", "spool-comments.lock", "spool-comments.db"),
    *("publisher.note", "supervisor.json", "monitor.json.new", "supervisor.lock", "crawl/scraper-a.json"),
    *(
        "reddit.db",
        "spool-comments.db.corrupt-20260101T000000Z-7",
        "comments.log",
        "comments.log.1",
        "notes of a person",
    ),
)


def fill(directory: Path) -> None:
    """Create the files with all permissions that a umask of 000 leaves."""
    with umask(0):
        (directory / "crawl").mkdir(parents=True)
        for name in FORMER:
            (directory / name).write_text(name)
        directory.chmod(0o777)


def settings(directory: Path) -> Config:
    return Config(supervisor=SupervisorSection(state_dir=directory / "state", log_dir=directory / "logs"))


@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_what_was_there_before_is_closed_and_its_content_stays(tmp_path: Path, mask: int) -> None:
    fill(tmp_path / "state")
    with umask(mask):
        found = make_private(tmp_path / "state")
    assert open_to_others(tmp_path / "state") == []
    assert len(found.open_to_others) == len(FORMER) + 2
    assert all((tmp_path / "state" / name).read_text() == name for name in FORMER)
    assert stat.S_IMODE((tmp_path / "state" / "crawl").stat().st_mode) == 0o700
    assert stat.S_IMODE((tmp_path / "state" / "quota.db").stat().st_mode) == 0o600
    assert not make_private(tmp_path / "state").open_to_others, "the second time there is nothing to do"


@pytest.mark.parametrize("mask", [0o000, 0o022])
def test_a_start_closes_both_directories_and_logs_the_count(tmp_path: Path, mask: int) -> None:
    fill(tmp_path / "state")
    fill(tmp_path / "logs")
    with umask(mask):
        lock = claim(settings(tmp_path))
        (tmp_path / "state" / "made later").write_text("")
    lock.close()
    assert open_to_others(tmp_path / "state") == open_to_others(tmp_path / "logs") == []
    text = (tmp_path / "logs" / "supervisor.log").read_text()
    assert text.count('"event":"permissions_corrected"') == 2
    assert f'"count":{len(FORMER) + 2}' in text


def test_the_lock_of_a_running_supervisor_is_not_renewed(tmp_path: Path) -> None:
    fill(tmp_path / "state")
    with umask(0):
        lock = claim(settings(tmp_path))
    assert not lock.ensure(), "it holds the file that bears the name"
    lock.close()


def test_a_socket_is_closed_too(tmp_path: Path) -> None:
    with umask(0), closing(socket.socket(socket.AF_UNIX)) as one:
        one.bind(str(tmp_path / "supervisor.sock"))
    make_private(tmp_path)
    assert open_to_others(tmp_path) == []


class TestRefused:
    """Nothing is changed in a directory that a person has to check first."""

    def refusal(self, directory: Path) -> str:
        before = stat.S_IMODE((directory / "state").stat().st_mode)
        with umask(0o022), pytest.raises(ConfigError) as caught:
            claim(settings(directory))
        assert stat.S_IMODE((directory / "state").stat().st_mode) == before
        return str(caught.value)

    @pytest.mark.parametrize("name", ["reddit.db", "spool-comments.db", "quota.db-wal", "crawl"])
    def test_a_link_instead_of_a_database_or_a_directory(self, tmp_path: Path, name: str) -> None:
        elsewhere = tmp_path / "elsewhere"
        elsewhere.mkdir(mode=0o755)
        (tmp_path / "state").mkdir(mode=0o755)
        target = elsewhere if name == "crawl" else elsewhere / "file"
        (tmp_path / "state" / name).symlink_to(target)
        assert f"{tmp_path / 'state' / name} is a symbolic link" in self.refusal(tmp_path)
        assert stat.S_IMODE(elsewhere.stat().st_mode) == 0o755

    def test_a_pipe(self, tmp_path: Path) -> None:
        (tmp_path / "state").mkdir(mode=0o755)
        os.mkfifo(tmp_path / "state" / "supervisor.json")
        assert "is a pipe or a device" in self.refusal(tmp_path)

    @needs_root
    @pytest.mark.parametrize("name", [".", "quota.db", "crawl", "crawl/scraper-a.json"])
    def test_what_belongs_to_another_user(self, tmp_path: Path, name: str) -> None:
        fill(tmp_path / "state")
        os.chown(tmp_path / "state" / name, NOBODY, NOBODY)
        text = self.refusal(tmp_path)
        assert "supervisor.state_dir" in text
        assert f"{tmp_path / 'state' / name} belongs to user nobody (id {NOBODY})" in text

    @pytest.mark.parametrize("directory", ["/", "/tmp", "/var/log"])
    def test_a_directory_of_the_system(self, directory: str) -> None:
        found = examine(Path(directory))
        assert [line for line in found.problems if "is a shared system directory" in line]
        assert not found.open_to_others


def test_a_link_to_the_directory_itself_is_fine(tmp_path: Path) -> None:
    fill(tmp_path / "disk")
    (tmp_path / "state").symlink_to(tmp_path / "disk")
    lock = claim(settings(tmp_path))
    lock.close()
    assert open_to_others(tmp_path / "disk") == []


def test_links_of_other_kinds_stay_until_a_file_is_made_in_their_place(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    victim.chmod(0o644)
    (tmp_path / "state").mkdir()
    (tmp_path / "state" / "monitor.json.new").symlink_to(victim)
    (tmp_path / "state" / "supervisor.lock").symlink_to(victim)
    (tmp_path / "logs").mkdir()
    (tmp_path / "logs" / "supervisor.log").symlink_to(victim)
    lock = claim(settings(tmp_path))
    lock.close()
    assert (victim.read_text(), stat.S_IMODE(victim.stat().st_mode)) == ("precious", 0o644)
    assert not (tmp_path / "logs" / "supervisor.log").is_symlink()


def test_a_directory_that_somebody_opens_meanwhile_is_closed_within_a_look(tmp_path: Path) -> None:
    keep = privacy_task([tmp_path, tmp_path / "away"], LOG).action
    tmp_path.chmod(0o777)
    with capture_logs() as logs:
        assert keep() is None
        assert keep() is None
    assert [entry["event"] for entry in logs] == ["permissions_corrected"]
    assert keep_closed(tmp_path) is None


def test_what_belongs_to_root_alone_is_logged_and_stops_nobody(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """As the root of a volume in a container, which a process of another user cannot change."""

    def refuse(self: Path, _mode: int) -> None:
        raise PermissionError(1, "Operation not permitted", str(self))

    (tmp_path / "state").mkdir(mode=0o755)
    monkeypatch.setattr(Path, "chmod", refuse)
    with capture_logs() as logs:
        make_private(tmp_path / "state").log(LOG)
        assert privacy_task([tmp_path / "state"], LOG).action() is None
    assert [entry["event"] for entry in logs] == ["permissions_not_corrected"]
    assert logs[0]["examples"] == [str(tmp_path / "state")]


@needs_flock
@needs_root
def test_a_lock_that_a_stranger_took_before_holds_nobody_up() -> None:
    """New permissions do not close an open file descriptor; a copy in its place has no open descriptors."""
    with public_directory() as directory:
        state_dir = directory / "state"
        fill(state_dir)
        with lock_held(state_dir / "quota.lock", by_nobody=True):
            held = (state_dir / "quota.lock").stat().st_ino
            make_private(state_dir)
            lock = take_lock(state_dir / "quota.lock", 0.0)
            assert os.fstat(lock).st_ino != held
            os.close(lock)


@needs_flock
@needs_root
def test_another_user_can_neither_read_nor_write_nor_lock_anything() -> None:
    with public_directory() as directory:
        state_dir = directory / "state"
        fill(state_dir)
        assert nobody_can(["cat"], state_dir / "quota.db"), "the test is able to see it"
        make_private(state_dir)
        for name in FORMER:
            for command in (["cat"], ["flock", "-n", "-s"], ["touch"], ["rm", "-f"]):
                arguments = [*command, str(state_dir / name), *(["true"] if "flock" in command else [])]
                assert not nobody_can(arguments[:-1], Path(arguments[-1])), arguments
        assert subprocess.run(["ls", state_dir], capture_output=True, check=True).stdout


def test_check_names_what_a_start_would_refuse(tmp_path: Path) -> None:
    fill(tmp_path / "state")
    (tmp_path / "logs").mkdir()
    os.mkfifo(tmp_path / "state" / "odd")
    state, logs = probe_files(settings(tmp_path))
    assert (state.ok, logs.ok) == (False, True)
    assert f"{tmp_path / 'state' / 'odd'} is a pipe" in state.text


@pytest.mark.parametrize(("mode", "told"), [(0o777, True), (0o1777, False), (0o755, False)])
def test_a_directory_above_in_which_others_may_rename_is_told(tmp_path: Path, mode: int, told: bool) -> None:
    above = tmp_path / "above"
    state = above / "between" / "state"
    state.mkdir(parents=True, mode=0o700)
    above.chmod(mode)
    with capture_logs() as logs:
        make_private(state).log(LOG)
    assert [entry["event"] for entry in logs if entry["event"] == "directory_above_open"] == [
        "directory_above_open"
    ] * told
