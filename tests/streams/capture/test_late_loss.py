"""Late items that could pass between two scans are admitted; where the listing holds long enough, nothing is."""

from pathlib import Path

import pytest

from core.spool import Gap, GapState
from streams.capture.late_loss import TOLERANCE_S, LateLoss, LateScanLog, Scanned
from tests.streams.capture.life import BIRTH, Life
from tests.streams.capture.test_late_scan import fill, steady
from tests.streams.capture.world import Thing, World

NAMES = ("Alpha", "Beta")


class Scans:
    """Scans of one listing, one after the other; the stream began at 0."""

    def __init__(self) -> None:
        self.late_scan_log = LateScanLog()

    def scan(
        self, began: float, foot: float | None, *, own: bool = True, names: tuple[str, ...] = NAMES
    ) -> list[LateLoss]:
        comparison = self.late_scan_log.compare(Scanned(names, began, foot, own), 0.0)
        self.late_scan_log.store(comparison)
        return list(comparison.losses)


def test_the_first_scan_has_nothing_to_compare_with() -> None:
    assert Scans().scan(100.0, 99.0) == []


def test_a_listing_that_turned_over_before_the_first_scan_is_admitted() -> None:
    scans = Scans()
    scans.late_scan_log.begin(NAMES, 5000.0)
    scans.late_scan_log.begin(NAMES, 5010.0)
    assert scans.scan(5030.0, 5020.0) == [LateLoss(name, 5000.0 - TOLERANCE_S, 5020.0) for name in NAMES]


def test_what_a_listing_forgot_before_it_was_read_is_nobodys_loss() -> None:
    scans = Scans()
    scans.late_scan_log.begin(NAMES, 5000.0)
    assert scans.scan(5010.0, 4999.0) == []


@pytest.mark.parametrize("held", [TOLERANCE_S, 60.0, 3600.0])
def test_a_listing_that_holds_longer_than_the_scans_are_apart_loses_nothing(held: float) -> None:
    scans = Scans()
    losses = [scans.scan(at, at - 20.0 - held) for at in (5000.0, 5020.0, 5040.0)]
    assert losses == [[], [], []]


def test_what_may_have_passed_between_two_scans_is_named() -> None:
    scans = Scans()
    assert scans.scan(5000.0, 4990.0, names=("Alpha",)) == []
    assert scans.scan(5020.0, 5010.0, names=("Alpha",)) == [LateLoss("Alpha", 5000.0 - TOLERANCE_S, 5010.0)]
    assert scans.scan(5022.0, 4990.0, names=("Alpha",)) == [], "the foot did not move: nothing was pushed out"


def test_a_listing_that_forgot_nothing_loses_nothing() -> None:
    scans = Scans()
    assert scans.scan(5.0, -30.0) == []
    assert scans.scan(10.0, 0.0) == [], "what was created before the stream began is not promised"
    assert scans.scan(500.0, None) == []


def test_a_combined_listing_waits_for_the_scan_of_the_own_one() -> None:
    scans = Scans()
    assert scans.scan(5000.0, 4900.0) == []
    assert scans.scan(5020.0, 5015.0, own=False) == []
    assert scans.scan(5025.0, 4950.0, names=("Alpha",)) == [], "its own listing still held everything"
    assert [loss.subreddit for loss in scans.scan(5070.0, 5060.0, own=False)] == ["Beta"], "nobody looked"


def test_what_was_not_written_down_is_judged_again() -> None:
    late_scan_log = LateScanLog()
    late_scan_log.store(late_scan_log.compare(Scanned(NAMES, 5000.0, 4990.0, own=True), None))
    scan = Scanned(NAMES, 5020.0, 5010.0, own=True)
    assert late_scan_log.compare(scan, None) == late_scan_log.compare(scan, None) != ((), {})


def admits(gap: Gap, one: Thing) -> bool:
    """Tell whether the entry admits the loss of this late item."""
    start = gap.start if gap.late_from is None else gap.late_from
    inside = gap.end is not None and (start is None or start <= one.created) and one.created <= gap.end
    return not gap.repaired and inside and one.subreddit in gap.unproven


@pytest.mark.parametrize("latency", [0.1, 1.2])
def test_late_items_lost_in_a_listing_of_seconds_are_in_the_ledger(tmp_path: Path, latency: float) -> None:
    """150 items a second and listings of 500 names: what surfaces 4 s late is gone after the next few."""
    life = Life(tmp_path, World(NAMES, cap=500, page_size=100), latency=latency)
    fill(life, 10.0, 300)
    life.run(20.0)
    steady(life, 150.0, 60.0)
    for number in range(50):
        made = life.clock.now + number
        life.clock.at(made + 4.0, lambda made=made: life.world.add("Alpha", made, late=True))  # type: ignore[misc]
    life.run(120.0)
    spooled, gaps = set(life.spooled()), life.gaps()
    lost = [one for one in life.world.things.values() if one.late and one.surfaced and one.name not in spooled]
    assert lost, "the listing was meant to be too short"
    assert [one for one in lost if not any(admits(gap, one) for gap in gaps)] == []
    entries = [gap for gap in gaps if gap.start == gap.end]
    assert len(entries) == 1
    assert entries[0].state is GapState.LOST
    assert life.notes.events("late_items_may_be_lost")


def test_a_stream_that_scans_in_time_admits_nothing(tmp_path: Path) -> None:
    life = Life(tmp_path, World(NAMES, cap=1000, page_size=100))
    fill(life, 20.0, 1000)
    steady(life, 20.0, 300.0)
    life.run(300.0)
    assert life.clock.now >= BIRTH + 300.0
    assert life.gaps() == []


def test_a_slow_walk_that_ends_late_takes_nothing_back() -> None:
    scans = Scans()
    scans.late_scan_log.begin(NAMES, 5000.0)
    scans.late_scan_log.polled(NAMES, 5100.0, 4900.0)
    assert scans.late_scan_log.since(NAMES) == 5100.0
    scans.late_scan_log.polled(NAMES, 5000.0, 4000.0)
    assert scans.late_scan_log.since(NAMES) == 5100.0
    scans.late_scan_log.polled(("Alpha",), 5110.0, 5080.0)
    assert scans.late_scan_log.since(("Alpha",)) == 5110.0
    scans.late_scan_log.polled(NAMES, 5105.0, 5050.0)
    assert scans.late_scan_log.since(("Alpha",)) == 5110.0
    assert scans.late_scan_log.since(NAMES) == 5105.0
