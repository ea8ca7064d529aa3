"""The comparison of what is known of an item with what Reddit shows."""

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from streams.changes.look import Known, Op, Shown, Visibility, compare, known_of, miss, shown_of

PLAIN = Shown("hello", "someone", score=5, num_comments=2, edited=0)


def ops(known: Known, shown: Shown) -> list[tuple[str, str | None]]:
    return [(change.op.value, change.category) for change in compare(known, shown).changes]


@pytest.mark.parametrize(
    ("shown", "expected"),
    [
        (PLAIN, []),
        (Shown("hello", "someone", 6, 2, 0), [("score", None)]),
        (Shown("hello", "someone", None, 2, None), []),
        (Shown("hello!", "someone", 5, 2, 0), [("edit", None)]),
        (Shown("hello", "someone", 5, 2, 1_700_000_000), [("edit", None)]),
        (Shown("[removed]", "someone", 5, 2, 0), [("removed", "moderator")]),
        (Shown("[removed]", "[deleted]", 5, 2, 0), [("removed", "moderator")]),
        (Shown("[ Removed by Reddit ]", "someone", 5, 2, 0), [("removed", "admin")]),
        (Shown("[ Removed by Reddit on account of a policy ]", "someone", 5, 2, 0), [("removed", "admin")]),
        (Shown("hello", "someone", 5, 2, 0, "automod_filtered"), [("removed", "automod_filtered")]),
        (Shown("[removed]", "someone", 5, 2, 0, "moderator"), [("removed", "moderator")]),
        (Shown("[deleted]", "[deleted]", 5, 2, 0), [("deleted", None)]),
        (Shown("[deleted]", "[deleted]", 5, 2, 0, "deleted"), [("deleted", None)]),
        (Shown("", "[deleted]", 5, 2, 0, "author"), [("deleted", None)]),
        (Shown("hello", "[deleted]", 5, 2, 0), [("deleted", "account")]),
        (Shown("bye", "[deleted]", 7, 2, 0), [("deleted", "account"), ("edit", None), ("score", None)]),
        (Shown("[removed]", "someone", 9, 2, 0), [("removed", "moderator"), ("score", None)]),
    ],
)
def test_each_change_is_one_event(shown: Shown, expected: list[tuple[str, str | None]]) -> None:
    look = compare(known_of(PLAIN), shown)
    assert [(change.op.value, change.category) for change in look.changes] == expected
    assert compare(look.known, shown).changes == (), "the same is not reported twice"


def test_an_edit_carries_the_text() -> None:
    (change,) = compare(known_of(PLAIN), Shown("new", "someone", 5, edited=0)).changes
    assert (change.op, change.text) == (Op.EDIT, "new")


@pytest.mark.parametrize("away", [Shown("[removed]", "someone", 5), Shown("[deleted]", "[deleted]", 5)])
def test_what_comes_back_is_restored_and_a_new_text_is_an_edit(away: Shown) -> None:
    gone = compare(known_of(PLAIN), away).known
    assert ops(gone, PLAIN) == [("restored", None)]
    assert ops(gone, Shown("other", "someone", 5, edited=0)) == [("restored", None), ("edit", None)]


def test_a_removed_item_that_its_author_deletes_is_deleted_then() -> None:
    removed = compare(known_of(PLAIN), Shown("[removed]", "someone", 5)).known
    assert ops(removed, Shown("[deleted]", "[deleted]", 5)) == [("deleted", None)]


def test_an_account_deleted_while_the_item_was_away_is_told_on_its_return() -> None:
    removed = compare(known_of(PLAIN), Shown("[removed]", "[deleted]", 5)).known
    assert ops(removed, Shown("hello", "[deleted]", 5)) == [("restored", None), ("deleted", "account")]


def test_what_was_never_readable_is_restored_without_an_edit() -> None:
    known = known_of(Shown("[removed]", "someone", 5))
    assert known.visibility is Visibility.REMOVED
    assert ops(known, PLAIN) == [("restored", None)]


def test_an_edit_before_the_capture_is_no_change() -> None:
    """A record without the object that Reddit served does not tell whether the item was edited."""
    known = known_of(Shown("hello", "someone", 5, edited=None))
    look = compare(known, Shown("hello", "someone", 5, edited=1_700_000_000))
    assert look.changes == ()
    assert ops(look.known, Shown("hello", "someone", 5, edited=1_700_000_500)) == [("edit", None)]


def test_gone_needs_two_absences_and_a_subreddit_that_can_be_read() -> None:
    first = miss(known_of(PLAIN), confirms=True)
    assert first.changes == ()
    assert miss(first.known, confirms=False).changes == ()
    second = miss(first.known, confirms=True)
    assert [change.op for change in second.changes] == [Op.GONE]
    assert second.tombstone
    assert miss(second.known, confirms=True).changes == ()
    assert ops(second.known, PLAIN) == [("restored", None)]


def test_an_absence_that_ends_is_forgotten() -> None:
    absent = miss(known_of(PLAIN), confirms=True).known
    back = compare(absent, PLAIN)
    assert back.changes == ()
    assert miss(back.known, confirms=True).changes == ()


def test_tombstones_and_new_records() -> None:
    known = known_of(PLAIN)
    assert compare(known, Shown("[removed]", "someone", 5)).tombstone
    account = compare(known, Shown("hello", "[deleted]", 5))
    assert (account.tombstone, account.renews_record) == (False, True)
    removed = compare(known, Shown("[removed]", "someone", 5)).known
    later = compare(removed, Shown("[removed]", "someone", 6))
    assert later.changes
    assert (later.tombstone, later.renews_record) == (False, False)


@pytest.mark.parametrize(
    ("edited", "expected"), [(False, 0), (True, 1), (1_700_000_000.0, 1_700_000_000), (None, None), ("x", None)]
)
def test_the_time_of_an_edit_as_reddit_gives_it(edited: object, expected: int | None) -> None:
    content: dict[str, Any] = {"text": "a\ud800", "author": "b", "score": 2**70}
    shown = shown_of(content, {"edited": edited, "removed_by_category": 5})
    assert (shown.edited, shown.score, shown.category) == (expected, None, "")
    known_of(shown)  # half of a surrogate pair can be hashed


TEXTS = st.sampled_from(["hello", "bye", "[removed]", "[deleted]", "[ Removed by Reddit ]", ""])
SHOWN = st.builds(
    Shown,
    TEXTS,
    st.sampled_from(["someone", "[deleted]"]),
    st.none() | st.integers(-3, 3),
    st.none() | st.integers(0, 3),
    st.sampled_from([None, 0, 1, 1_700_000_000, 1_700_000_900]),
    st.sampled_from(["", "moderator", "deleted", "reddit"]),
)


@given(first=SHOWN, looks=st.lists(st.none() | SHOWN, max_size=8))
def test_events_are_never_repeated_and_alternate(first: Shown, looks: list[Shown | None]) -> None:
    """Whatever Reddit shows: no event without a change, and a return only after a loss."""
    known = known_of(first)
    for shown in looks:
        look = miss(known, confirms=True) if shown is None else compare(known, shown)
        found = [change.op for change in look.changes]
        if Op.RESTORED in found:
            assert known.visibility is not Visibility.VISIBLE or known.account_deleted
        if look.tombstone:
            assert look.known.visibility not in {Visibility.VISIBLE, known.visibility}
        assert (known == look.known) <= (not found)
        assert not (look.tombstone and look.renews_record)
        if shown is not None:
            assert compare(look.known, shown).changes == ()
        known = look.known
