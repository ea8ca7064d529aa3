"""Subreddits that are proven together share their rows; every reader gets the moments of each."""

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.spool import Batch, SpoolError, SpoolReader, SpoolWriter, spool_path
from core.spool.group_rows import GroupRows
from core.spool.stream_state import StateChange, entries_of, rows_of, upgraded_rows

NOW = 1_700_000_000.0


def proven(writer: SpoolWriter, path: Path, names: list[str], moment: float) -> set[str]:
    """Prove these names up to a moment; return the keys of the rows that this changes."""
    with closing(sqlite3.connect(path)) as connection:
        before = set(connection.execute("SELECT key, value FROM cursor"))
        moments = dict.fromkeys(names, moment)
        change = StateChange(proven_at=moments, proven_until=dict.fromkeys(names, moment + 1.0))
        writer.commit(Batch(cursor=change.entries()))
        return {key for key, _ in set(connection.execute("SELECT key, value FROM cursor")) ^ before}


def test_a_poll_writes_the_rows_of_its_own_subreddits(tmp_path: Path) -> None:
    path = spool_path(tmp_path, "comments")
    with SpoolWriter(tmp_path, "comments", clock=lambda: NOW) as writer:
        changed = proven(writer, path, ["one", "other"], NOW)
    assert changed == {f"{value}/{name}" for value in ("proven_at", "proven_until") for name in ("one", "other")}


def test_subreddits_that_are_proven_together_share_a_row(tmp_path: Path) -> None:
    names = [f"name{number}" for number in range(500)]
    path = spool_path(tmp_path, "comments")
    with SpoolWriter(tmp_path, "comments", clock=lambda: NOW) as writer:
        assert proven(writer, path, names, NOW) == {"group/1", "proof/1"}
        assert proven(writer, path, names, NOW + 5.0) == {"proof/1"}
    with SpoolWriter(tmp_path, "comments", clock=lambda: NOW) as writer:
        assert writer.load_state().proven_until == dict.fromkeys(names, NOW + 6.0)
        assert proven(writer, path, names, NOW + 9.0) == {"proof/1"}, "a new start continues the group"
    reader = SpoolReader.open(tmp_path, "comments")
    assert reader is not None
    with closing(reader):
        assert reader.stream_state().proven_at == dict.fromkeys(names, NOW + 9.0)
        assert not any(key.startswith(("group/", "proof/")) for key in reader.state().cursor), "copies have none"


@pytest.mark.parametrize("moved", [["name3"], ["name3", "name4"], [f"name{number}" for number in range(10, 40)]])
def test_names_that_leave_a_group_take_their_moments_along(tmp_path: Path, moved: list[str]) -> None:
    names = [f"name{number}" for number in range(50)]
    expected = dict.fromkeys(names, NOW) | dict.fromkeys(moved, NOW + 7.0)
    for start_again in (False, True):
        directory = tmp_path / str(start_again)
        path = spool_path(directory, "comments")
        with SpoolWriter(directory, "comments", clock=lambda: NOW) as writer:
            proven(writer, path, names, NOW)
            proven(writer, path, moved, NOW + 7.0)
            assert writer.load_state().proven_at == expected
            rest = [name for name in names if name not in moved]
            if not start_again:
                proven(writer, path, rest, NOW + 8.0)
                expected_now = expected | dict.fromkeys(rest, NOW + 8.0)
                assert writer.load_state().proven_at == expected_now
                assert writer.load_state().proven_until == {name: at + 1.0 for name, at in expected_now.items()}
        with SpoolWriter(directory, "comments", clock=lambda: NOW) as writer:
            assert writer.load_state().proven_at == (expected if start_again else expected_now)


def test_a_change_of_a_group_that_was_not_written_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    names, path = [f"name{number}" for number in range(50)], spool_path(tmp_path, "comments")

    def full(*_arguments: object) -> None:
        error = sqlite3.OperationalError("database or disk is full")
        error.sqlite_errorcode = sqlite3.SQLITE_FULL
        raise error

    with SpoolWriter(tmp_path, "comments", clock=lambda: NOW) as writer:
        proven(writer, path, names, NOW)
        with monkeypatch.context() as patch:
            patch.setattr("core.spool.spool_writer.write_batch", full)
            with pytest.raises(SpoolError):
                proven(writer, path, names[:30], NOW + 5.0)
        assert proven(writer, path, names, NOW + 6.0) == {"proof/1"}
        assert writer.load_state().proven_at == dict.fromkeys(names, NOW + 6.0)


@given(
    st.lists(st.tuples(st.lists(st.integers(0, 39), min_size=1, max_size=40, unique=True), st.booleans()), max_size=12)
)
def test_any_changes_leave_the_state_that_rows_of_their_own_would_leave(changes: list[tuple[list[int], bool]]) -> None:
    stored: dict[str, str] = {}
    groups, moments = GroupRows({}), dict[str, float]()
    for moment, (numbers, written) in enumerate(changes):
        change = dict.fromkeys((f"name{number}" for number in numbers), float(moment))
        rows, rest = groups.rows({"proven_at": change, "proven_until": change})
        if not written:
            continue
        moments |= change
        for key, text in (rows | rows_of(rest)).items():
            stored.pop(key, None)
            if text is not None:
                stored[key] = text
        groups.committed()
        assert entries_of(stored.items()).get("proven_until") == moments
        assert upgraded_rows(stored).keys() == {
            f"{value}/{name}" for value in ("proven_at", "proven_until") for name in moments
        }
        if moment % 3 == 0:
            groups = GroupRows(stored)


@pytest.mark.parametrize("broken", ["{}", "[1, 2]", "[1, null]", ""])
def test_a_group_with_invalid_rows_is_proven_again(broken: str) -> None:
    names = [f"name{number}" for number in range(20)]
    rows, _ = GroupRows({}).rows({"proven_at": dict.fromkeys(names, 1.0), "proven_until": dict.fromkeys(names, 2.0)})
    stored = {key: text for key, text in rows.items() if text is not None}
    assert entries_of((stored | {"group/1": broken}).items()) == {}
    assert "proven_at" not in entries_of((stored | {"proof/1": "null"}).items())
