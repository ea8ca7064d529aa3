"""Several machines share the subreddits: those of a machine that is killed or leaves go on, and every item arrives."""

import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.stages import EXACTLY_ONCE, Stage, on
from tests.support.brokers import Broker
from tests.support.cluster_audit import finish, owners_shown
from tests.support.durations import allowed
from tests.support.follower import pauses
from tests.support.machines import Machines
from tests.support.trial import FIGURES

ON_KAFKA = Stage("at_least_once", "kafka")
NAMES = ("m1", "m2")
#: Seconds until the subreddits of a machine flow again, on an idle machine; the poll of a subreddit is in it.
TAKEOVER, CLEAN_STOP = 10.0, 3.0
POLL = 2.0


@pytest.fixture
def machines(
    tmp_path: Path, stage: Stage, broker: Broker, seed: int, record_property: Callable[[str, Any], None]
) -> Iterator[Machines]:
    """Two machines, not started, and their story if the test fails."""
    made = Machines(tmp_path, NAMES, broker, delivery=stage.delivery, seed=seed, comments_per_second=29)
    try:
        yield made
        print(made.report())
    finally:
        made.end()
    record_property(FIGURES, made.notes | {"seed": seed})


@on(EXACTLY_ONCE, soak=(ON_KAFKA,))
def test_one_of_two_machines_is_killed_returns_and_the_other_leaves(machines: Machines) -> None:
    first, second = machines["m1"], machines["m2"]
    first.start()
    machines.wait_flowing(machines.subreddits, 0.0)
    second.start()
    shares = machines.wait_settled()
    assert all(shares.values()), "each machine has a part"

    orphaned, killed = machines.subreddits_of(shares["m1"]), time.time()
    first.kill()
    takeover = machines.wait_flowing(orphaned, killed)
    assert max(takeover.values()) <= allowed(TAKEOVER), takeover
    assert machines.wait_settled() == {"m2": frozenset(range(machines.shard_count))}

    first.start()
    shares = machines.wait_settled()
    assert owners_shown(first) == {shard: name for name, shards in shares.items() for shard in shards}

    left, stopped = machines.subreddits_of(shares["m2"]), time.time()
    assert second.system.stop() == 0
    machines.wait_flowing(left, time.time())
    machines.pass_time(CLEAN_STOP)
    interruption = pauses(machines.follower.arrivals, left, stopped, time.time())
    assert max(interruption.values()) <= allowed(CLEAN_STOP + POLL), interruption

    verdict = finish(machines, at_least=500)
    machines.notes |= verdict.figures() | {"takeover": f"{max(takeover.values()):.1f} s"}
    machines.notes["interruption by a clean stop"] = f"{max(interruption.values()):.1f} s"
    assert verdict.failures() == []
