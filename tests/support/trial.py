"""One trial: a simulated Reddit, the whole system, a real broker, a failure, and the comparison at the end."""

import random
import time
import uuid
from collections.abc import Callable, Iterable, Sized
from pathlib import Path
from typing import Any

from tests.support.brokers import ApacheKafka, Broker
from tests.support.ledger import Gap, Item, Ledger, compare
from tests.support.simulator import Simulator
from tests.support.system import System
from tests.support.topic import Record, read_topic
from tests.support.waiting import wait_until

# Late items must be found within a minute of surfacing; a child may be in its longest backoff just then.
SETTLE = 90.0

#: The key of a test's report under which the counts are stored.
FIGURES = "figures"


class Trial:
    """Starts the parts, checks while time passes that they live, and compares the topic with the truth."""

    def __init__(self, directory: Path, broker: Broker, delivery: str, seed: int) -> None:
        self.broker = broker
        self.delivery = delivery
        self.seed = seed
        self.random = random.Random(seed)
        self.topic = f"reddit-{uuid.uuid4().hex[:8]}"
        self.notes: dict[str, Any] = {}
        self._directory = directory
        self._simulator: Simulator | None = None
        self._system: System | None = None

    @property
    def simulator(self) -> Simulator:
        assert self._simulator is not None, "start the trial first"
        return self._simulator

    @property
    def system(self) -> System:
        assert self._system is not None, "start the trial first"
        return self._system

    def start(
        self, *, streams: dict[str, Any] | None = None, reddit: dict[str, Any] | None = None, **world: Any
    ) -> None:
        """Start Reddit with the simulator's options `world`, then the system on it; return when records flow."""
        self.prepare(streams=streams, reddit=reddit, **world)
        self.system.start()
        self.system.wait_up()
        wait_until(self.records, 30.0, "the first records in the topic")

    def prepare(
        self,
        *,
        streams: dict[str, Any] | None = None,
        reddit: dict[str, Any] | None = None,
        kafka: dict[str, Any] | None = None,
        monitor: int | None = None,
        environment: dict[str, str] | None = None,
        **world: Any,
    ) -> None:
        """Start Reddit, and write the system's configuration with these keys in its tables; do not start the system."""
        calm = {
            "comments_per_second": 19,
            "submissions_per_second": 1,
            "backlog": 100,
            "late_share": 0,
            "removed_share": 0,
        }
        self._simulator = Simulator(self._directory, seed=self.seed, **(calm | world))
        self._simulator.start()
        self._system = System(
            self._directory / "system",
            reddit={
                "subreddits": list(self._simulator.subreddits),
                "reddit_url": self._simulator.url,
                "oauth_url": self._simulator.url,
                **(reddit or {}),
            },
            kafka={
                "bootstrap_servers": self.broker.bootstrap_servers,
                "topic": self.topic,
                "delivery": self.delivery,
                **(kafka or {}),
            },
            streams={"max_poll_interval": 2.0} if streams is None else streams,
            monitor=monitor,
            environment=environment,
        )

    def records(self) -> list[Record]:
        """Return the topic as a consumer with read_committed sees it now."""
        return read_topic(self.broker.bootstrap_servers, self.topic)

    def pass_time(self, seconds: float, *, meanwhile: Callable[[], bool] = lambda: False) -> None:
        """Run the system for this time, or until `meanwhile` returns true; fail at once if the supervisor ends."""
        end = time.monotonic() + seconds

        def over() -> bool:
            assert self.system.server.running, f"the supervisor ended with {self.system.server.returncode}"
            return time.monotonic() >= end or meanwhile()

        wait_until(over, seconds + 10.0, f"{seconds:g} s to pass")

    def outage_of_the_broker(self, seconds: float) -> None:
        """Stop the broker for this time, seconds, and start it again; one with only memory is frozen instead."""
        if isinstance(self.broker, ApacheKafka):
            self.broker.stop()
            self.pass_time(seconds)
            self.broker.start()
        else:
            self.broker.freeze()
            self.pass_time(seconds)
            self.broker.thaw()

    def gaps(self) -> list[Gap]:
        """Return the gaps that the system admits."""
        return [Gap.from_report(entry) for entry in self.system.gaps()]

    def ledger(self, gaps: Iterable[Gap] = ()) -> Ledger:
        """Return the present comparison of topic and truth."""
        return compare(self.simulator.truth(), self.records(), gaps)

    def finish(self, *, at_least: int) -> Ledger:
        """Pause Reddit when enough came, wait for all; nothing may be lost, and duplicated only if allowed."""
        self.pass_time(SETTLE, meanwhile=lambda: self._due() >= at_least)
        ledger = self._settle(lambda: self.ledger().lost)
        assert not ledger.lost, ledger.summary()
        self._check(ledger, at_least)
        return ledger

    def finish_with_gaps(self, *, at_least: int) -> tuple[Ledger, list[Gap]]:
        """As `finish`, after Reddit dropped items before anyone could see them: each lost item must be in a gap."""
        self.pass_time(SETTLE, meanwhile=lambda: self._due() >= at_least)
        self._settle(self._still_to_come)
        gaps = self.gaps()
        ledger = self.ledger(gaps)
        assert not ledger.lost_outside_gaps, f"{ledger.summary()}\n  gaps: {gaps}"
        self.notes["gaps"] = len(gaps)
        self._check(ledger, at_least)
        return ledger, gaps

    def _due(self) -> int:
        return sum(item.due for item in self.simulator.truth())

    def _still_to_come(self) -> list[Item]:
        """Return items that are missing outside the gaps, or in a gap but repairable: a listing still holds them."""
        ledger = self.ledger(self.gaps())
        return [*ledger.lost_outside_gaps, *(item for item in ledger.lost if item.fell_off_at is None)]

    def _settle(self, missing: Callable[[], Sized]) -> Ledger:
        """Pause Reddit, wait until nothing is missing, end the system, and return the final ledger."""
        self.simulator.pause()
        end = time.monotonic() + SETTLE
        # first the items that have not surfaced: one that surfaces between the two checks would be in neither
        while (self.ledger().waiting or missing()) and time.monotonic() < end:
            self.pass_time(1.0)
        code = self.system.stop()
        assert code == 0, f"the supervisor left with {code} after SIGTERM"
        return self.ledger()

    def _check(self, ledger: Ledger, at_least: int) -> None:
        self.notes |= {
            "due": ledger.due,
            "delivered": ledger.delivered,
            "lost": len(ledger.lost),
            "duplicated": len(ledger.duplicated),
            "kills": len(self.system.kills),
        }
        print(ledger.summary())
        assert ledger.due >= at_least, f"only {ledger.due} items were due, the scenario wants {at_least}"
        assert not ledger.invented, f"the topic holds what Reddit never had: {ledger.invented[:5]}"
        if self.delivery == "exactly_once" or not self.system.kills:
            assert not ledger.duplicated, ledger.summary()

    def report(self) -> str:
        """Return the seed and the ends of all logs, for the report of a failure."""
        parts = [f"seed {self.seed}, {self.delivery} on {self.broker.name}, topic {self.topic}"]
        if self._system is not None:
            parts.append(self._system.report())
        if self._simulator is not None:
            parts.append(f"== simulator\n{self._simulator.server.tail(15)}")
        parts.append(f"== {self.broker.name}\n{self.broker.server.tail(15)}")
        return "\n".join(parts)

    def end(self) -> None:
        """End all processes, whatever happened."""
        if self._system is not None:
            self._system.destroy()
        if self._simulator is not None:
            self._simulator.stop()
