"""RedditClient: runs the streams from Python, under a supervisor process of their own."""

import json
import os
import signal
import subprocess
import sys
import threading
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from select import select
from types import FrameType, MappingProxyType

import structlog

from core.config import load_config
from core.errors import GaplessError
from core.installation import require_own_environment
from core.status.statistics_block import Meter, Statistics, render
from core.storage.private_files import make_directory, replace_private

_PACKAGES = Path(__file__).resolve().parents[1]  # where `python -m supervisor` finds this project
_CHECK_EVERY_S = 0.5
_GRACE_S = 5.0  # after the supervisor's own deadline, before it is killed
_NOTHING: Mapping[str, object] = MappingProxyType({})

log = structlog.stdlib.get_logger(__name__)


class RedditClient:
    """Captures subreddits into Kafka until shut down; scrapes only if `config` or `settings` enables it.

    Values that are not given come from the environment, from `.env`, or from `config`, a file as for
    `python -m supervisor run`; `settings` sets any other of its keys, such as {"kafka.delivery": "exactly_once"}.
    Raises ValueError that names every missing credential, with a `.env` to copy, or PyPI's package `supervisor` if that
    is installed in the same environment.
    """

    def __init__(
        self,
        subreddits: Sequence[str] | None = None,
        kafka_bootstrap_servers: str | None = None,
        kafka_topic: str | None = None,
        *,
        client_id: str | None = None,
        client_secret: str | None = None,
        user_agent: str | None = None,
        state_dir: str | Path | None = None,
        log_dir: str | Path | None = None,
        config: str | Path | None = None,
        settings: Mapping[str, object] = _NOTHING,
    ) -> None:
        require_own_environment()
        given = {
            "reddit.subreddits": list(subreddits) if subreddits is not None else None,
            "kafka.bootstrap_servers": kafka_bootstrap_servers,
            "kafka.topic": kafka_topic,
            "supervisor.state_dir": str(state_dir) if state_dir is not None else None,
            "supervisor.log_dir": str(log_dir) if log_dir is not None else None,
        }
        secrets = {
            "REDDIT_CLIENT_ID": client_id,
            "REDDIT_CLIENT_SECRET": client_secret,
            "REDDIT_USER_AGENT": user_agent,
        }
        only_streams = {"scraper.enabled": False, "monitor.enabled": False} if config is None else {}
        self._settings = {**only_streams, **settings, **{key: one for key, one in given.items() if one is not None}}
        # Credentials pass through the environment only, never through a file or a command line.
        self._environ = {**os.environ, **{name: value for name, value in secrets.items() if value is not None}}
        self._path = Path(config) if config is not None else None
        self._config = load_config(self._path, self._settings, self._environ)
        self._refuse_secrets()
        self._process: subprocess.Popen[bytes] | None = None
        self._meter: Meter | None = None
        self._stop_requested = threading.Event()

    def start_streaming(self) -> None:
        """Start the processes and return at once; does nothing while they run."""
        if self._process is not None and self._process.poll() is None:
            return
        self._stop_requested.clear()
        self._meter = Meter(self._config.supervisor.state_dir)
        path = self._path or self._write_config()
        command = [sys.executable, "-P", "-m", "supervisor", "run", str(path), "--with-parent", str(os.getpid())]
        for key, value in self._settings.items():
            command += ["--set", f"{key}={_as_toml(value)}"]
        # A process group of its own: Ctrl-C reaches only this program, which decides how to react.
        self._process = subprocess.Popen(  # noqa: S603 - our own program
            command, env=self._environment(), stdin=subprocess.DEVNULL, process_group=0
        )
        log.info("streaming", supervisor_pid=self._process.pid, log_dir=str(self._config.supervisor.log_dir))

    @property
    def stats(self) -> dict[str, int]:
        """The numbers since `start_streaming`."""
        return self._read().as_dict()

    def print_stats(self) -> None:
        """Print the statistics block."""
        print(render(self._read()), flush=True)

    def wait_for_shutdown(self) -> None:
        """Wait for SIGINT or SIGTERM (in the main thread) or for `shutdown` elsewhere, then shut down.

        Raises GaplessError if the supervisor exits by itself.
        """
        if self._process is None:
            return
        with _signal_pipe() as signals:
            while self._process.poll() is None and not self._stop_requested.is_set():
                if select([signals], [], [], _CHECK_EVERY_S)[0]:
                    break
        if self._process.poll() is None or self._stop_requested.is_set():
            self.shutdown()
        elif self._process.returncode != 0:
            where = self._config.supervisor.log_dir / "supervisor.log"
            log.error("supervisor_ended", exit_code=self._process.returncode, log=str(where))
            raise GaplessError(f"the supervisor exited with code {self._process.returncode}; see {where}")

    def shutdown(self) -> None:
        """Stop everything: the streams first, then the publisher after it has drained. Safe to call twice."""
        self._stop_requested.set()
        process = self._process
        if process is None or process.poll() is not None:
            return
        process.send_signal(signal.SIGTERM)
        try:
            process.wait(self._config.supervisor.shutdown_timeout + _GRACE_S)
        except subprocess.TimeoutExpired:
            log.error("supervisor_killed", hint="it did not stop within the deadline; the spools keep all records")  # noqa: TRY400
            process.kill()
            process.wait()
        log.info("stopped", exit_code=process.returncode)

    def _refuse_secrets(self) -> None:
        """Reject a password that would go onto a command line, where every user of the machine can read it."""
        shown = " ".join(_as_toml(value) for value in self._settings.values())
        if any(secret in shown for secret in self._config.secrets()):
            raise ValueError("settings must not contain passwords: write them to a file and pass its path as config=")

    def _read(self) -> Statistics:
        return self._meter.read() if self._meter is not None else Statistics()

    def _environment(self) -> dict[str, str]:
        paths = [str(_PACKAGES), *filter(None, [self._environ.get("PYTHONPATH")])]
        return {**self._environ, "PYTHONPATH": os.pathsep.join(paths)}

    def _write_config(self) -> Path:
        """Write the settings to a file for the other commands: `python -m supervisor gaps STATE/client.toml`."""
        tables: dict[str, list[str]] = {}
        for key, value in self._settings.items():
            table, _, leaf = key.partition(".")
            tables.setdefault(table, []).append(f"{leaf} = {_as_toml(value)}\n")
        text = "".join(f"[{table}]\n{''.join(lines)}\n" for table, lines in tables.items())
        path = self._config.supervisor.state_dir / "client.toml"
        make_directory(path.parent)
        replace_private(path, f"# Written by RedditClient for its supervisor.\n\n{text}")
        return path


def _as_toml(value: object) -> str:
    """Format a value in one line: JSON is TOML, except for the equals signs in a table."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{json.dumps(key)} = {_as_toml(inner)}" for key, inner in value.items()) + "}"
    return json.dumps(value)


@contextmanager
def _signal_pipe() -> Iterator[int]:
    """Yield a file descriptor that becomes readable on SIGINT or SIGTERM; restore the former handlers afterwards."""
    reader, writer = os.pipe()
    os.set_blocking(writer, False)

    def note(_number: int, _frame: FrameType | None) -> None:
        os.write(writer, b"!")

    # Only the main thread may handle signals; another one can only wait for `shutdown`.
    main = threading.current_thread() is threading.main_thread()
    numbers = (signal.SIGINT, signal.SIGTERM) if main else ()
    before = {number: signal.signal(number, note) for number in numbers}
    try:
        yield reader
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        os.close(reader)
        os.close(writer)
