"""The world keeps the truth: when each item was made, could be seen, and was gone."""

from typing import Any

from simulator.crawl.things import State
from simulator.item import Item, Kind
from simulator.settings import Settings
from simulator.world import World

START = 1_700_000_000.25
CALM: dict[str, Any] = {"subreddits": ("Alpha", "Beta"), "late_share": 0.0, "removed_share": 0.0}


def world(**settings: Any) -> World:
    return World(Settings(**CALM | settings), START)


def quiet(**settings: Any) -> World:
    return world(**{"comments_per_second": 0.0, "submissions_per_second": 0.0} | settings)


def listed(place: World, kind: Kind = Kind.COMMENTS, *names: str) -> list[Item]:
    chosen = [each for each in place.subreddits.values() if not names or each.name in names]
    return list(place.listing(kind, chosen).newest(1000).items)


def test_the_same_seed_makes_the_same_world() -> None:
    one, same, other = (world(seed=seed, late_share=0.2, removed_share=0.2) for seed in (3, 3, 4))
    for each in (one, same, other):
        each.advance(START + 30.0)
    truths = [[item.truth() for item in each.truth()] for each in (one, same, other)]
    assert truths[0] == truths[1]
    assert truths[0] != truths[2]


def test_how_often_one_looks_changes_nothing() -> None:
    seldom, often = world(late_share=0.2, removed_share=0.2), world(late_share=0.2, removed_share=0.2)
    seldom.advance(START + 20.0)
    for tenth in range(1, 201):
        often.advance(START + tenth / 10)
    assert [item.truth() for item in seldom.truth()] == [item.truth() for item in often.truth()]


def test_an_item_surfaces_when_it_is_made() -> None:
    place = world()
    place.advance(START + 10.0)
    comments = list(place.truth(Kind.COMMENTS))
    assert len(comments) == 200
    assert all(item.surfaced_at == item.created for item in comments)
    assert listed(place)[0] is comments[-1]


def test_creation_is_told_in_whole_seconds() -> None:
    place = quiet()
    item = place.make(Kind.COMMENTS, START)
    assert (item.created, item.truth()["created_utc"]) == (START, 1_700_000_000.0)


def test_a_late_item_surfaces_below_newer_ones() -> None:
    place = world(late_share=1.0, late_seconds=(3.0, 12.0), comments_per_second=10.0)
    place.advance(START + 60.0)
    seen = [item for item in place.truth(Kind.COMMENTS) if item.surfaced_at is not None]
    assert all(3.0 <= (item.surfaced_at or 0.0) - item.created <= 12.0 for item in seen)
    order = [item.created for item in listed(place)]
    assert order == sorted(order, reverse=True)
    surfaced = [item.surfaced_at or 0.0 for item in listed(place)]
    assert surfaced != sorted(surfaced, reverse=True)


def test_an_item_that_has_not_surfaced_cannot_be_found() -> None:
    place = world(late_share=1.0, late_seconds=(5.0, 5.0))
    place.advance(START + 4.0)
    hidden = next(place.truth(Kind.COMMENTS))
    assert place.find(hidden.fullname) is None
    assert hidden.truth()["surfaced_at"] is None
    place.advance(START + 6.0)
    assert place.find(hidden.fullname) is hidden


def test_removed_items_leave_the_listing_and_stay_in_the_truth() -> None:
    place = world(removed_share=1.0, removed_seconds=(1.0, 1.0))
    place.advance(START + 5.0)
    gone = [item for item in place.truth(Kind.COMMENTS) if item.removed_at is not None]
    assert gone
    assert all(item.removed_at == item.created + 1.0 for item in gone)
    assert not set(gone) & set(listed(place))


def test_an_item_removed_before_it_surfaces_never_surfaces() -> None:
    place = world(late_share=1.0, late_seconds=(5.0, 5.0), comments_per_second=1.0, submissions_per_second=0.0)
    place.advance(START + 2.0)
    hidden = next(place.truth())
    assert place.remove(hidden.fullname, START + 2.0)
    assert not place.remove(hidden.fullname, START + 2.0)
    place.advance(START + 20.0)
    assert hidden.surfaced_at is None
    assert hidden not in listed(place)


def test_what_is_pushed_out_knows_when() -> None:
    place = quiet(cap=2, subreddits=("Alpha",))
    first = place.make(Kind.COMMENTS, START)
    place.make(Kind.COMMENTS, START + 1.0)
    assert first.fell_off_at is None
    place.make(Kind.COMMENTS, START + 2.0)
    assert first.fell_off_at == START + 2.0
    assert place.find(first.fullname) is first


def test_an_item_too_old_for_a_full_list_is_pushed_out_without_having_surfaced() -> None:
    place = quiet(cap=2, subreddits=("Alpha",))
    for second in range(2):
        place.make(Kind.COMMENTS, START + second)
    late = place.make(Kind.COMMENTS, START + 2.0, age=60.0)
    assert (late.surfaced_at, late.fell_off_at) == (None, START + 2.0)


def test_kinds_and_subreddits_do_not_push_each_other_out() -> None:
    place = quiet(cap=1)
    kept = [place.make(kind, START, subreddit=name) for kind in Kind for name in ("Alpha", "Beta")]
    assert all(item.fell_off_at is None for item in kept)
    assert [listed(place, kind, name)[0] for kind in Kind for name in ("Alpha", "Beta")] == kept


def test_the_backlog_stands_in_the_listings_at_the_start() -> None:
    place = world(backlog=300)
    items = list(place.truth(Kind.COMMENTS))
    assert len(items) == 300
    assert all(item.created < START and item.surfaced_at == START for item in items)
    assert len(listed(place)) == 300


def test_a_backlog_longer_than_the_listing_was_never_to_be_seen() -> None:
    place = quiet(backlog=10, cap=4, subreddits=("Alpha",))
    seen = [item.surfaced_at is not None for item in place.truth(Kind.COMMENTS)]
    assert seen == [False] * 6 + [True] * 4


def test_comments_answer_submissions_of_their_own_subreddit() -> None:
    place = world(submissions_per_second=2.0)
    place.advance(START + 20.0)
    threads = place.items | place.ancient
    comments = list(place.truth(Kind.COMMENTS))
    assert all(threads[item.link].subreddit == item.subreddit for item in comments)
    replies = [item for item in comments if item.parent.startswith("t1_")]
    assert replies
    assert all(threads[item.parent].link == item.link for item in replies)


def test_there_is_something_to_comment_on_even_without_submissions() -> None:
    place = quiet()
    item = place.make(Kind.COMMENTS, START)
    assert place.find(item.link) is not None
    assert item.link not in place.items, "the old thread is no part of the truth"


def test_random_ids_are_unique_and_without_order() -> None:
    place = world()
    place.advance(START + 50.0)
    names = [item.fullname for item in place.truth(Kind.COMMENTS)]
    assert len(set(names)) == 1000
    assert names != sorted(names)
    assert all(len(name) == len("t1_") + 7 for name in names)


def test_sequential_ids_count_up() -> None:
    place = world(sequential_ids=True)
    place.advance(START + 50.0)
    names = [item.fullname for item in place.truth(Kind.COMMENTS)]
    assert names == sorted(names)


def test_nothing_new_appears_in_a_closed_subreddit() -> None:
    place = world()
    place.set_state("alpha", State.PRIVATE, START)
    place.advance(START + 20.0)
    assert {item.subreddit for item in place.truth()} == {"Beta"}


def test_a_late_item_of_a_closed_subreddit_surfaces_when_it_opens() -> None:
    place = world(late_share=1.0, late_seconds=(5.0, 5.0), subreddits=("Alpha",))
    place.advance(START + 3.0)
    place.set_state("Alpha", State.PRIVATE, START + 3.0)
    place.advance(START + 10.0)
    first = next(place.truth())
    assert first.surfaced_at is None
    place.set_state("Alpha", State.PUBLIC, START + 10.0)
    assert first.surfaced_at == START + 10.0


def test_an_injected_item_has_exactly_the_fields_given_and_a_name() -> None:
    place = quiet()
    item = place.make(Kind.COMMENTS, START, custom={"body": 7})
    assert item.custom == {"body": 7, "name": item.fullname}
    named = place.make(Kind.COMMENTS, START, custom={"name": "t1_mine"})
    assert place.find("t1_mine") is named
