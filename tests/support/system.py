"""The whole product as a person runs it: `python -m supervisor run config.toml`, its children seen from outside."""

import contextlib
import json
import os
import random
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import urlopen

import psutil

from tests.support.processes import below, command_line
from tests.support.server import ServerProcess
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
_LONG = 600  # characters of a line in a report
CLIENT_SECRET = "test-secret"
CHILDREN = ("submissions", "comments", "publisher")


class System:
    """One deployment: its configuration, state and logs, and the supervisor that runs on them."""

    def __init__(
        self,
        directory: Path,
        *,
        reddit: Mapping[str, Any],
        kafka: Mapping[str, Any] | None = None,
        streams: Mapping[str, Any] | None = None,
        scraper: Mapping[str, Any] | None = None,
        database: str | None = None,
        supervisor: Mapping[str, Any] | None = None,
        cluster: Mapping[str, Any] | None = None,
        monitor: int | None = None,
        environment: Mapping[str, str] | None = None,
    ) -> None:
        """Without `kafka` there are no streams, without `scraper` no scraper, without its port no `monitor`."""
        directory.mkdir(parents=True, exist_ok=True)
        self.directory = directory
        self.state_dir = directory / "state"
        self.log_dir = directory / "logs"
        self.config = directory / "config.toml"
        self.database = database or f"sqlite:///{self.state_dir / 'reddit.db'}"
        self.names = _names(kafka, scraper)
        self._monitor = monitor
        tables = {
            "reddit": reddit,
            "streams": {"submissions": False, "comments": False} if kafka is None else streams or {},
            "kafka": kafka or {},
            "cluster": cluster or {},
            "scraper": {"enabled": False} if scraper is None else scraper,
            "database": {"url": self.database},
            "supervisor": {"state_dir": str(self.state_dir), "log_dir": str(self.log_dir), **(supervisor or {})},
            "monitor": {"enabled": False} if monitor is None else {"port": monitor},
        }
        self.config.write_text("\n".join(_table(name, keys) for name, keys in tables.items()))
        # The .env of the person who runs the tests must not leak in: the working directory is ours, and the variables
        # are set.
        ours = ("REDDIT_", "KAFKA_", "DATABASE_URL")
        self._env = {name: value for name, value in os.environ.items() if not name.startswith(ours)}
        self._env |= {
            "PYTHONPATH": str(ROOT),
            "REDDIT_CLIENT_ID": "test-client",
            "REDDIT_CLIENT_SECRET": CLIENT_SECRET,
            "REDDIT_USER_AGENT": "python:gapless-tests:1 (by /u/nobody)",
            **(environment or {}),
        }
        command = [sys.executable, "-m", "supervisor", "run", str(self.config)]
        self.server = ServerProcess(command, directory / "supervisor.out", cwd=directory, env=self._env)
        self.kills: list[str] = []

    def start(self) -> None:
        self.server.start()

    def children(self) -> dict[str, psutil.Process]:
        """Return the titled processes below the supervisor that are alive now."""
        try:
            family = below(psutil.Process(self.server.pid), recursive=True)
        except psutil.NoSuchProcess:
            return {}
        return {title: process for process in family if (title := _title(process)) in self.names}

    def wait_up(self, timeout: float = 30.0) -> None:
        """Return when every child has its title."""

        def complete() -> bool:
            assert self.server.running, f"the supervisor ended with {self.server.returncode}:\n{self.report()}"
            return len(self.children()) == len(self.names)

        wait_until(complete, timeout, f"the processes {', '.join(self.names)}")

    def kill_child(self, name: str) -> None:
        """Kill one child by its name with SIGKILL, when it is there."""
        wait_until(lambda: name in self.children(), what=f"a living {name}")
        self.children()[name].kill()
        self.kills.append(name)

    def kill_random_child(self, generator: random.Random) -> None:
        """Kill one of the live children with SIGKILL, so that a slow restart does not shift the rhythm."""
        alive = wait_until(self.children, what="a living child")
        name = generator.choice(sorted(alive))
        alive[name].kill()
        self.kills.append(name)

    def kill_supervisor(self) -> list[psutil.Process]:
        """Kill the supervisor with SIGKILL; return the children that it leaves behind."""
        orphans = list(self.children().values())
        self.server.kill()
        self.kills.append("supervisor")
        return orphans

    def terminate(self) -> None:
        self.server.signal(signal.SIGTERM)

    def stop(self, timeout: float = 40.0) -> int:
        """Stop it with SIGTERM; return the exit code."""
        return self.server.stop(timeout)

    def destroy(self) -> None:
        """End all processes by force."""
        orphans = self.children() if self.server.running else {}
        self.server.kill()
        for process in orphans.values():
            with contextlib.suppress(psutil.NoSuchProcess):
                process.kill()

    def gaps(self) -> list[dict[str, Any]]:
        """Return the gaps that `python -m supervisor gaps CONFIG --json` lists."""
        entries: list[dict[str, Any]] = self.proof()["gaps"]
        return entries

    def proof(self) -> dict[str, Any]:
        """Return the output of `python -m supervisor gaps CONFIG --json`."""
        document: dict[str, Any] = json.loads(self.command("gaps", "--json"))
        return document

    def status(self) -> dict[str, Any]:
        """Return the output of `python -m supervisor status CONFIG --json`."""
        document: dict[str, Any] = json.loads(self.command("status", "--json"))
        return document

    def command(self, name: str, *options: str) -> str:
        """Run `python -m supervisor NAME CONFIG OPTIONS`, which must succeed; return its output."""
        answer = self.attempt(name, *options)
        assert answer.returncode == 0, f"{name} answered {answer.returncode}: {answer.stdout}{answer.stderr}"
        return answer.stdout

    def attempt(self, name: str, *options: str, before: Sequence[str] = ()) -> "subprocess.CompletedProcess[str]":
        """Run the command, which may fail; `before` precedes it on the command line, as `prlimit` does."""
        command = [*before, sys.executable, "-m", "supervisor", name, str(self.config), *options]
        return subprocess.run(
            command, cwd=self.directory, env=self._env, capture_output=True, text=True, check=False, timeout=60
        )

    def page(self, path: str) -> tuple[int, str]:
        """Send a request to the monitor; if nothing answers, the status is 0."""
        try:
            with urlopen(f"http://127.0.0.1:{self._monitor}{path}", timeout=10.0) as answer:
                return answer.status, answer.read().decode()
        except HTTPError as refusal:
            return refusal.code, refusal.read().decode()
        except URLError:
            return 0, ""

    def log(self, name: str) -> list[dict[str, Any]]:
        """Return the lines of one process's log file."""
        path = self.log_dir / f"{name}.log"
        if not path.exists():
            return []
        # a line that a SIGKILL cut short is not JSON
        lines = path.read_text(errors="replace").splitlines()
        return [json.loads(line) for line in lines if line.startswith("{") and line.endswith("}")]

    def report(self, lines: int = 15) -> str:
        """Return the ends of all logs, for a failure's report."""
        code = self.server.returncode
        # its own output repeats the children's logs: useful only if it should not have ended
        parts = [f"== supervisor left with {code}\n{self.server.tail(lines)}"] if code not in (None, 0) else []
        for path in sorted(self.log_dir.glob("*.log")):
            tail = path.read_text(errors="replace").splitlines()[-lines:]
            parts += [f"== {path.name}", *(line if len(line) < _LONG else f"{line[:_LONG]} …" for line in tail)]
        return "\n".join(parts)


def _names(kafka: Mapping[str, Any] | None, scraper: Mapping[str, Any] | None) -> tuple[str, ...]:
    """Return the names of the required children."""
    proxies = None if scraper is None else [proxy["name"] for proxy in scraper.get("proxies", ())] or ["direct"]
    return (*(() if kafka is None else CHILDREN), *(f"scraper-{name}" for name in proxies or ()))


def _title(process: psutil.Process) -> str:
    return (command_line(process) or [""])[0].strip()


def _table(name: str, keys: Mapping[str, Any], heading: str = "[{}]") -> str:
    """Write one TOML table; JSON's strings, numbers, booleans and lists are TOML's too, tables come below."""
    plain = [f"{_key(key)} = {json.dumps(value)}" for key, value in keys.items() if not _is_table(value)]
    below = []
    for key, value in keys.items():
        if isinstance(value, Mapping):
            below.append(_table(f"{name}.{_key(key)}", value))
        elif _is_table(value):
            below += [_table(f"{name}.{_key(key)}", one, "[[{}]]") for one in value]
    return "\n".join([heading.format(name), *plain, *below, ""])


def _is_table(value: object) -> bool:
    """Return whether a value is a table, or a list of tables."""
    return isinstance(value, Mapping) or (
        isinstance(value, Sequence) and not isinstance(value, str) and any(isinstance(one, Mapping) for one in value)
    )


def _key(key: str) -> str:
    return key if key.replace("_", "").isalnum() else json.dumps(key)
