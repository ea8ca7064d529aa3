"""The demo's later changes: which item is deleted as an example, and when all looks are over."""

from pathlib import Path
from typing import Any

import pytest

from core.spool import Batch, Record, SpoolWriter
from core.storage.sqlite import connect, transaction
from supervisor.demo.later_changes import AGES_S, CHANGE_AGES_S, changes_line, fresh_item, is_settled

NOON = 1_800_000_000.0


def item(name: str, **more: Any) -> dict[str, Any]:
    return {"fullname": name, "created": NOON - 5, "shown_at": NOON - 3, "removed_at": None, **more}


@pytest.mark.parametrize(
    "unfit",
    [{"removed_at": NOON - 1}, {"shown_at": None}, {"shown_at": NOON - 1}, {"created": NOON - 11}],
    ids=["removed", "not shown", "just shown", "too old"],
)
def test_the_example_is_captured_and_has_looks_left(unfit: dict[str, Any]) -> None:
    assert fresh_item([item("t1_a", **unfit)], NOON) is None
    assert fresh_item([item("t1_a", **unfit), item("t1_b")], NOON) == "t1_b"


def test_the_last_look_comes_after_the_last_change() -> None:
    assert max(CHANGE_AGES_S) + 2 < max(AGES_S)


def test_it_is_settled_when_no_item_waits_for_a_look_and_no_event_for_kafka(tmp_path: Path) -> None:
    assert changes_line(tmp_path) == "starting …"
    assert not is_settled(tmp_path), "not begun"
    with SpoolWriter(tmp_path, "changes") as writer:
        writer.commit(Batch(counters={"checked_comments": 7, "op_deleted": 2}))
    assert changes_line(tmp_path) == "7 looks at delivered items · 2 deleted"
    assert not is_settled(tmp_path), "no file of duties"
    connection = connect(tmp_path / "changes.db")
    with transaction(connection):
        connection.execute("CREATE TABLE blocks (id INTEGER)")
        connection.execute("INSERT INTO blocks VALUES (1)")
    assert not is_settled(tmp_path)
    with transaction(connection):
        connection.execute("DELETE FROM blocks")
    assert is_settled(tmp_path)
    connection.close()
    with SpoolWriter(tmp_path, "changes") as writer:
        writer.commit(Batch([Record(b"t1_a", b"{}", "reddit.change.v1")]))
    assert not is_settled(tmp_path)
