"""The statistics block: its exact shape, and numbers that no kill and no replaced file can falsify."""

import sqlite3
from collections import Counter
from pathlib import Path

import pytest

from core.spool import Batch, Record, SpoolWriter, spool_path
from core.spool.committed_positions import publisher_path
from core.status.statistics_block import Meter, Statistics, render

BLOCK = """\
============================================================
STREAMING STATISTICS
============================================================
Submissions processed: 127
Comments processed:    8,453
Total items:           8,580
Kafka published:       8,578
Kafka errors:          2
Rate limit hits:       0
Queue size:            3
============================================================"""


def capture(writer: SpoolWriter, count: int) -> None:
    record = Record(b"t1_x", b"{}", "reddit.comment.v1")
    writer.commit(Batch(records=[record] * count, counters={"captured": count}))


def acknowledge(state_dir: Path, spool_id: str, seq: int, published: int) -> None:
    with sqlite3.connect(publisher_path(state_dir)) as connection:
        connection.execute("CREATE TABLE IF NOT EXISTS positions (spool_id TEXT PRIMARY KEY, seq INTEGER)")
        connection.execute("CREATE TABLE IF NOT EXISTS counters (name TEXT PRIMARY KEY, value INTEGER)")
        connection.execute("INSERT OR REPLACE INTO positions VALUES (?, ?)", (spool_id, seq))
        connection.execute("INSERT OR REPLACE INTO counters VALUES ('published', ?)", (published,))


def test_the_block_is_the_one_people_know() -> None:
    numbers = Statistics(
        processed=Counter(submissions=127, comments=8453), kafka_published=8578, kafka_errors=2, queue_size=3
    )
    assert render(numbers) == BLOCK


def test_without_any_file_all_is_zero(tmp_path: Path) -> None:
    assert Meter(tmp_path).read() == Statistics()
    assert list(tmp_path.iterdir()) == [], "reading must not make files"


def test_it_counts_from_the_start_of_the_run_and_the_queue_from_what_is_there(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path, "comments")
    capture(writer, 10)
    acknowledge(tmp_path, writer.spool_id, 4, published=4)
    meter = Meter(tmp_path)
    assert meter.read() == Statistics(queue_size=6)
    capture(writer, 5)
    acknowledge(tmp_path, writer.spool_id, 12, published=12)
    assert meter.read() == Statistics(processed=Counter(comments=5), kafka_published=8, queue_size=3)


def test_a_new_process_on_the_same_file_loses_no_count(tmp_path: Path) -> None:
    meter = Meter(tmp_path)
    for _ in range(3):
        writer = SpoolWriter(tmp_path, "submissions")
        capture(writer, 7)
        writer.close()
        meter.read()
    assert meter.read().processed["submissions"] == 21


def test_a_file_made_anew_goes_on_from_what_was_counted(tmp_path: Path) -> None:
    meter = Meter(tmp_path)
    for _ in range(2):
        writer = SpoolWriter(tmp_path, "comments")
        capture(writer, 7)
        assert meter.read().queue_size == 7
        writer.close()
        for path in tmp_path.glob("spool-comments*"):
            path.unlink()
    assert meter.read().processed["comments"] == 14


def test_a_broken_file_leaves_the_last_numbers_standing(tmp_path: Path) -> None:
    writer = SpoolWriter(tmp_path, "comments")
    meter = Meter(tmp_path)
    capture(writer, 7)
    assert meter.read().processed["comments"] == 7
    writer.close()
    for path in tmp_path.glob("spool-comments*"):
        path.write_bytes(b"this is no database" * 1000)
    assert meter.read() == Statistics(processed=Counter(comments=7), queue_size=7)


def test_as_a_dict_it_has_the_total() -> None:
    numbers = Statistics(processed=Counter(submissions=1, comments=2)).as_dict()
    assert numbers["total_items"] == 3
    assert set(numbers) == {
        "submissions_processed",
        "comments_processed",
        "total_items",
        "kafka_published",
        "kafka_errors",
        "rate_limit_hits",
        "queue_size",
    }


@pytest.mark.parametrize("seen_before", [True, False], ids=["broken during the run", "broken before the run"])
def test_what_a_salvaged_spool_brings_along_is_counted_once(tmp_path: Path, seen_before: bool) -> None:
    with SpoolWriter(tmp_path, "comments") as writer:
        capture(writer, 7)
        former = writer.spool_id
    meter = Meter(tmp_path) if seen_before else None
    with SpoolWriter(tmp_path, "comments") as writer:
        capture(writer, 2)
    if meter is not None:
        assert meter.read().processed["comments"] == 2
    break_it(tmp_path)
    meter = meter or Meter(tmp_path)
    with SpoolWriter(tmp_path, "comments") as writer:
        assert writer.spool_id != former, "it was made anew"
        before = meter.read().processed["comments"]
        capture(writer, 5)
    assert meter.read().processed["comments"] - before == 5
    assert before == (2 if seen_before else 0)


def break_it(state_dir: Path) -> None:
    """Leave something in the spool that no writer wrote."""
    with sqlite3.connect(spool_path(state_dir, "comments")) as connection:
        connection.execute("INSERT INTO seen VALUES ('t1_x', 'bitcoin', 'no number', 1)")
