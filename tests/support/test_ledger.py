"""The ledger must be strict: each way to lose, duplicate or invent an item is reported under its own name."""

from dataclasses import replace

from tests.support.ledger import Gap, Item, compare, out_of_order
from tests.support.topic import Record

SHOWN = Item(
    "t1_a", "comments", "Bitcoin", created=100.4, surfaced_at=100.4, removed_at=None, fell_off_at=None, shown_at=101.0
)


def record(name: str, *, partition: int = 0, offset: int = 0, seq: int = 1) -> Record:
    headers = {"stream": "comments", "seq": str(seq), "schema": "reddit.comment.v1"}
    return Record(partition, offset, name, {}, headers, 0.0)


def gap(start: float, end: float, *, repaired: bool = False) -> Gap:
    return Gap("comments", frozenset({"bitcoin"}), start, end, repaired)


def test_an_item_in_the_topic_once_is_neither_lost_nor_doubled() -> None:
    ledger = compare([SHOWN], [record("t1_a")])
    assert (ledger.due, ledger.delivered, ledger.lost, ledger.duplicated) == (1, 1, (), {})


def test_an_item_that_was_never_shown_but_stood_in_the_listing_is_lost_too() -> None:
    unseen = replace(SHOWN, shown_at=None)
    assert compare([unseen], []).lost == (unseen,)


def test_an_item_removed_after_it_was_shown_is_due() -> None:
    removed = replace(SHOWN, removed_at=102.0)
    assert compare([removed], []).lost == (removed,)


def test_an_item_removed_before_anyone_saw_it_is_not_due_but_welcome() -> None:
    unseen = replace(SHOWN, shown_at=None, removed_at=100.9)
    assert compare([unseen], []).lost == ()
    assert compare([unseen], [record("t1_a")]).invented == ()


def test_an_item_yet_to_surface_keeps_the_run_open() -> None:
    held = replace(SHOWN, surfaced_at=None, shown_at=None)
    ledger = compare([held], [])
    assert (ledger.waiting, ledger.lost) == (1, ())
    hidden = compare([replace(held, hidden="all")], [])
    assert (hidden.waiting, hidden.lost) == (0, ())


def test_two_copies_are_named_with_their_count() -> None:
    assert compare([SHOWN], [record("t1_a"), record("t1_a", offset=1)]).duplicated == {"t1_a": 2}


def test_a_record_that_reddit_never_made_is_invented() -> None:
    assert compare([SHOWN], [record("t1_a"), record("t1_b")]).invented == ("t1_b",)


def test_a_loss_inside_a_gap_is_a_loss_but_an_admitted_one() -> None:
    ledger = compare([SHOWN], [], [gap(90.0, 110.0)])
    assert (len(ledger.lost), len(ledger.lost_outside_gaps)) == (1, 0)


def test_a_gap_covers_whole_seconds_at_its_end() -> None:
    assert gap(90.0, 100.0).covers(SHOWN)
    assert not gap(90.0, 99.0).covers(SHOWN)
    assert not gap(101.0, 110.0).covers(SHOWN)


def test_a_gap_excuses_only_its_own_stream_and_subreddits_and_only_until_repaired() -> None:
    assert not gap(90.0, 110.0).covers(replace(SHOWN, stream="submissions"))
    assert not gap(90.0, 110.0).covers(replace(SHOWN, subreddit="ethereum"))
    assert not gap(90.0, 110.0, repaired=True).covers(SHOWN)


def test_gaps_are_read_with_times_in_seconds_or_in_words() -> None:
    entry = {
        "stream": "comments",
        "subreddits": ["Bitcoin"],
        "from": 0,
        "to": "1970-01-01T00:02:00+00:00",
        "state": "open",
    }
    assert Gap.from_report(entry) == gap(0.0, 120.0)
    assert Gap.from_report(entry | {"from": None}) == gap(float("-inf"), 120.0)
    assert Gap.from_report(entry | {"to": None, "state": "repaired"}) == gap(0.0, float("inf"), repaired=True)
    assert Gap.from_report(entry | {"from": 60, "late_from": 30}) == gap(30.0, 120.0), "late ones may be missing"


def test_order_is_judged_by_first_copies_within_a_partition() -> None:
    good = [record("t1_a", seq=1), record("t1_b", offset=1, seq=2), record("t1_a", offset=2, seq=1)]
    assert out_of_order(good) == []
    elsewhere = record("t1_c", partition=1, seq=0)
    assert out_of_order([*good, elsewhere]) == []
    backwards = record("t1_d", offset=3, seq=1)
    assert out_of_order([*good, backwards]) == [(good[1], backwards)]
