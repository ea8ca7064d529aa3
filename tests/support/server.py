"""A server process that a test starts, freezes, kills and starts again; its output goes to a file for the report."""

import os
import shutil
import signal
import subprocess
from collections.abc import Mapping, Sequence
from pathlib import Path

# The kernel ends the process when the test runner dies, however that happens.
_LEASH = ("setpriv", "--pdeathsig", "KILL", "--") if shutil.which("setpriv") else ()


class ServerProcess:
    """One command, run any number of times after each other, its output appended to one file."""

    def __init__(
        self,
        command: Sequence[str],
        output: Path,
        *,
        cwd: Path | None = None,
        env: Mapping[str, str] | None = None,
    ) -> None:
        self.command = list(command)
        self.output = output
        self._cwd = cwd
        self._env = dict(os.environ if env is None else env)
        self._process: subprocess.Popen[bytes] | None = None

    @property
    def pid(self) -> int:
        assert self._process is not None, f"{self.command[0]} was never started"
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """The exit code, None while it runs."""
        return None if self._process is None else self._process.poll()

    @property
    def running(self) -> bool:
        return self._process is not None and self._process.poll() is None

    def start(self) -> None:
        assert not self.running, f"{self.command[0]} runs already"
        with self.output.open("ab") as sink:
            self._process = subprocess.Popen(
                [*_LEASH, *self.command],
                cwd=self._cwd,
                env=self._env,
                stdin=subprocess.DEVNULL,
                stdout=sink,
                stderr=subprocess.STDOUT,
            )

    def signal(self, number: signal.Signals) -> None:
        assert self._process is not None
        self._process.send_signal(number)

    def freeze(self) -> None:
        """Freeze it: connections stay open and nothing answers."""
        self.signal(signal.SIGSTOP)

    def thaw(self) -> None:
        self.signal(signal.SIGCONT)

    def kill(self) -> None:
        if self.running:
            self.signal(signal.SIGKILL)
            self.wait(10)

    def stop(self, timeout: float = 40.0) -> int:
        """End it with SIGTERM, by force after `timeout`; return its exit code."""
        if self.running:
            self.signal(signal.SIGTERM)
            self.signal(signal.SIGCONT)
            try:
                return self.wait(timeout)
            except subprocess.TimeoutExpired:
                self.kill()
        assert self._process is not None
        return self._process.returncode

    def wait(self, timeout: float) -> int:
        assert self._process is not None
        return self._process.wait(timeout)

    def tail(self, lines: int = 40) -> str:
        """Return the last lines of its output, for a failure's report."""
        if not self.output.exists():
            return "(no output)"
        return "\n".join(self.output.read_text(errors="replace").splitlines()[-lines:])
