"""A walk proves what it passed, and nothing that others captured above it meanwhile."""

from collections.abc import Iterable, Iterator
from pathlib import Path

import pytest

from core.spool import SpoolReader, SpoolWriter
from streams.capture.coverage import CLOCK_GRAIN, Coverage
from streams.capture.poll import ListingPoll
from streams.capture.walk import WalkOutcome
from streams.reddit.listing_page import Page, Request, parse_page
from tests.streams.capture.life import BIRTH, STREAM, Notes
from tests.streams.capture.world import envelope

NOW = 5000.0
SUBREDDITS = ("Alpha", "Beta")


@pytest.fixture
def writer(tmp_path: Path) -> Iterator[SpoolWriter]:
    with SpoolWriter(tmp_path, STREAM) as writer:
        yield writer


def page(numbers: Iterable[int], *, more: bool = False) -> Page:
    """Return a page of items; even numbers are Alpha's, odd ones Beta's; a number is also the creation time."""
    children = [
        {"kind": "t3", "data": {"name": f"t3_{n}", "id": str(n), "subreddit": SUBREDDITS[n % 2], "created_utc": n}}
        for n in numbers
    ]
    return parse_page(envelope(children, children[-1]["data"]["name"] if more else None), STREAM)  # type: ignore[index]


def begin(writer: SpoolWriter, **clocks: float) -> Coverage:
    """Return the coverage of a stream that has proven the items 1000 to 1009."""
    offset = clocks.get("offset", 0.0)
    coverage = Coverage(writer, STREAM, SUBREDDITS, clock=lambda: NOW, offset=lambda: offset)
    poll = ListingPoll(SUBREDDITS, coverage, Notes(), start="backlog")  # type: ignore[arg-type]
    poll.take(page(range(1009, 999, -1)), Request(None, 100), NOW)
    assert poll.done
    return coverage


def half_done(coverage: Coverage) -> ListingPoll:
    """Return a walk that has taken its first page, 1119 to 1060."""
    poll = ListingPoll(SUBREDDITS, coverage, Notes(), start="backlog")  # type: ignore[arg-type]
    poll.take(page(range(1119, 1059, -1), more=True), Request(None, 60), NOW + 10.0)
    assert not poll.done
    return poll


def unproven_on_disk(tmp_path: Path) -> set[str]:
    reader = SpoolReader.open(tmp_path, STREAM)
    assert reader is not None
    try:
        return {name for (name,) in reader._connection.execute("SELECT name FROM seen WHERE epoch = 0")}  # noqa: SLF001
    finally:
        reader.close()


def test_what_another_step_captures_above_a_walk_stays_unproven(writer: SpoolWriter, tmp_path: Path) -> None:
    """An own listing's newest item must not end the next walk: items of others may stand just below."""
    coverage = begin(writer)
    poll = half_done(coverage)
    coverage.absorb(page([1200, 1118]))
    poll.take(page(range(1059, 1005, -1)), Request("t3_1060", 100), NOW + 12.0)
    assert poll.done
    assert coverage.names.proven("t3_1119")
    assert not coverage.names.proven("t3_1200")
    assert unproven_on_disk(tmp_path) == {"t3_1200"}


def test_a_newest_page_that_overlaps_extends_the_walk(writer: SpoolWriter) -> None:
    coverage = begin(writer)
    poll = half_done(coverage)
    poll.refresh(page(range(1130, 1110, -1), more=True), NOW + 20.0)
    poll.take(page(range(1059, 1005, -1)), Request("t3_1060", 100), NOW + 22.0)
    assert coverage.names.proven("t3_1130")
    assert coverage.proven_until == {"alpha": NOW + 20.0 - CLOCK_GRAIN, "beta": NOW + 20.0 - CLOCK_GRAIN}


def test_a_newest_page_above_a_hole_is_captured_and_left_for_the_next_walk(writer: SpoolWriter) -> None:
    coverage = begin(writer)
    poll = half_done(coverage)
    poll.refresh(page(range(1300, 1280, -1), more=True), NOW + 20.0)
    poll.take(page(range(1059, 1005, -1)), Request("t3_1060", 100), NOW + 22.0)
    assert coverage.names.known("t3_1300")
    assert not coverage.names.proven("t3_1300")
    assert coverage.proven_until["alpha"] == NOW + 10.0 - CLOCK_GRAIN


def test_the_proven_moment_is_told_by_reddits_clock(writer: SpoolWriter) -> None:
    coverage = begin(writer, offset=90.0)
    assert coverage.proven_until == dict.fromkeys(("alpha", "beta"), NOW + 90.0 - CLOCK_GRAIN)


@pytest.mark.parametrize("offset", [-7200.0, -90.0, 0.0, 90.0, 7200.0])
def test_items_of_a_complete_walk_are_proven_whatever_their_dates(tmp_path: Path, offset: float) -> None:
    """This machine's clock is wrong and Reddit's is not known: no gap, and the second walk meets what is proven."""
    with SpoolWriter(tmp_path, STREAM) as writer:
        coverage = Coverage(writer, STREAM, SUBREDDITS, clock=lambda: 1005.0 + offset)
        first = ListingPoll(SUBREDDITS, coverage, Notes(), start="backlog")  # type: ignore[arg-type]
        first.take(page(range(1009, 809, -1)), Request(None, 100), 1005.0 + offset)
        second = ListingPoll(SUBREDDITS, coverage, Notes(), start="backlog")  # type: ignore[arg-type]
        second.take(page(range(1019, 1000, -1), more=True), Request(None, 100), 1006.0 + offset)
        assert second.done
        assert [gap for gap in coverage.gaps.values() if gap.start is not None] == []
        assert coverage.names.proven("t3_1019")


@pytest.mark.parametrize("offset", [-7200.0, -90.0, 0.0, 90.0, 7200.0])
def test_a_wrong_clock_makes_no_gap_of_the_first_walk(writer: SpoolWriter, offset: float) -> None:
    """A full listing that reaches below the beginning holds all that was promised, by Reddit's clock."""
    coverage = Coverage(writer, STREAM, SUBREDDITS, clock=lambda: NOW - offset, offset=lambda: offset)
    poll = ListingPoll(SUBREDDITS, coverage, Notes(), start="backlog")  # type: ignore[arg-type]
    poll.take(page(range(int(NOW), int(NOW) - 150, -1)), Request(None, 100), NOW - offset)
    assert poll.done
    assert coverage.gaps == {}


def test_a_clock_that_was_ahead_takes_its_proven_moment_back(writer: SpoolWriter) -> None:
    coverage = begin(writer, offset=3600.0)
    coverage._offset, coverage._bounds = (lambda: 0.0), (lambda: (0.0, 0.0))  # noqa: SLF001  learned later
    poll = ListingPoll(SUBREDDITS, coverage, Notes(), start="backlog")  # type: ignore[arg-type]
    poll.take(page(range(1011, 1001, -1)), Request(None, 100), NOW)
    assert coverage.proven_until["alpha"] == NOW - CLOCK_GRAIN


def test_gaps_begin_where_each_subreddit_was_proven(writer: SpoolWriter) -> None:
    coverage = begin(writer)
    coverage.proven_until["beta"] = 4000.0
    gaps = coverage.new_gaps(SUBREDDITS, 6000.0, "test", repairable=True)
    assert [(gap.subreddits, gap.start, gap.late_from) for gap in gaps] == [
        (("Alpha",), NOW - CLOCK_GRAIN, NOW - CLOCK_GRAIN - 300.0),
        (("Beta",), 4000.0, 3700.0),
    ]


def test_a_beginning_in_the_future_is_corrected(tmp_path: Path) -> None:
    """The clock was two days ahead at the first start: otherwise nothing would count as read for two days."""
    with SpoolWriter(tmp_path, STREAM) as writer:
        ahead = Coverage(writer, STREAM, SUBREDDITS, clock=lambda: NOW + 172_800.0)
        ListingPoll(SUBREDDITS, ahead, Notes(), start="backlog")  # type: ignore[arg-type]
        coverage = Coverage(writer, STREAM, SUBREDDITS, clock=lambda: NOW)
        poll = ListingPoll(SUBREDDITS, coverage, Notes(), start="backlog")  # type: ignore[arg-type]
        poll.take(page(range(1009, 999, -1)), Request(None, 100), NOW)
        assert coverage.begun == NOW
        assert writer.load_cursor()["begun"] == NOW


def test_an_empty_subreddit_that_is_alone_makes_no_gap(writer: SpoolWriter) -> None:
    coverage = Coverage(writer, STREAM, ("Alpha",), clock=lambda: NOW)
    for _ in range(2):
        poll = ListingPoll(("Alpha",), coverage, Notes(), start="backlog")  # type: ignore[arg-type]
        while not poll.done:
            poll.take(Page((), None), Request(None, 100), NOW)
    assert coverage.gaps == {}
    assert coverage.proven_until == {"alpha": NOW - CLOCK_GRAIN}


def down_from(newest: int, count: int) -> range:
    """Return so many numbers; `newest` is the first one's creation in seconds after BIRTH."""
    return range(int(BIRTH) + newest, int(BIRTH) + newest - count, -1)


def first_walk(writer: SpoolWriter) -> tuple[Coverage, ListingPoll]:
    """Return a coverage that knows nothing, and its first walk, which has taken its first page, -1 to -60."""
    coverage = Coverage(writer, STREAM, SUBREDDITS, clock=lambda: BIRTH)
    poll = ListingPoll(SUBREDDITS, coverage, Notes(), start="backlog")  # type: ignore[arg-type]
    poll.take(page(down_from(-1, 60), more=True), Request(None, 60), BIRTH)
    coverage._clock = lambda: BIRTH + 500.0  # noqa: SLF001
    return coverage, poll


def second_walk(coverage: Coverage, numbers: Iterable[int]) -> ListingPoll:
    """Return a walk through a listing of these 120 items that ends with them."""
    numbers = list(numbers)
    poll = ListingPoll(SUBREDDITS, coverage, Notes(), start="backlog")  # type: ignore[arg-type]
    poll.take(page(numbers[:60], more=True), Request(None, 60), BIRTH + 30.0)
    poll.take(page(numbers[60:]), Request(f"t3_{numbers[59]}", 100), BIRTH + 31.0)
    assert poll.done
    return poll


def let_it_fall_behind(poll: ListingPoll) -> None:
    """Answer with empty pages: all anchors have left the listing."""
    while not poll.done:
        poll.take(Page((), None), poll.next(), BIRTH + 12.0)


@pytest.mark.parametrize("restart", [False, True])
def test_a_first_walk_that_the_listing_overtakes_leaves_a_gap(tmp_path: Path, *, restart: bool) -> None:
    """Slow answers, a busy subreddit: a newest page that was captured meanwhile does not continue the first walk."""
    with SpoolWriter(tmp_path, STREAM) as writer:
        coverage, poll = first_walk(writer)
        poll.refresh(page(down_from(400, 60), more=True), BIRTH + 10.0)
        let_it_fall_behind(poll)
        if restart:
            coverage = Coverage(writer, STREAM, SUBREDDITS, clock=lambda: BIRTH + 500.0)
        second_walk(coverage, down_from(440, 120))
        (gap,) = coverage.gaps.values()
        assert (gap.start, gap.end) == (None, BIRTH + 330.0)


def test_a_newest_page_above_a_hole_does_not_continue_the_first_walk(writer: SpoolWriter) -> None:
    """The walk is broken off, by a kill or by a change of names, while its listing still holds what lies below."""
    coverage, poll = first_walk(writer)
    poll.refresh(page(down_from(400, 60), more=True), BIRTH + 10.0)
    second_walk(coverage, down_from(440, 120))
    (gap,) = coverage.gaps.values()
    assert (gap.start, gap.end) == (None, BIRTH + 330.0)


def test_what_a_late_scan_captured_does_not_continue_the_first_walk(writer: SpoolWriter) -> None:
    coverage, _ = first_walk(writer)
    coverage.absorb_late(page(down_from(400, 60), more=True), SUBREDDITS)
    second_walk(coverage, down_from(440, 120))
    assert len(coverage.gaps) == 1


@pytest.mark.parametrize(
    ("names", "crowded", "outcome"),
    [
        (("Alpha", "Beta"), False, WalkOutcome.STALE),
        (("Alpha",), False, WalkOutcome.MET),
        (("Alpha", "Beta"), True, WalkOutcome.MET),
    ],
)
def test_a_first_walk_that_its_listing_left_behind_claims_nothing_that_own_listings_may_show(
    writer: SpoolWriter, names: tuple[str, ...], crowded: bool, outcome: WalkOutcome
) -> None:
    """It met as many items as a listing holds, and all its anchors are gone; older items are in the own listings."""
    born = 1_700_000_000
    coverage = Coverage(writer, STREAM, names, clock=lambda: born + 1.0)
    poll = ListingPoll(names, coverage, Notes(), start="backlog", crowded=crowded)  # type: ignore[arg-type]
    for top in range(born, born - 1000, -100):
        children = [
            {"kind": "t3", "data": {"name": f"t3_{n}", "subreddit": names[n % len(names)], "created_utc": float(n)}}
            for n in range(top, top - 100, -1)
        ]
        poll.take(parse_page(envelope(children, f"t3_{top - 99}"), STREAM), poll.next(), born + 1.0)
    while not poll.done:
        poll.take(Page((), None), poll.next(), born + 20.0)
    assert poll.walk.outcome is outcome
    assert bool(coverage.proven_until) is (outcome is WalkOutcome.MET)
