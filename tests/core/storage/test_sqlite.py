"""How our SQLite files are opened, and what their errors mean."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from core.storage.sqlite import (
    connect,
    connect_readonly,
    is_corrupt,
    is_disk_failure,
    is_sound,
    is_unreadable,
    transaction,
)


def error_with(code: int, kind: type[sqlite3.Error] = sqlite3.OperationalError) -> sqlite3.Error:
    error = kind("made for the test")
    error.sqlite_errorcode = code
    return error


@pytest.fixture
def path(tmp_path: Path) -> Path:
    path = tmp_path / "some.db"
    with closing(connect(path)) as connection:
        connection.execute("CREATE TABLE t (id INTEGER PRIMARY KEY, a TEXT)")
        connection.execute("CREATE INDEX by_a ON t (a)")
        connection.executemany("INSERT INTO t (a) VALUES (?)", [(f"{n:050}",) for n in range(500)])
    return path


def test_a_transaction_is_all_or_nothing_and_leaves_nothing_open(path: Path) -> None:
    with closing(connect(path)) as connection:
        with pytest.raises(sqlite3.IntegrityError), transaction(connection):
            connection.executemany("INSERT INTO t (id) VALUES (?)", [(1000,), (1,)])
        assert not connection.in_transaction
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (500,)


def test_the_first_error_is_shown_when_sqlite_has_rolled_back_already(path: Path) -> None:
    with closing(connect(path)) as connection:
        with pytest.raises(sqlite3.IntegrityError), transaction(connection):
            connection.execute("INSERT OR ROLLBACK INTO t (id) VALUES (1)")
        assert not connection.in_transaction


def test_who_may_only_read_cannot_write_or_create(path: Path) -> None:
    with closing(connect_readonly(path)) as connection, pytest.raises(sqlite3.OperationalError, match="readonly"):
        connection.execute("DELETE FROM t")
    with pytest.raises(sqlite3.OperationalError):
        connect_readonly(path.with_name("absent.db"))
    assert not path.with_name("absent.db").exists()


def test_looking_does_not_move_the_wal_into_the_file(path: Path) -> None:
    """What is examined because it may be broken must stay as it is."""
    with closing(connect(path)) as writer:
        writer.execute("INSERT INTO t (a) VALUES ('in the WAL')")
        wal = path.with_name(path.name + "-wal")
        target = path.with_name("copy.db")
        target.write_bytes(path.read_bytes())
        target.with_name("copy.db-wal").write_bytes(wal.read_bytes())
    before = target.read_bytes(), target.with_name("copy.db-wal").read_bytes()
    with closing(connect_readonly(target)) as connection:
        assert connection.execute("SELECT count(*) FROM t").fetchone() == (501,)
    assert (target.read_bytes(), target.with_name("copy.db-wal").read_bytes()) == before


def test_a_sound_file_is_sound_and_a_damaged_one_is_not(path: Path) -> None:
    assert is_sound(path)
    content = bytearray(path.read_bytes())
    content[4096 * 3 : 4096 * 4] = b"\x77" * 4096
    path.write_bytes(content)
    assert not is_sound(path)


def test_an_index_that_disagrees_with_its_table_is_damage_too(path: Path) -> None:
    """A quick_check does not see it, and yet a deletion through the index would fail, again and again."""
    content = path.read_bytes()
    path.write_bytes(content.replace(b"%050d" % 7, b"%050d" % 8, 1))
    with closing(connect_readonly(path)) as connection:
        assert connection.execute("PRAGMA quick_check(1)").fetchone() == ("ok",)
    assert not is_sound(path)


def test_no_sqlite_file_at_all_is_not_sound(tmp_path: Path) -> None:
    path = tmp_path / "text.db"
    path.write_text("no database" * 1000)
    assert not is_sound(path)


def test_a_locked_file_is_neither_sound_nor_broken(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("core.storage.sqlite.BUSY_TIMEOUT", 0.05)
    with closing(sqlite3.connect(path, isolation_level=None)) as intruder:
        intruder.execute("PRAGMA locking_mode = EXCLUSIVE")
        intruder.execute("DELETE FROM t WHERE id = 1")
        with pytest.raises(sqlite3.OperationalError, match="locked"):
            is_sound(path)


@pytest.mark.parametrize(
    ("code", "corrupt", "unreadable", "failure"),
    [
        (sqlite3.SQLITE_CORRUPT, True, True, False),
        (sqlite3.SQLITE_CORRUPT_INDEX, True, True, False),
        (sqlite3.SQLITE_NOTADB, True, True, False),
        (sqlite3.SQLITE_IOERR_READ, False, True, True),
        (sqlite3.SQLITE_IOERR_FSYNC, False, False, True),
        (sqlite3.SQLITE_IOERR_WRITE, False, False, True),
        (sqlite3.SQLITE_FULL, False, False, False),
        (sqlite3.SQLITE_BUSY, False, False, False),
        (sqlite3.SQLITE_ERROR, False, False, False),
    ],
)
def test_what_an_error_means(code: int, corrupt: bool, unreadable: bool, failure: bool) -> None:
    error = error_with(code, sqlite3.DatabaseError)
    assert (is_corrupt(error), is_unreadable(error), is_disk_failure(error)) == (corrupt, unreadable, failure)


def test_other_errors_are_none_of_these() -> None:
    for error in (ValueError("x"), OSError(5, "I/O error"), sqlite3.ProgrammingError("closed")):
        assert not is_corrupt(error)
        assert not is_unreadable(error)
        assert not is_disk_failure(error)


def test_a_text_that_is_none_is_corruption(path: Path) -> None:
    with closing(connect(path)) as connection:
        connection.execute("UPDATE t SET a = cast(x'ff' as text) WHERE id = 3")
        with pytest.raises(sqlite3.OperationalError) as caught:
            connection.execute("SELECT * FROM t").fetchall()
    assert is_corrupt(caught.value)
