"""The demo's script: which faults are injected, and when, and the parts that it uses.

It runs in a thread beside the supervisor's loop.
"""

import contextlib
import threading
import time
import urllib.error
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from core.config import Config
from core.status.statistics_block import Meter
from supervisor.demo.crawl_watch import CrawlWatch, crawl_line
from supervisor.demo.database import Database
from supervisor.demo.later_changes import changes_line, fresh_item, is_settled
from supervisor.demo.local_proxies import LocalProxy
from supervisor.demo.proof import is_complete
from supervisor.demo.screen import Screen
from supervisor.demo.simulator_control import SimulatorControl
from supervisor.processes.control_inbox import ControlInbox

_POLL_INTERVAL_S = 0.5
_START_TIMEOUT_S = 30.0
_MAX_END_S = 20.0  # share of the duration without new items, so that late ones arrive
_CATCH_UP_TIMEOUT_S = 90.0
COMMENTS_PER_SECOND = 20.0
_BURST = 150.0
#: In a longer burst, late items would leave the listing before scans, every fifth of which is spoiled,
#: could reach them; what was never shown can be neither delivered nor missed.
_MAX_BURST_S = 7.0
FAULTS = {"status_503": 0.1, "reset": 0.05, "truncated_json": 0.05, "html": 0.02}
_NAMES = {
    "status_503": "responses 503",
    "reset": "connections cut",
    "truncated_json": "broken JSON",
    "html": "HTML instead of JSON",
}


class Aborted(Exception):
    """The system stopped before the script ended."""


@dataclass(frozen=True, slots=True)
class DemoParts:
    """The parts, created once."""

    config: Config
    inbox: ControlInbox
    screen: Screen
    proxies: tuple[LocalProxy, ...]
    simulator_control: SimulatorControl
    meter: Meter
    database: Database
    crawl: CrawlWatch

    @classmethod
    def of(cls, config: Config, proxies: tuple[LocalProxy, ...], inbox: ControlInbox, screen: Screen) -> "DemoParts":
        """Create the parts that follow from the configuration."""
        assert config.database.sqlite_path is not None  # noqa: S101 - the demo configures it
        database = Database(config.database.sqlite_path)
        return cls(
            config=config,
            inbox=inbox,
            screen=screen,
            proxies=proxies,
            simulator_control=SimulatorControl(config.reddit.oauth_url),
            meter=Meter(config.supervisor.state_dir),
            database=database,
            crawl=CrawlWatch(config, database),
        )


@dataclass(frozen=True, slots=True)
class DemoStep:
    """A step of the script, at a share of the duration."""

    at: float
    text: str
    action: Callable[[], None]


class Script:
    """Runs the steps, shows the status, and at the end waits until everything has arrived."""

    def __init__(self, duration: float, parts: DemoParts, kill: Callable[[], None]) -> None:
        self._duration = duration
        self._injecting = duration - min(_MAX_END_S, duration / 3)
        self._simulator_control = parts.simulator_control
        self._meter = parts.meter
        self._crawl = parts.crawl
        self._screen = parts.screen
        self._proxy = parts.proxies[-1]
        self._state_dir = parts.config.supervisor.state_dir
        self._kill = kill
        self._started = time.monotonic()
        self._cut_short = threading.Event()
        self._aborted = threading.Event()
        self.stats: dict[str, Any] = {}

    def finish_early(self) -> bool:
        """End the steps and start the proof; return whether this was the first call."""
        if self._cut_short.is_set():
            return False
        self._cut_short.set()
        self._screen.say("stopping after the final check (press Ctrl-C again to skip it)")
        return True

    @property
    def cut_short(self) -> bool:
        """Whether the steps were cut short."""
        return self._cut_short.is_set()

    @property
    def aborted(self) -> threading.Event:
        """Set when everything must end now."""
        return self._aborted

    def abort(self) -> None:
        """End everything now."""
        self._aborted.set()
        self._cut_short.set()

    def run(self) -> None:
        """Run until the end of the duration, or until it is cut short; then stop new items and wait for all."""
        self._await_start()
        self._started = time.monotonic()
        steps = self._steps()
        while (elapsed := self._elapsed()) < self._injecting and not self._cut_short.is_set():
            while steps and elapsed >= steps[0].at * self._injecting:
                step = steps.pop(0)
                self._say(step.text)
                step.action()
            self._show(f"{_clock(elapsed)} of {_clock(self._duration)}")
            self._cut_short.wait(min(_POLL_INTERVAL_S, self._injecting - elapsed))
        self._catch_up()

    def injected(self) -> str:
        """Return the injected faults as text."""
        items, faults = self.stats.get("items", {}), self.stats.get("by_fault", {})
        counts = {"late items": items.get("late", 0), "removed items": items.get("removed", 0)}
        counts |= {_NAMES[name]: faults.get(name, 0) for name in FAULTS}
        return ", ".join(f"{count} {name}" for name, count in counts.items())

    def _steps(self) -> list[DemoStep]:
        seconds = burst_seconds(self._injecting)
        faults = "10 % of the responses are 503, 5 % cut off, 5 % broken JSON, 2 % HTML"
        return [
            DemoStep(
                0.0,
                f"{COMMENTS_PER_SECOND:g} comments and 1 submission per second, 2 % of them late, 3 % removed; "
                "some are edited, removed or deleted seconds later; a crawl through two proxies",
                lambda: None,
            ),
            DemoStep(0.15, f"injected faults: {faults}", lambda: self._simulator_control.faults(FAULTS)),
            DemoStep(0.25, f"proxy {self._proxy.name} is killed", self._proxy.kill),
            DemoStep(0.4, f"burst: {_BURST:g} comments per second for {seconds:.0f} s", lambda: self._burst(seconds)),
            DemoStep(0.47, f"proxy {self._proxy.name} is started again", self._proxy.start),
            DemoStep(0.6, "an author deletes an item", self._delete_one),
            DemoStep(0.65, "process comments is killed (SIGKILL)", self._kill),
        ]

    def _burst(self, seconds: float) -> None:
        self._simulator_control.rates({"comments": _BURST, "seconds": seconds})

    def _delete_one(self) -> None:
        """Delete a captured item: it is the example of a tombstone. Where there is none, the random changes are."""
        name = fresh_item(self._simulator_control.truth(), time.time())
        if name is not None:
            with contextlib.suppress(urllib.error.HTTPError):  # it is deleted already
                self._simulator_control.delete_item(name)

    def _await_start(self) -> None:
        deadline = time.monotonic() + _START_TIMEOUT_S
        while self._meter.read().total_items == 0 and not self._cut_short.is_set():
            if time.monotonic() > deadline:
                raise TimeoutError("nothing was captured within 30 s")
            self._screen.status("starting …")
            self._pause()
        if self._cut_short.is_set():
            raise Aborted

    def _catch_up(self) -> None:
        """Wait until all items were shown, acknowledged and looked at again, and the crawl has finished."""
        self._say("no new items and no more faults; waiting until everything has arrived")
        self._simulator_control.pause()
        self._simulator_control.no_faults()
        deadline = time.monotonic() + _CATCH_UP_TIMEOUT_S
        quiet = 0  # checks in a row without a missing item: an answer may be sent and not captured yet
        while quiet < 2 and time.monotonic() < deadline:
            self._show(_clock(self._elapsed()))
            complete = is_complete(self._simulator_control.truth()) and self._meter.read().queue_size == 0
            # a demo that is cut short checks what the crawl has reached
            complete = complete and is_settled(self._state_dir)
            quiet = quiet + 1 if complete and (self._cut_short.is_set() or self._crawl.is_finished()) else 0
            self._pause()

    def _pause(self) -> None:
        if self._aborted.wait(_POLL_INTERVAL_S):
            raise Aborted

    def _show(self, moment: str) -> None:
        if self._aborted.is_set():
            raise Aborted
        self.stats = self._simulator_control.stats()
        numbers, crawl = self._meter.read(), self._crawl.sample()
        for line in self._crawl.changes(crawl):
            self._say(line)
        faulty = sum(self.stats["by_fault"].values())
        self._screen.status(
            f"{moment}  streams: shown {self.stats['items']['shown']:,} · captured {numbers.total_items:,} · "
            f"in Kafka {numbers.kafka_published:,} · queue {numbers.queue_size:,} · faulty responses {faulty:,}",
            f"{' ' * len(moment)}  changes: {changes_line(self._state_dir)}",
            f"{' ' * len(moment)}  scraper: {crawl_line(crawl)}",
        )

    def _say(self, text: str) -> None:
        self._screen.say(f"{_clock(self._elapsed())}  {text}")

    def _elapsed(self) -> float:
        return time.monotonic() - self._started


def burst_seconds(playing: float) -> float:
    """Return the length of the burst for this duration of the demo, seconds."""
    return min(_MAX_BURST_S, 0.15 * playing)


def _clock(seconds: float) -> str:
    return f"{int(seconds) // 60}:{int(seconds) % 60:02d}"
