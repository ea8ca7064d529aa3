"""Ten minutes of kills, freezes, cut networks and leaving brokers against three machines: nothing is lost or doubled.

`GAPLESS_STORM_SECONDS` sets another length, `GAPLESS_SEED` repeats a storm.
"""

import os
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from bench.figure import percentile
from tests.support.cluster_audit import finish, takeover_times
from tests.support.durations import allowed
from tests.support.kafka_nodes import KafkaNodes
from tests.support.machines import Machines
from tests.support.soaking import SOAK
from tests.support.storm import Storm, plan
from tests.support.trial import FIGURES

NAMES = ("m1", "m2", "m3")
TAKEOVER_P95 = 10.0
SECONDS = float(os.environ.get("GAPLESS_STORM_SECONDS", "600"))


@pytest.fixture
def machines(
    tmp_path: Path, delivery: str, nodes: int, seed: int, record_property: Callable[[str, Any], None]
) -> Iterator[Machines]:
    """Three machines on brokers of their own, all with links, not started."""
    kafka = KafkaNodes(tmp_path, nodes, NAMES)
    try:
        kafka.start()
        made = Machines(tmp_path, NAMES, kafka, delivery=delivery, seed=seed, shards=6)
        try:
            yield made
            print(made.report())
        finally:
            made.end()
        record_property(FIGURES, made.notes | {"seed": seed})
    finally:
        kafka.close()


@SOAK
@pytest.mark.parametrize(
    ("delivery", "nodes"), [("exactly_once", 3), ("at_least_once", 3), ("exactly_once", 1)], ids=str
)
def test_a_storm_loses_and_doubles_nothing(machines: Machines, nodes: int, seed: int) -> None:
    for machine in machines.all():
        machine.start()
    machines.wait_settled()
    machines.wait_flowing(machines.subreddits, time.time())
    troubles = plan(seed, SECONDS, NAMES, range(1, nodes + 1) if nodes > 1 else ())
    storm = Storm(machines, troubles)
    storm.play()
    verdict = finish(machines, at_least=int(SECONDS * 10))
    times = takeover_times(storm.takeovers, "kill")
    machines.notes |= verdict.figures() | {"troubles": len(troubles), "takeovers": len(storm.takeovers)}
    failures = verdict.failures(blocked=allowed(15.0), pause=allowed(15.0))
    if times:
        machines.notes["takeover p95"] = f"{percentile(times, 0.95):.1f} s"
        if percentile(times, 0.95) > allowed(TAKEOVER_P95):
            failures.append(f"takeovers: {storm.takeovers}")
    assert failures == [], machines.notes
