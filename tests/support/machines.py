"""Several machines: installations of Gapless that share one configuration, one simulated Reddit and one Kafka.

Each has its own state, logs, instance name, and a link of its own to Reddit, so that a test can kill, freeze or cut
off a whole machine while the others go on. `tests/support/cluster_audit.py` judges the result.
"""

import contextlib
import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import psutil

from core.cluster.shards import shard_of
from core.cluster.view import ClusterView, read_view
from tests.support.brokers import Broker
from tests.support.follower import Follower, first_records
from tests.support.kafka_nodes import KafkaNodes
from tests.support.links import Link
from tests.support.ports import free_port
from tests.support.processes import below, gone
from tests.support.simulator import RequestWatch, Simulator
from tests.support.system import System
from tests.support.waiting import wait_until

_WORLD = {
    "comments_per_second": 19,
    "submissions_per_second": 1,
    "backlog": 100,
    "late_share": 0,
    "removed_share": 0,
}
_SETTLE = 60.0


def spread_names(shards: int, per_shard: int) -> tuple[str, ...]:
    """Return names of subreddits of which each shard has this number, one shard after the other."""
    found: dict[int, list[str]] = {shard: [] for shard in range(shards)}
    number = 0
    while any(len(names) < per_shard for names in found.values()):
        number += 1
        name = f"Place{number:03}"
        names = found[shard_of(name, shards)]
        if len(names) < per_shard:
            names.append(name)
    return tuple(found[shard][place] for place in range(per_shard) for shard in range(shards))


class Machine:
    """One installation, as a whole: the supervisor and all processes below it."""

    def __init__(self, name: str, system: System, to_reddit: Link, to_kafka: Sequence[Link] = ()) -> None:
        self.name = name
        self.system = system
        self.frozen = False
        self._to_reddit = to_reddit
        self._to_kafka = to_kafka
        self._family: list[psutil.Process] = []

    @property
    def alive(self) -> bool:
        """Whether it is running and not frozen."""
        return self.system.server.running and not self.frozen

    def start(self) -> None:
        self.system.start()

    def kill(self) -> None:
        """Kill all its processes with SIGKILL, as a loss of power does."""
        family = self._suspended_family()
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):  # its parent's death took it along
                process.kill()
        self.system.server.kill()
        self.system.kills.append(self.name)
        self.frozen = False
        wait_until(lambda: all(map(gone, family)), what=f"the processes of {self.name} to be gone")

    def freeze(self) -> None:
        """Stop all its processes with SIGSTOP, as a virtual machine that is not scheduled."""
        self._family = self._suspended_family()
        self.frozen = True

    def thaw(self) -> None:
        """Let them run on; the supervisor last, so that it finds no child stopped."""
        for process in reversed(self._family):
            with contextlib.suppress(psutil.NoSuchProcess):  # it ended before the freeze
                process.resume()
        self.frozen = False

    def cut_kafka(self, *, silently: bool) -> None:
        """Cut its network to every broker."""
        assert self._to_kafka, f"{self.name} has no links to Kafka: use KafkaNodes"
        for link in self._to_kafka:
            link.cut(silently=silently)

    def cut_reddit(self, *, silently: bool) -> None:
        """Cut its network to Reddit."""
        self._to_reddit.cut(silently=silently)

    def restore(self) -> None:
        """Restore its network."""
        for link in (self._to_reddit, *self._to_kafka):
            link.restore()

    def heal(self) -> None:
        """Restore whatever a test did to it: after this it runs, connected."""
        self.restore()
        if self.frozen:
            self.thaw()
        if not self.system.server.running:
            self.start()

    def view(self) -> ClusterView | None:
        """Return its publisher's view of the cluster."""
        return read_view(self.system.state_dir)

    def shards(self) -> frozenset[int]:
        """Return the shards that it owned when it last wrote its view."""
        view = self.view()
        return frozenset(one.shard for one in view.shards if one.owner == self.name) if view else frozenset()

    def end(self) -> None:
        """End all processes and links by force."""
        if self.system.server.running:
            self.kill()
        self._to_reddit.close()

    def _suspended_family(self) -> list[psutil.Process]:
        """Stop the supervisor, then what is below it: a stopped parent starts no child meanwhile."""
        root = psutil.Process(self.system.server.pid)
        root.suspend()
        family = [root, *below(root, recursive=True)]
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):  # it ended just now
                process.suspend()
        return family


class Machines:
    """The machines by name, and what they share."""

    def __init__(
        self,
        directory: Path,
        names: Sequence[str],
        kafka: KafkaNodes | Broker,
        *,
        delivery: str,
        seed: int,
        shards: int = 4,
        clustered: bool = True,
        cluster: Mapping[str, Any] | None = None,
        monitors: bool = False,
        **world: Any,
    ) -> None:
        """Start Reddit with the options `world`, follow the topic, and prepare the machines; start none of them.

        Without `clustered` each machine has subreddits and a topic of its own, to test the tests.
        """
        self.delivery, self.seed, self.kafka, self.clustered = delivery, seed, kafka, clustered
        self.shard_count = shards
        self.subreddits = spread_names(shards, 2)
        self.notes: dict[str, Any] = {}
        self._directory = directory
        self.simulator = Simulator(directory, subreddits=self.subreddits, seed=seed, **(_WORLD | world))
        self.simulator.start()
        self.requests = RequestWatch(self.simulator)
        topic = f"reddit-{uuid.uuid4().hex[:8]}"
        topics = {name: topic if clustered else f"{topic}-{name}" for name in names}
        self.followers = [Follower(kafka.bootstrap_servers, one) for one in sorted(set(topics.values()))]
        section = {"enabled": True, "shards": shards, **(cluster or {})}
        self._machines: dict[str, Machine] = {}
        for place, name in enumerate(names):
            own = self.subreddits if clustered else self.subreddits[place :: len(names)]
            self._machines[name] = self._prepare(name, own, topics[name], section if clustered else None, monitors)

    def __getitem__(self, name: str) -> Machine:
        return self._machines[name]

    def all(self) -> list[Machine]:
        return list(self._machines.values())

    def alive(self) -> list[Machine]:
        return [machine for machine in self.all() if machine.alive]

    @property
    def follower(self) -> Follower:
        """The follower of the one topic."""
        (one,) = self.followers
        return one

    def subreddits_of(self, shards: Iterable[int]) -> list[str]:
        """Return the subreddits of these shards."""
        wanted = set(shards)
        return [name for name in self.subreddits if shard_of(name, self.shard_count) in wanted]

    def wait_up(self, *names: str) -> None:
        """Return when these machines, or all, have all their processes."""
        for machine in [self[name] for name in names] or self.all():
            machine.system.wait_up()

    def wait_settled(self, timeout: float = _SETTLE) -> dict[str, frozenset[int]]:
        """Return the shards of each living machine once every shard has one owner, and every machine a shard."""
        began = time.time()

        def settled() -> dict[str, frozenset[int]] | None:
            found: dict[str, frozenset[int]] = {}
            for machine in self.alive():
                view = machine.view()
                if view is None or view.at < began or view.member_since is None or view.rebalancing_since is not None:
                    return None
                found[machine.name] = machine.shards()
            owned = sorted(shard for shards in found.values() for shard in shards)
            enough = all(found.values()) or self.shard_count < len(found)
            return found if owned == list(range(self.shard_count)) and enough else None

        try:
            answer = wait_until(settled, timeout, "one owner for each shard")
        except AssertionError as failure:
            views = "\n".join(f"{machine.name}: {machine.view()}" for machine in self.all())
            raise AssertionError(f"{failure}\n{views}") from None
        assert answer is not None
        return answer

    def wait_flowing(self, subreddits: Iterable[str], since: float, timeout: float = _SETTLE) -> dict[str, float]:
        """Return the seconds after `since` until a record that was sent later arrived from each subreddit."""
        wanted = {name.lower() for name in subreddits}

        def flowing() -> dict[str, float] | None:
            times = self.first_after(wanted, since)
            return times if len(times) == len(wanted) else None

        answer = wait_until(flowing, timeout, f"records of {', '.join(sorted(wanted))}") if wanted else {}
        assert answer is not None
        return answer

    def first_after(self, subreddits: Iterable[str], since: float) -> dict[str, float]:
        """Return, for each of the subreddits that flows, the seconds until its first later record arrived."""
        arrivals = [one for follower in self.followers for one in follower.since(since)]
        return first_records(arrivals, subreddits, since)

    def pass_time(self, seconds: float, *, meanwhile: Callable[[], bool] = lambda: False) -> None:
        """Let this time pass, or less if `meanwhile` becomes true."""
        end = time.monotonic() + seconds
        wait_until(lambda: time.monotonic() >= end or meanwhile(), seconds + 10.0, f"{seconds:g} s to pass")

    def report(self) -> str:
        """Return the seed and the ends of all logs, for the report of a failure."""
        parts = [f"seed {self.seed}, {self.delivery} on {self.kafka.name}"]
        for machine in self.all():
            parts += [f"==== {machine.name}", machine.system.report(10)]
        parts.append(f"== simulator\n{self.simulator.server.tail(5)}")
        return "\n".join(parts)

    def end(self) -> None:
        """End all processes, whatever happened."""
        self.requests.close()
        for follower in self.followers:
            follower.close()
        for machine in self.all():
            machine.end()
        self.simulator.stop()

    def _prepare(
        self, name: str, subreddits: Sequence[str], topic: str, cluster: Mapping[str, Any] | None, monitor: bool
    ) -> Machine:
        to_reddit = Link(_port(self.simulator.url))
        url = f"http://127.0.0.1:{to_reddit.port}"
        servers, links = self.kafka.bootstrap_servers, list[Link]()
        if isinstance(self.kafka, KafkaNodes):
            servers, links = self.kafka.through_links(name), self.kafka.links(name)
        system = System(
            self._directory / name,
            reddit={"subreddits": list(subreddits), "reddit_url": url, "oauth_url": url},
            kafka={"bootstrap_servers": servers, "topic": topic, "delivery": self.delivery},
            streams={"max_poll_interval": 2.0},
            cluster=None if cluster is None else {**cluster, "instance": name},
            monitor=free_port() if monitor else None,
        )
        return Machine(name, system, to_reddit, links)


def _port(url: str) -> int:
    port = urlsplit(url).port
    assert port is not None
    return port
