"""The tests of several machines must themselves be right: a killed machine is dead, a cut one alone, a loss is seen."""

import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.cluster.shards import shard_of
from tests.support.brokers import TansuBroker
from tests.support.cluster_audit import Verdict, finish
from tests.support.follower import Arrival, BlockedTime, first_records, longest_pause, pauses
from tests.support.ledger import Item, compare
from tests.support.machines import Machines, spread_names
from tests.support.processes import gone, is_stopped
from tests.support.topic import Record
from tests.support.waiting import wait_until

ITEM = Item("t1_a", "comments", "Bitcoin", 100.0, 100.0, None, None, 101.0)


def record(name: str, sent: float, subreddit: str = "Bitcoin") -> Record:
    return Record(0, 0, name, {"subreddit": subreddit}, {"stream": "comments", "seq": "1"}, sent)


@pytest.fixture
def pair(tmp_path: Path, tansu: TansuBroker, seed: int) -> Iterator[Machines]:
    """Two machines that know nothing of each other."""
    made = Machines(
        tmp_path, ("m1", "m2"), tansu, delivery="at_least_once", seed=seed, clustered=False, comments_per_second=50
    )
    yield made
    print(made.report())
    made.end()


def test_machines_are_killed_frozen_and_cut_off_one_by_one_and_the_audit_finds_every_item(pair: Machines) -> None:
    first, second = pair["m1"], pair["m2"]
    for machine in pair.all():
        machine.start()
    pair.wait_up()
    pair.wait_flowing(pair.subreddits, 0.0)

    first.freeze()
    wait_until(lambda: all(map(is_stopped, first.system.children().values())), what="the machine to stand still")
    _only_flow(pair, own=first.name, flowing=second.name)
    first.thaw()

    children = list(first.system.children().values())
    first.kill()
    assert all(map(gone, children))
    second.cut_reddit(silently=True)
    assert pair.alive() == [second]
    verdict = finish(pair, at_least=100)
    assert verdict.failures(pause=60) == []
    assert verdict.ledger.due == verdict.ledger.delivered >= 100


def _only_flow(pair: Machines, *, own: str, flowing: str) -> None:
    """Check that one machine's subreddits stand still while another's flow."""
    names = {name: pair.subreddits[place :: len(pair.all())] for place, name in enumerate(("m1", "m2"))}
    began = time.time() + 0.5  # what it sent before the freeze has arrived
    pair.wait_flowing(names[flowing], began)
    assert pair.first_after(names[own], began) == {}


def test_each_shard_has_its_share_of_the_subreddits() -> None:
    names = spread_names(4, 2)
    assert sorted(shard_of(name, 4) for name in names) == [0, 0, 1, 1, 2, 2, 3, 3]
    assert len(set(names)) == 8


def test_a_reader_is_blocked_while_the_stable_end_stands_below_the_end() -> None:
    watch = BlockedTime()
    for now, end, stable in ((0.0, 5, 5), (1.0, 7, 5), (4.0, 9, 5), (5.0, 9, 8), (6.0, 9, 9), (60.0, 9, 9)):
        watch.look(0, end, stable, now)
    assert watch.longest == 3.0


def test_a_partition_that_moves_on_with_every_look_is_not_blocked() -> None:
    watch = BlockedTime()
    for now in range(100):
        watch.look(0, now + 2, now, float(now))
    assert watch.longest == 0.0


def test_a_takeover_counts_from_the_kill_to_the_first_record_that_was_sent_later() -> None:
    arrivals = [
        Arrival(10.2, record("t1_a", 9.9)),  # sent before the kill
        Arrival(13.0, record("t1_b", 12.9)),
        Arrival(14.0, record("t1_c", 13.9)),
        Arrival(14.5, record("t1_d", 14.4, "ethereum")),
    ]
    assert first_records(arrivals, ["bitcoin", "Dogecoin"], 10.0) == {"bitcoin": 3.0}


def test_a_pause_counts_up_to_both_ends() -> None:
    arrivals = [Arrival(12.0, record("t1_a", 12.0)), Arrival(13.0, record("t1_b", 13.0))]
    assert pauses(arrivals, ["Bitcoin", "ethereum"], 10.0, 20.0) == {"bitcoin": 7.0, "ethereum": 10.0}
    assert longest_pause([]) == 0.0


@pytest.mark.parametrize(
    ("records", "delivery", "change", "said"),
    [
        ([record("t1_a", 101.0)], "exactly_once", {}, ""),
        ([], "exactly_once", {}, "lost outside gaps"),
        ([record("t1_a", 101.0)] * 2, "exactly_once", {}, "duplicated"),
        ([record("t1_a", 101.0)] * 2, "at_least_once", {}, ""),
        ([record("t1_a", 101.0), record("t1_b", 101.0)], "at_least_once", {}, "never had"),
        ([record("t1_a", 101.0)], "exactly_once", {"blocked": 15.5}, "blocked"),
        ([record("t1_a", 101.0)], "exactly_once", {"pause": 15.5}, "no record"),
        ([record("t1_a", 101.0)], "exactly_once", {"requests": 1051}, "1051 requests"),
    ],
)
def test_the_verdict_names_what_breaks_the_promise(
    records: list[Record], delivery: str, change: dict[str, float], said: str
) -> None:
    figures = {"blocked": 1.0, "pause": 1.0, "requests": 1050} | change
    verdict = Verdict(delivery, compare([ITEM], records), 0, **figures)  # type: ignore[arg-type]
    failures = verdict.failures()
    assert len(failures) == bool(said)
    assert said in "".join(failures)
