"""Items change after their creation as on Reddit, and the truth has every change."""

from collections import Counter
from typing import Any

import pytest

from simulator.changes import ChangeError, Op
from simulator.crawl.things import State
from simulator.item import Item, Kind
from simulator.settings import ChangeSettings
from tests.simulator.place import START, Place

ALWAYS = ChangeSettings(
    edited_share=0.2, lost_posts_share=0.4, lost_comments_share=0.4, restored_share=0.5, score_steps=2, seconds=(1, 50)
)


def text_post(place: Place, **custom: Any) -> Item:
    return place.post(title="Title", selftext="text", is_self=True, author="Ann", score=3, **custom)


def test_an_edit_shows_the_new_text_and_its_time() -> None:
    place = Place()
    comment = place.comment(body="before", author="Ann", edited=False, score=1)
    place.now += 90.5
    line = place.change(Op.EDIT, comment, "after")
    shown = place.info(comment.fullname)[comment.fullname]
    assert (shown["body"], shown["edited"], shown["author"]) == ("after", START + 90.0, "Ann")
    assert line | {"kind": "", "subreddit": ""} == {
        "number": 1, "time": START + 90.5, "fullname": comment.fullname, "kind": "", "subreddit": "", "age": 90.5,
        "op": "edit", "category": None, "text": "after", "score": None, "old": "before", "new": "after", "looks": 0,
    }  # fmt: skip
    assert place.change(Op.EDIT, comment, "again")["old"] == "after"


def test_a_plain_item_keeps_all_its_fields_when_it_changes() -> None:
    place = Place()
    for item in (place.comment(), place.post()):
        before = place.info(item.fullname)[item.fullname]
        place.change(Op.SCORE, item, 77)
        after = place.info(item.fullname)[item.fullname]
        assert after == before | {"score": 77, "ups": 77}
        assert place.world.listing(item.kind, list(place.world.subreddits.values())).newest(1).items == (item,)


def test_listings_show_the_change_at_once() -> None:
    place = Place()
    comment = place.comment()
    place.listed("/r/Alpha/comments")
    place.change(Op.EDIT, comment, "new & <text>")
    (child,) = place.get("/r/Alpha/comments")["data"]["children"]
    assert child["data"]["body"] == "new & <text>"


@pytest.mark.parametrize(
    ("remover", "text", "category", "shown"),
    [
        ("moderator", "[removed]", "moderator", "moderator"),
        ("automod_filtered", "[removed]", "automod_filtered", "automod_filtered"),
        ("reddit", "[removed]", "reddit", "reddit"),
        ("admin", "[ Removed by Reddit ]", "admin", "content_takedown"),
        ("content_takedown", "[ Removed by Reddit ]", "admin", "content_takedown"),
    ],
)
def test_a_removed_post_keeps_its_author_and_says_who_removed_it(
    remover: str, text: str, category: str, shown: str
) -> None:
    place = Place()
    post = text_post(place)
    line = place.change(Op.REMOVE, post, remover)
    data = place.info(post.fullname)[post.fullname]
    assert (data["author"], data["selftext"], data["removed_by_category"]) == ("Ann", text, shown)
    assert (line["op"], line["category"], line["old"], line["new"]) == ("removed", category, "public", "removed")
    assert place.listed("/r/Alpha/new") == []


def test_a_removed_comment_does_not_say_who_removed_it() -> None:
    place = Place()
    comment = place.comment(body="text", author="Ann")
    assert place.change(Op.REMOVE, comment, "automod_filtered")["category"] == "moderator"
    data = place.info(comment.fullname)[comment.fullname]
    assert (data["author"], data["body"], "removed_by_category" in data) == ("Ann", "[removed]", False)
    assert place.listed("/r/Alpha/comments") == []


def test_a_removed_link_has_no_text() -> None:
    place = Place()
    link = place.post(title="Title", selftext="", is_self=False, author="Ann")
    place.change(Op.REMOVE, link, "moderator")
    data = place.info(link.fullname)[link.fullname]
    assert (data["selftext"], data["removed_by_category"]) == ("", "moderator")
    with pytest.raises(ChangeError, match="is removed"):
        place.change(Op.EDIT, link, "text")


def test_a_deleted_item_has_neither_author_nor_text() -> None:
    place = Place()
    post, comment = text_post(place, author_fullname="t2_x"), place.comment(body="text", author="Ann")
    for item in (post, comment):
        line = place.change(Op.DELETE, item)
        assert (line["op"], line["category"]) == ("deleted", None)
    shown = place.info(post.fullname, comment.fullname)
    assert [data["author"] for data in shown.values()] == ["[deleted]"] * 2
    assert (shown[post.fullname]["selftext"], shown[comment.fullname]["body"]) == ("[deleted]", "[deleted]")
    assert shown[post.fullname]["removed_by_category"] == "deleted"
    assert "author_fullname" not in shown[post.fullname]
    assert post.removed_at == comment.removed_at == START


def test_the_items_of_a_deleted_account_stay_listed() -> None:
    place = Place()
    comment = place.comment(body="text", author="Ann")
    assert place.change(Op.DELETE_ACCOUNT, comment)["category"] == "account"
    data = place.info(comment.fullname)[comment.fullname]
    assert (data["author"], data["body"]) == ("[deleted]", "text")
    assert place.listed("/r/Alpha/comments") == [comment.fullname]


def test_a_gone_item_is_nowhere() -> None:
    place = Place()
    kept, gone = place.post(), place.post()
    assert place.change(Op.VANISH, gone)["op"] == "gone"
    assert list(place.info(kept.fullname, gone.fullname)) == [kept.fullname]
    assert place.listed("/r/Alpha/new") == [kept.fullname]
    assert place.answer(f"/comments/{gone.fullname[3:]}").status == 404


@pytest.mark.parametrize(
    ("op", "details"), [(Op.REMOVE, ("moderator",)), (Op.DELETE, ()), (Op.VANISH, ()), (Op.DELETE_ACCOUNT, ())]
)
def test_a_restored_item_returns_to_its_place(op: Op, details: tuple[str, ...]) -> None:
    place = Place()
    first = place.comment(body="1", author="Ann")
    place.now += 1.0
    second = place.comment()
    place.change(Op.EDIT, first, "2")
    place.change(op, first, *details)
    assert place.change(Op.RESTORE, first)["op"] == "restored"
    assert place.listed("/r/Alpha/comments") == [second.fullname, first.fullname]
    data = place.info(first.fullname)[first.fullname]
    assert (data["author"], data["body"], first.removed_at) == ("Ann", "2", None)


def test_impossible_changes_are_refused() -> None:
    place = Place()
    post = place.post(title="Title", selftext="", is_self=False)
    with pytest.raises(ChangeError, match="link"):
        place.change(Op.EDIT, post, "text")
    with pytest.raises(ChangeError, match="public already"):
        place.change(Op.RESTORE, post)
    with pytest.raises(ChangeError, match="moderator, automod_filtered"):
        place.change(Op.REMOVE, post, "nobody")
    place.change(Op.VANISH, post)
    for op in (Op.DELETE, Op.VANISH, Op.DELETE_ACCOUNT):
        with pytest.raises(ChangeError, match="gone already"):
            place.change(op, post)
    assert [change.op for change in place.world.log.since(0)] == ["gone"]


def test_info_answers_in_the_order_of_the_request_and_only_what_can_be_read() -> None:
    place = Place()
    post, comment, closed = place.post(), place.comment(), place.comment(subreddit="Beta")
    place.world.set_state("Beta", State.PRIVATE, place.now)
    names = (comment.fullname, "t1_nobody", closed.fullname, "nonsense", post.fullname)
    assert list(place.info(*names)) == [comment.fullname, post.fullname]


def test_info_of_more_than_100_names_is_empty() -> None:
    place = Place()
    names = [place.comment().fullname for _ in range(101)]
    assert list(place.info(*names[:100])) == names[:100]
    assert place.info(*names) == {}


def test_nothing_changes_by_default() -> None:
    place = Place(comments_per_second=5.0, submissions_per_second=5.0, backlog=20)
    place.advance(60.0)
    assert len(place.world.log) == 0
    assert all(item.later is None and item.num_comments is None for item in place.world.truth())


def test_items_change_at_random_in_the_given_shares() -> None:
    place = Place(comments_per_second=30.0, submissions_per_second=30.0, backlog=50, changes=ALWAYS, seed=5)
    place.advance(60.0)
    created = place.world.counts[Kind.COMMENTS] + place.world.counts[Kind.SUBMISSIONS]
    place.simulation.world.arrivals[Kind.COMMENTS].pause(place.now)
    place.simulation.world.arrivals[Kind.SUBMISSIONS].pause(place.now)
    place.advance(110.0)
    changes = list(place.world.log.since(0))
    ops = Counter(change.op for change in changes)
    lost = {change.fullname for change in changes if change.op in {"removed", "deleted", "gone"}}
    assert 0.34 < len(lost) / created < 0.46
    assert 0.08 < ops["edit"] / created < 0.24
    assert ops["score"] > created
    assert 0 < ops["restored"] < ops["removed"]
    assert [change.number for change in changes] == list(range(1, len(changes) + 1))
    assert [change.at for change in changes] == sorted(change.at for change in changes)
    assert {change.fullname for change in changes if change.op == "gone"}.isdisjoint(place.info(*list(lost)[:100]))


def test_the_same_seed_changes_the_same() -> None:
    one, same, other = (
        Place(comments_per_second=9.0, submissions_per_second=9.0, changes=ALWAYS, seed=seed) for seed in (3, 3, 4)
    )
    for _ in range(120):
        same.advance(0.5)
    for place in (one, other):
        place.advance(60.0)
    logs = [[change.truth() for change in place.world.log.since(0)] for place in (one, same, other)]
    assert logs[0] == logs[1] != logs[2]
    plain = Place(comments_per_second=9.0, submissions_per_second=9.0, seed=3)
    plain.advance(60.0)
    assert [item.fullname for item in plain.world.truth()] == [item.fullname for item in one.world.truth()]


def test_removals_by_share_are_in_the_truth_too() -> None:
    place = Place(comments_per_second=10.0, removed_share=1.0, removed_seconds=(1.0, 1.0))
    place.advance(10.0)
    removed = [item for item in place.world.truth() if item.removed_at is not None]
    changes = list(place.world.log.since(0))
    assert [change.fullname for change in changes] == [item.fullname for item in removed]
    assert {(change.op, change.category) for change in changes} == {("removed", "moderator")}
    data = place.info(removed[0].fullname)[removed[0].fullname]
    assert (data["author"], data["body"]) == ("[deleted]", "[removed]")


def test_comments_are_counted_where_that_is_wanted() -> None:
    place = Place(count_comments=True)
    post = place.post()

    def count() -> object:
        (child,) = place.get("/r/Alpha/new")["data"]["children"]
        assert child["data"] == place.info(post.fullname)[post.fullname]
        return child["data"]["num_comments"]

    assert count() == 0
    first, second = place.comment(post.fullname), place.comment(post.fullname)
    assert count() == 2
    place.change(Op.REMOVE, first, "moderator")
    place.change(Op.VANISH, second)
    assert count() == 0
    place.change(Op.RESTORE, first)
    assert count() == 1
