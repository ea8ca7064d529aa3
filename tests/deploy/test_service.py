"""The systemd unit: systemd takes it, it leaves time to stop, and the hardening it asks for is one we can live with."""

import shutil
import subprocess
import sys
from collections import defaultdict
from pathlib import Path

import pytest

from core.config import Config, load_config
from core.errors import ExitCode
from tests.support.system import ROOT

UNIT = ROOT / "deploy" / "systemd" / "gapless.service"
needs_systemd = pytest.mark.skipif(
    shutil.which("systemd-analyze") is None, reason="systemd-analyze is not installed: apt-get install systemd"
)


def service() -> dict[str, list[str]]:
    """The keys of [Service]; some occur twice."""
    found = defaultdict(list)
    section = ""
    for line in UNIT.read_text().splitlines():
        if line.startswith("["):
            section = line
        elif section == "[Service]" and "=" in line and not line.startswith("#"):
            key, _, value = line.partition("=")
            found[key].append(value)
    return found


def one(key: str) -> str:
    (value,) = service()[key]
    return value


@needs_systemd
def test_systemd_takes_it(tmp_path: Path) -> None:
    unit = tmp_path / UNIT.name
    unit.write_text(UNIT.read_text().replace("/opt/gapless/.venv/bin/python", sys.executable))
    answer = subprocess.run(
        ["systemd-analyze", "verify", "--man=no", str(unit)], capture_output=True, text=True, check=False
    )
    ours = [line for line in answer.stderr.splitlines() if UNIT.name in line]
    assert answer.returncode == 0, answer.stderr
    assert not ours


@needs_systemd
def test_systemd_finds_little_exposed() -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--threshold=15", str(UNIT)]  # of 100
    answer = subprocess.run(command, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout[-2000:]


def test_it_is_a_unit_that_systemd_hears_from_and_leaves_time_to_stop() -> None:
    assert (one("Type"), one("NotifyAccess")) == ("notify", "main")
    assert float(one("WatchdogSec")) >= 30
    assert float(one("TimeoutStopSec")) >= Config().supervisor.shutdown_timeout + 5
    assert one("KillMode") == "mixed"  # SIGTERM to the supervisor alone: the others are its business
    assert one("ExecReload") == "/bin/kill -HUP $MAINPID"
    assert one("Restart") == "on-failure"
    assert one("RestartPreventExitStatus") == str(int(ExitCode.BAD_USAGE))


def test_its_paths_are_those_of_its_configuration() -> None:
    config = load_config(UNIT.with_name("config.toml"), environ={}, credentials=False)
    assert one("StateDirectory") == config.supervisor.state_dir.name
    assert one("LogsDirectory") == config.supervisor.log_dir.name
    assert config.monitor.host == "127.0.0.1"
    assert one("ExecStart").endswith("-m supervisor run /etc/gapless/config.toml")
