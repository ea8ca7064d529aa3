"""The demo's check must be able to fail: each kind of loss, and each recorded gap, by example."""

from typing import Any

import pytest

from core.spool import Gap, GapState
from supervisor.demo.proof import is_complete, prove

NOW = 1_700_000_000.0


def item(name: str, **more: Any) -> dict[str, Any]:
    truth = {"fullname": name, "kind": "comments", "subreddit": "Bitcoin", "created": NOW + 0.5, "surfaced_at": NOW + 1}
    return {**truth, "removed_at": None, "shown_at": NOW + 2, **more}


def gap(**more: Any) -> Gap:
    made = Gap("comments", ("bitcoin",), NOW, NOW + 10, "listing ended", NOW + 20, 2)
    for name, value in more.items():
        setattr(made, name, value)
    return made


def test_all_shown_and_delivered_is_the_good_case() -> None:
    proof = prove([item("a"), item("b")], ["a", "b"], [])
    assert (proof.shown, proof.delivered, proof.lost, proof.duplicated) == (2, 2, 0, 0)
    assert proof.holds


def test_shown_and_not_delivered_is_lost_even_inside_a_gap() -> None:
    proof = prove([item("a"), item("b")], ["a"], [gap()])
    assert (proof.lost, proof.missing, proof.holds) == (1, (item("b"),), False)


def test_never_shown_is_lost_outside_every_gap_and_admitted_inside_one() -> None:
    unseen = item("a", shown_at=None)
    assert prove([unseen], [], []).lost == 1
    inside = prove([unseen], [], [gap()])
    assert (inside.lost, inside.unseen, inside.gaps, inside.holds) == (0, 1, 1, True)


@pytest.mark.parametrize(
    "more",
    [{"end": None, "start": NOW - 60}, {"start": NOW + 5, "late_from": NOW - 5}, {"start": None}],
    ids=["without end", "late items may be missing before it", "without beginning"],
)
def test_a_gap_admits_what_is_created_while_it_grows_and_what_may_be_late(more: dict[str, Any]) -> None:
    assert prove([item("a", shown_at=None)], [], [gap(**more)]).unseen == 1


@pytest.mark.parametrize(
    "other",
    [
        {"stream": "submissions"},
        {"subreddits": ("ethereum",)},
        {"start": NOW + 1},
        {"start": NOW - 9, "end": NOW - 1},
        {"state": GapState.REPAIRED, "closed_at": NOW + 30},
    ],
    ids=["of the other stream", "elsewhere", "later", "earlier", "repaired"],
)
def test_a_gap_admits_only_what_lies_in_it(other: dict[str, Any]) -> None:
    assert prove([item("a", shown_at=None)], [], [gap(**other)]).lost == 1


def test_removed_before_anyone_saw_it_is_no_loss_but_removed_after_it_was_shown_is() -> None:
    assert prove([item("a", shown_at=None, removed_at=NOW + 3)], [], []).lost == 0
    assert prove([item("a", removed_at=NOW + 3)], [], []).lost == 1


def test_second_copies_and_strangers_are_counted() -> None:
    proof = prove([item("a")], ["a", "a", "a", "x"], [])
    assert (proof.duplicated, proof.unknown, proof.holds) == (2, 1, False)


def test_it_is_complete_when_nothing_is_to_come_and_all_was_shown() -> None:
    assert is_complete([item("a"), item("b", shown_at=None, removed_at=NOW)])
    assert not is_complete([item("a", surfaced_at=None, shown_at=None)])
    assert not is_complete([item("a", shown_at=None)])
    assert is_complete([item("a", surfaced_at=None, shown_at=None, hidden="all")])
