"""publisher.db as released versions have written it: positions, counters and dead letters are still there."""

import json
import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
import structlog

from core.errors import PermanentError
from core.spool.committed_positions import (
    publisher_path,
    read_dead_letters,
    read_deliveries,
    read_known_streams,
    read_positions,
    read_publisher_counters,
    read_spool_states,
    read_topic_ends,
)
from core.spool.spool_state import SpoolState
from streams.positions import dead_letters as letters
from streams.positions.migrations import VERSION, upgrade
from streams.positions.publisher_store import KAFKA, Position, PublisherStore

SAMPLES = Path(__file__).parent / "samples"
LOG = structlog.stdlib.get_logger("test")
NOW = 1_700_000_000.0
COMMENTS, SUBMISSIONS = "a" * 32, "b" * 32


@pytest.fixture(params=[1, 2])
def version(request: pytest.FixtureRequest) -> int:
    number: int = request.param
    return number


@pytest.fixture
def state_dir(tmp_path: Path, version: int) -> Path:
    with closing(sqlite3.connect(publisher_path(tmp_path))) as connection:
        connection.executescript((SAMPLES / f"publisher-{version}.sql").read_text())
        connection.execute("PRAGMA journal_mode = WAL")
    return tmp_path


def seen(state_dir: Path) -> tuple[object, ...]:
    """Return what other processes read of the file."""
    return (
        read_positions(state_dir),
        read_deliveries(state_dir),
        read_known_streams(state_dir),
        read_dead_letters(state_dir),
        read_publisher_counters(state_dir),
        read_spool_states(state_dir, "comments"),
        read_topic_ends(state_dir, SUBMISSIONS),
    )


def test_everything_is_taken_over_and_belongs_to_kafka(state_dir: Path, version: int) -> None:
    before = seen(state_dir)
    assert read_positions(state_dir) == {COMMENTS: 40, SUBMISSIONS: 7}
    store = PublisherStore.open(state_dir, LOG)
    with closing(store):
        assert (store.deployment_id, store.sinks) == ("d" * 32, (KAFKA,))
        assert sorted(store.positions(), key=lambda one: one.stream) == [
            Position("comments", COMMENTS, 40, KAFKA),
            Position("submissions", SUBMISSIONS, 7, KAFKA),
        ]
    assert seen(state_dir) == before, "no reader sees a difference"
    with closing(sqlite3.connect(publisher_path(state_dir))) as connection:
        kept = letters.list_letters(connection)
        passed = connection.execute("SELECT seq, passed FROM dead_letters ORDER BY seq").fetchall()
        assert connection.execute("PRAGMA user_version").fetchone() == (VERSION,)
    assert [(one.id, one.seq, one.key) for one in kept] == [(1, 5, "t1_5"), (2, 38, "t1_38")]
    assert [one.resending for one in kept] == [False, version == 2]
    assert passed == [(5, 1), (38, 1), (41, 0)]


def test_what_a_lost_spool_knew_is_read_from_older_copies(tmp_path: Path) -> None:
    with closing(sqlite3.connect(publisher_path(tmp_path))) as connection:
        connection.executescript((SAMPLES / "publisher-2.sql").read_text())
    ((at, text),) = read_spool_states(tmp_path, "comments")
    state = SpoolState.from_json(text)
    assert (at, state.commits, state.last_seq) == (NOW, 12, 40)
    assert {key: json.loads(value) for key, value in state.cursor.items()} == {
        "proven_until/bitcoin": NOW - 10.0,
        "epoch": 2,
    }


def test_a_new_file_has_the_tables_of_a_migrated_one(state_dir: Path, tmp_path_factory: pytest.TempPathFactory) -> None:
    fresh = tmp_path_factory.mktemp("fresh")
    tables = []
    for directory in (state_dir, fresh):
        PublisherStore.open(directory, LOG).close()
        with closing(sqlite3.connect(publisher_path(directory))) as connection:
            columns = "SELECT m.name, p.name FROM sqlite_master m, pragma_table_info(m.name) p ORDER BY 1, p.cid"
            tables.append(connection.execute(columns).fetchall())
    assert tables[0] == tables[1]


def test_a_file_of_a_newer_version_is_refused(state_dir: Path) -> None:
    with closing(sqlite3.connect(publisher_path(state_dir), isolation_level=None)) as connection:
        connection.execute(f"PRAGMA user_version = {VERSION + 1}")
        with pytest.raises(PermanentError, match=f"has version {VERSION + 1}, this program knows {VERSION}"):
            upgrade(connection)
