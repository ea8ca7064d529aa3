"""Names that left the memory stay known: the spool finds them, keeps those that a listing may show, no others."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from core.spool import Batch, SpoolWriter, spool_path
from core.spool.model import Record, Seen
from streams.capture.coverage import Coverage
from streams.reddit.listing_page import Item, Page

NAMES = ("Alpha", "Beta")


def page(numbers: range, subreddit: str = "Alpha") -> Page:
    items = (Item(f"t3_{n}", f"t3_{n}", subreddit, 1.7e9 + n, {"id": str(n)}) for n in reversed(numbers))
    return Page(tuple(items), None)


def rows(directory: Path, table: str) -> set[str]:
    with closing(sqlite3.connect(spool_path(directory, "submissions"))) as connection:
        return {name for (name,) in connection.execute(f"SELECT name FROM {table}")}


def coverage_of(writer: SpoolWriter, moments: list[float] | None = None) -> Coverage:
    clock = iter(moments or [float(n) for n in range(100_000)])
    return Coverage(writer, "submissions", NAMES, clock=lambda: next(clock))


@pytest.mark.parametrize("restarted", [False, True])
def test_what_left_the_memory_is_not_delivered_again(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, restarted: bool
) -> None:
    monkeypatch.setattr("streams.capture.seen_names.MOST_IN_MEMORY", 10)
    with SpoolWriter(tmp_path, "submissions") as writer:
        coverage = coverage_of(writer)
        for start in range(0, 100, 20):
            coverage.absorb(page(range(start, start + 20)), epoch=1)
        coverage.prune()
        if restarted:
            coverage = coverage_of(writer)
        assert len(rows(tmp_path, "seen")) == 10
        assert len(rows(tmp_path, "old_names")) == 90
        assert coverage.absorb(page(range(100))).delivered == 0
        assert coverage.absorb(page(range(95, 105))).delivered == 5
        assert coverage.names.known("t3_3")
        assert coverage.names.proven("t3_3")
        assert coverage.names.proven_before("t3_3", 2)
        assert not coverage.names.proven_before("t3_3", 1)
        assert not coverage.names.proven("t3_101"), "met, and not proven"
        assert not coverage.names.known("t3_999")
        assert set(coverage.latest_proven("Alpha", 2, 20)) == {f"t3_{n}" for n in range(80, 100)}
        assert writer.counters()["captured"] == 105


def test_names_that_are_not_proven_stay_in_memory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.capture.seen_names.MOST_IN_MEMORY", 10)
    with SpoolWriter(tmp_path, "submissions") as writer:
        coverage = coverage_of(writer)
        coverage.absorb(page(range(50)))
        coverage.absorb(page(range(50, 100)), epoch=1)
        coverage.prune()
        assert rows(tmp_path, "old_names") == {f"t3_{n}" for n in range(50, 90)}
        coverage.apply(coverage.proof(["Alpha"], 1.7e9))
        coverage.prune()
        assert len(rows(tmp_path, "seen")) == 10
        assert coverage.absorb(page(range(100))).new == 0


def test_a_subreddit_forgets_its_oldest_names_wherever_they_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("streams.capture.seen_names.MOST_IN_MEMORY", 10)
    monkeypatch.setattr("streams.capture.seen_names.KEEP_NAMES", 30)
    with SpoolWriter(tmp_path, "submissions") as writer:
        coverage = coverage_of(writer)
        for n in range(100):
            coverage.absorb(page(range(n, n + 1)), epoch=1)
            if n % 7 == 0:
                coverage.prune()
        coverage.absorb(page(range(100, 105), "Beta"), epoch=1)
        for _ in range(2):
            coverage.prune()
            kept = rows(tmp_path, "seen") | rows(tmp_path, "old_names")
            assert kept == {f"t3_{n}" for n in range(70, 105)}
        assert not coverage.names.known("t3_69")
        assert coverage.names.known("t3_70")


def test_a_file_that_is_checked_at_the_next_start_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The check of the names concerns the table of recent ones, before and after a move."""
    monkeypatch.setattr("streams.capture.seen_names.MOST_IN_MEMORY", 5)
    for start in range(0, 60, 20):
        with SpoolWriter(tmp_path, "submissions") as writer:
            coverage = coverage_of(writer)
            coverage.absorb(page(range(start, start + 20)), epoch=1)
            coverage.prune()
            assert writer.load_gaps() == []
    with SpoolWriter(tmp_path, "submissions") as writer:
        assert sum(writer.count_old().values()) + len(writer.load_seen()) == 60


def test_a_salvaged_file_keeps_the_older_names(tmp_path: Path) -> None:
    with SpoolWriter(tmp_path, "submissions") as writer:
        seen = [Seen(f"t3_{n}", "alpha", float(n), 1) for n in range(20)]
        writer.commit(Batch(records=[Record(b"t3_19", b"{}", "s")], seen=seen, cursor={"epoch": 1}))
        writer.prune(old=[f"t3_{n}" for n in range(10)])
    path = spool_path(tmp_path, "submissions")
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("DROP TABLE counters")  # a broken file: the next start builds a new one from it
        connection.commit()
    with SpoolWriter(tmp_path, "submissions") as writer:
        assert writer.find_old(["t3_3", "t3_15"]) == {"t3_3": (1, "alpha")}
        assert writer.load_seen().keys() == {f"t3_{n}" for n in range(10, 20)}
