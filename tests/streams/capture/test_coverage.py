"""What a walk proves: regressions of the proof, each a way in which something was once lost without a word."""

import contextlib
import json
import sqlite3
from collections import Counter
from collections.abc import Iterable
from pathlib import Path

import pytest

from core.spool import Batch, SpoolError, SpoolReader, SpoolWriter, spool_path
from streams.capture.availability import Availability
from streams.capture.availability_checks import AvailabilityChecks
from streams.capture.coverage import Coverage
from streams.capture.gap_repair import Repairs
from streams.capture.page_fetcher import PageFetcher
from streams.reddit.listing_page import Page, parse_page
from tests.streams.capture.life import BIRTH, STREAM, FakeContext, Life, MortalWriter, Notes
from tests.streams.capture.world import World, envelope


def pour(life: Life, name: str, count: int, step: float = 0.01) -> list[str]:
    return [life.world.add(name, life.clock.now + number * step).name for number in range(count)]


def admitted(life: Life, name: str) -> bool:
    """Tell whether an open gap admits that this is lost."""
    thing = life.world.things[name]
    return any(thing.subreddit in gap.unproven and gap.admits(thing.created) for gap in life.gaps())


def test_a_busy_subreddit_that_overflowed_is_not_proven_by_old_items_of_a_quiet_one(tmp_path: Path) -> None:
    """Its own list forgot items, some of the rest were removed: there the quiet one's old names stand in view."""
    life = Life(tmp_path, World(("Busy", "Quiet"), cap=220))
    pour(life, "Quiet", 20)
    pour(life, "Busy", 20)
    life.run(30.0)
    life.kill(down_for=300.0)
    life.clock.at(life.clock.now + 200.0, lambda: pour(life, "Busy", 300))
    life.clock.at(life.clock.now + 210.0, lambda: remove_some(life.world, "Busy"))
    life.run(600.0)
    counts = Counter(life.spooled())
    missing = [one.name for one in life.world.things.values() if one.name not in counts and not one.removed]
    assert missing
    assert all(admitted(life, name) for name in missing)


def remove_some(world: World, name: str) -> None:
    for thing in world.listing((name,))[50:60]:
        world.remove(thing)


def test_a_gap_of_the_combined_listing_is_repaired_from_the_own_ones(tmp_path: Path) -> None:
    names = ("Alpha", "Beta", "Gamma")
    life = Life(tmp_path, World(names, cap=220))
    for name in names:
        pour(life, name, 30)
    life.run(30.0)
    life.kill(down_for=100.0)
    life.clock.at(life.clock.now + 50.0, lambda: [pour(life, name, 150) for name in names])
    life.run(300.0)
    counts = Counter(life.spooled())
    assert set(counts) == set(life.world.things)
    assert counts.total() == len(counts)
    (gap,) = life.gaps()
    assert gap.repaired
    assert gap.found > 0


def test_a_newcomers_own_walk_does_not_end_the_catching_up_of_the_others(tmp_path: Path) -> None:
    life = Life(tmp_path, World(("Alpha", "Beta"), cap=220, page_size=100))
    life.configure(("Alpha",))
    pour(life, "Alpha", 50)
    life.run(30.0)
    life.kill(down_for=100.0)
    life.clock.at(life.clock.now + 20.0, lambda: pour(life, "Alpha", 40))
    life.clock.at(life.clock.now + 50.0, lambda: pour(life, "Beta", 150))
    life.configure(("Alpha", "Beta"))
    life.run(102.5)
    assert set(life.spooled()) == set(life.world.things), "all of it by the first poll, not by a later look"


def test_a_reject_that_stands_in_the_listing_is_kept_once(tmp_path: Path) -> None:
    life = Life(tmp_path, World(("Alpha",)))
    pour(life, "Alpha", 5)
    plain = life.world.answer

    def with_reject(subreddits: list[str], after: str | None, limit: int) -> dict[str, object]:
        answer = plain(subreddits, after, limit)
        answer["data"]["children"].insert(2, {"kind": "t3", "data": None})
        return answer

    life.asks = with_reject
    life.run(200.0)
    reader = SpoolReader.open(tmp_path, STREAM)
    assert reader is not None
    assert reader.counters()["rejected"] == 1
    reader.close()
    assert set(life.spooled()) == set(life.world.things)


def test_a_foreign_kind_goes_whole_into_the_spools_rejects(tmp_path: Path) -> None:
    foreign = {"kind": "t1", "data": {"name": "t1_c", "body": "a comment among submissions"}}
    with SpoolWriter(tmp_path, STREAM) as writer:
        coverage = Coverage(writer, STREAM, ("Alpha",), clock=lambda: BIRTH)
        for _ in range(2):
            coverage.absorb(parse_page(envelope([foreign]), STREAM))
        assert writer.counters() == {"rejected": 1}
    with contextlib.closing(sqlite3.connect(spool_path(tmp_path, STREAM))) as connection:
        ((reason, raw),) = connection.execute("SELECT reason, raw FROM rejects").fetchall()
    assert "t1" in reason
    assert json.loads(raw) == foreign


def test_half_a_surrogate_pair_in_a_name_does_not_stop_the_stream(tmp_path: Path) -> None:
    page = parse_page(envelope([{"data": {"name": "t3_\ud800", "subreddit": "\udc00"}}]), STREAM)
    life = Life(tmp_path, World(("Alpha",)))
    life.asks = lambda *_: envelope([{"data": page.items[0].data}])
    life.run(20.0)
    assert life.spooled() == ["t3_\ufffd"]


def test_start_now_delivers_only_what_is_new(tmp_path: Path) -> None:
    life = Life(tmp_path, World(("Alpha", "Beta")), start="now")
    pour(life, "Alpha", 150, step=-1.0)
    life.run(20.0)
    assert life.spooled() == []
    life.kill(down_for=50.0)
    life.clock.advance(5.0)
    names = pour(life, "Beta", 5)
    life.run(300.0)
    assert sorted(life.spooled()) == sorted(names)


def test_the_repair_of_one_listing_leaves_the_newest_unproven(tmp_path: Path) -> None:
    """What it sees above the last poll must not end the next one: items of others may stand just below."""
    with SpoolWriter(tmp_path, STREAM) as writer:
        coverage = Coverage(writer, STREAM, ("Alpha", "Beta"), clock=lambda: BIRTH + 5000.0)
        proven_at = BIRTH + 1000.0
        coverage.absorb(listing(range(1000, 990, -1)), change=coverage.proof(("Alpha", "Beta"), proven_at))
        coverage.apply(Batch(gaps=coverage.new_gaps(("Alpha",), proven_at, "test", repairable=True)))
        repairs = Repairs(coverage, Notes(), lambda: BIRTH + 5000.0)  # type: ignore[arg-type]
        repair = repairs.choose(())
        assert repair is not None
        repairs.take(repair, listing(range(1005, 985, -1)), None)
        assert coverage.names.proven("t3_989")
        assert [coverage.names.proven(f"t3_{n}") for n in range(1000, 1006)] == [True] + [False] * 5
        assert all(coverage.names.known(f"t3_{n}") for n in range(986, 1006))


def test_a_refused_return_leaves_the_subreddit_absent(tmp_path: Path) -> None:
    """Its return and the gap of its absence are one transaction: where the disk is full, neither happens."""
    life = Life(tmp_path, World(("Alpha", "Beta")))
    pour(life, "Alpha", 5)
    pour(life, "Beta", 5)
    life.run(30.0)
    context = FakeContext(life.clock, float("inf"), life.notes)
    writer = MortalWriter(tmp_path, STREAM, clock=life.clock)
    writer.life = life
    with writer:
        coverage = Coverage(writer, STREAM, life.subreddits, clock=life.clock)
        availability = Availability(life.subreddits)
        availability.exclude("Beta", "private", life.clock.now - 100.0)
        fetcher = PageFetcher(life, context, STREAM, life.clock)
        availability_checks = AvailabilityChecks(
            availability, coverage, fetcher, context, clock=life.clock, wall=life.clock, start="backlog"
        )
        availability_checks.catch_up_with_ledger()
        life.fates[life.operations + 2] = "full"
        with pytest.raises(SpoolError):
            availability_checks.return_step()
        assert availability.active() == ("Alpha",)
        assert coverage.pending_gaps() == []
        availability_checks.return_step()
        assert availability.active() == ("Alpha", "Beta")
        assert [gap.subreddits for gap in coverage.pending_gaps()] == [("Beta",)]


def listing(numbers: Iterable[int]) -> Page:
    children = [{"data": {"name": f"t3_{n}", "subreddit": "Alpha", "created_utc": BIRTH + n}} for n in numbers]
    return parse_page(envelope(children, children[-1]["data"]["name"]), STREAM)  # type: ignore[arg-type]


def page(first: int, subreddits: Iterable[str]) -> Page:
    children = [
        {"kind": "t3", "data": {"name": f"t3_{number}", "subreddit": name, "created_utc": 1.7e9 - number}}
        for number, name in enumerate(subreddits, first)
    ]
    return parse_page(envelope(children[::-1]), STREAM)


@pytest.mark.parametrize("restarted", [False, True])
def test_each_bucket_forgets_its_oldest_proven_names_only(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restarted: bool
) -> None:
    """In the order of meeting, whatever their dates are; also after a start, which reads them from the file."""
    monkeypatch.setattr("streams.capture.seen_names.KEEP_NAMES", 4)
    monkeypatch.setattr("streams.capture.seen_names.KEEP_FOREIGN_NAMES", 2)
    moments = iter(range(1000))
    with SpoolWriter(tmp_path, STREAM) as writer:
        coverage = Coverage(writer, STREAM, ("A", "B"), clock=lambda: float(next(moments)))
        coverage.absorb(page(0, "A"))
        for number in range(1, 16):
            coverage.absorb(page(number, "Ab?"[number % 3]), epoch=1)
        if restarted:
            coverage = Coverage(writer, STREAM, ("A", "B"))
        for _ in range(2):
            coverage.prune()
            kept = {0, 9, 12, 15, 4, 7, 10, 13, 11, 14}
            left = {number for number in range(16) if coverage.names.known(f"t3_{number}")}
            assert writer.load_seen().keys() == {f"t3_{number}" for number in left}
            assert left == kept, "0 is not proven yet, and counts"
        assert not coverage.names.proven("t3_0")
        coverage.apply(coverage.proof(("A",), 1.7e9))
        coverage.absorb(page(16, "A"), epoch=1)
        coverage.prune()
        assert not coverage.names.known("t3_9")
        assert coverage.names.proven("t3_0"), "it counts from when it was proven"
