"""The check of later changes must be able to fail: each kind of mistake, by example."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest

from supervisor.demo.changes_proof import ChangesProof, lines, prove_changes
from supervisor.demo.proof import TopicRecord

NOON = 1_800_000_000.0
LAST_AGE = 15.0


def captured(*names: str, at: float = NOON) -> list[TopicRecord]:
    timestamp = datetime.fromtimestamp(at, UTC).isoformat(timespec="milliseconds")
    return [TopicRecord(name, json.dumps({"timestamp": timestamp}).encode(), at) for name in names]


def change(name: str, op: str, *, at: float = NOON + 5, age: float = 6.0, **more: Any) -> dict[str, Any]:
    line = {"fullname": name, "op": op, "category": None, "text": None, "subreddit": "Bitcoin"}
    return {**line, "time": at, "age": age, **more}


def event(line: dict[str, Any], **more: Any) -> TopicRecord:
    value = {"op": line["op"], "category": line["category"], "text": line["text"], **more}
    return TopicRecord(line["fullname"], json.dumps(value).encode(), NOON + 8)


def tombstone(name: str) -> TopicRecord:
    return TopicRecord(name, None, NOON + 9)


EDIT = change("t1_a", "edit", text="new")
REMOVAL = change("t3_b", "removed", category="moderator")
DELETION = change("t1_c", "deleted")
ACCOUNT = change("t1_d", "deleted", category="account")
ALL = [EDIT, REMOVAL, DELETION, ACCOUNT]
ITEMS = captured("t1_a", "t3_b", "t1_c", "t1_d")
BURIED = [*ITEMS, tombstone("t3_b"), tombstone("t1_c")]


def prove(truth: list[dict[str, Any]], events: list[TopicRecord], latest: list[TopicRecord] = BURIED) -> ChangesProof:
    return prove_changes(truth, ITEMS, events, latest, LAST_AGE)


def test_all_is_reported_and_the_tombstones_are_there() -> None:
    proof = prove(ALL, [event(one) for one in ALL])
    assert proof.holds
    assert (proof.made, proof.reported, proof.missing, proof.false, proof.lost, proof.tombstones) == (4, 4, 0, 0, 2, 2)
    assert proof.example is not None
    assert (proof.example.fullname, proof.example.lost_at, proof.example.arrived_at) == ("t1_c", NOON + 5, NOON + 9)
    text = list(lines(proof, "x.latest"))
    assert text[4] == "  tombstones        2   in x.latest, for 2 items that were removed or deleted"
    assert text[5].startswith("  A deletion arrived as a tombstone: t1_c in r/Bitcoin, captured at ")


@pytest.mark.parametrize("left_out", ALL, ids=[one["op"] for one in ALL])
def test_a_change_without_its_event_is_missing(left_out: dict[str, Any]) -> None:
    proof = prove(ALL, [event(one) for one in ALL if one is not left_out])
    assert not proof.holds
    assert (proof.missing, proof.false, proof.evidence) == (1, 0, (left_out,))


@pytest.mark.parametrize(
    "wrong", [{"op": "gone"}, {"category": "admin"}, {"text": "another text"}], ids=["op", "category", "text"]
)
def test_an_event_of_what_did_not_happen_is_false(wrong: dict[str, Any]) -> None:
    proof = prove(ALL, [*map(event, ALL), event(EDIT, **wrong)])
    assert not proof.holds
    assert (proof.missing, proof.false) == (0, 1)


@pytest.mark.parametrize(
    "latest", [ITEMS, [*ITEMS, tombstone("t3_b")], [*BURIED, *captured("t1_c")]], ids=["none", "one", "overwritten"]
)
def test_a_lost_item_needs_a_tombstone_as_its_newest_record(latest: list[TopicRecord]) -> None:
    proof = prove(ALL, [event(one) for one in ALL], latest)
    assert not proof.holds
    assert proof.tombstones < proof.lost == 2


def test_what_no_look_could_see_is_not_owed_and_not_false_either() -> None:
    unseen = [
        change("t1_a", "edit", text="before the capture", at=NOON - 1),
        change("t3_b", "removed", category="moderator", age=14.0),
        change("t1_x", "deleted"),
        change("t1_c", "edit", text="hidden by the deletion", at=NOON + 4),
        DELETION,
    ]
    proof = prove(unseen, [event(DELETION)])
    assert (proof.made, proof.missing, proof.false) == (1, 0, 0)
    assert prove(unseen, [event(one) for one in unseen]).false == 0
