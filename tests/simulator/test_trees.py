"""Comment trees: two listings, nested replies, and `more` for what was left out."""

from typing import Any

import pytest

from simulator.changes import Op
from simulator.crawl.things import State
from simulator.item import Item
from tests.simulator.place import Place


def bare(item: Item) -> str:
    return item.fullname.partition("_")[2]


def tree(place: Place, post: Item, **query: Any) -> list[dict[str, Any]]:
    """Return the things of the second listing."""
    head, comments = place.get(f"/comments/{bare(post)}", **query)
    assert [child["data"]["name"] for child in head["data"]["children"]] == [post.fullname]
    assert (head["data"]["dist"], comments["data"]["dist"]) == (1, None)
    children: list[dict[str, Any]] = comments["data"]["children"]
    return children


def outline(things: list[dict[str, Any]]) -> list[Any]:
    """Return names with their replies; of a `more` its children and its count."""
    shown: list[Any] = []
    for thing in things:
        data = thing["data"]
        if thing["kind"] == "more":
            shown.append((data["children"], data["count"]))
        elif data["replies"] == "":
            shown.append(data["name"])
        else:
            shown.append([data["name"], *outline(data["replies"]["data"]["children"])])
    return shown


@pytest.fixture
def place() -> Place:
    return Place()


def chain(place: Place, post: Item, length: int) -> list[Item]:
    """Make comments, each a reply to the one before."""
    made: list[Item] = []
    for _ in range(length):
        made.append(place.comment(made[-1].fullname if made else post.fullname))
    return made


def test_replies_are_nested(place: Place) -> None:
    post = place.post()
    first = place.comment(post.fullname)
    reply = place.comment(first.fullname)
    other = place.comment(post.fullname)
    things = tree(place, post, sort="old")
    assert outline(things) == [[first.fullname, reply.fullname], other.fullname]
    (child,) = things[0]["data"]["replies"]["data"]["children"]
    assert child["data"] == place.info(reply.fullname)[reply.fullname] | {"depth": 1}
    assert (child["data"]["parent_id"], child["data"]["link_id"]) == (first.fullname, post.fullname)


def test_the_address_may_name_the_subreddit_and_a_comment(place: Place) -> None:
    post = place.post()
    first, reply, _ = chain(place, post, 3)
    for path in (f"/r/alpha/comments/{bare(post)}", f"/r/Alpha/comments/{bare(post)}/a_title"):
        assert outline(place.get(path)[1]["data"]["children"])[0][0] == first.fullname
    _, comments = place.get(f"/r/Alpha/comments/{bare(post)}/_/{bare(reply)}")
    assert outline(comments["data"]["children"])[0][0] == reply.fullname
    elsewhere = place.answer(f"/r/Beta/comments/{bare(post)}")
    assert (elsewhere.status, elsewhere.headers["Location"]) == (302, f"/r/Alpha/comments/{bare(post)}/")
    assert place.answer("/comments/nothing").status == 404
    assert place.answer(f"/comments/{bare(post)}/_/nothing").status == 404


def test_the_tree_of_an_old_thread_can_be_read(place: Place) -> None:
    comment = place.comment()
    assert comment.link in place.world.ancient
    things = tree(place, place.world.ancient[comment.link])
    assert outline(things) == [comment.fullname]


def test_a_closed_subreddit_refuses(place: Place) -> None:
    post = place.post()
    place.world.set_state("Alpha", State.PRIVATE, place.now)
    assert place.answer(f"/comments/{bare(post)}").status == 403


def test_the_limit_cuts_and_more_tells_the_rest(place: Place) -> None:
    post = place.post()
    comments = [place.comment(post.fullname) for _ in range(5)]
    replies = [place.comment(comments[4].fullname) for _ in range(2)]
    shown = outline(tree(place, post, limit=3, sort="old"))
    assert shown == [*(item.fullname for item in comments[:3]), ([bare(comments[3]), bare(comments[4])], 4)]
    everything = outline(tree(place, post, limit=7, sort="old"))
    assert everything[-1] == [comments[4].fullname, *(item.fullname for item in replies)]


def test_the_sort_decides_the_order(place: Place) -> None:
    post = place.post()
    comments = []
    for score in (5, 50, 20):
        place.now += 1.0
        comments.append(place.comment(post.fullname))
        place.change(Op.SCORE, comments[-1], score)
    low, high, middle = (item.fullname for item in comments)
    assert outline(tree(place, post)) == outline(tree(place, post, sort="top")) == [high, middle, low]
    assert outline(tree(place, post, sort="new")) == [middle, high, low]
    assert outline(tree(place, post, sort="old", limit=2))[:2] == [low, high]


def test_the_depth_cuts_with_a_link_to_the_rest(place: Place) -> None:
    post = place.post()
    items = chain(place, post, 12)
    assert outline(tree(place, post, depth=2)) == [[items[0].fullname, [items[1].fullname, ([], 0)]]]
    things = tree(place, post)
    for _ in range(9):
        things = things[0]["data"]["replies"]["data"]["children"]
    assert things[0]["data"]["name"] == items[9].fullname
    (more,) = things[0]["data"]["replies"]["data"]["children"]
    assert more["data"] == {
        "count": 0, "name": "t1__", "id": "_", "parent_id": items[9].fullname, "depth": 10, "children": [],
    }  # fmt: skip


def test_more_children_are_given_flat(place: Place) -> None:
    post = place.post()
    comments = [place.comment(post.fullname) for _ in range(3)]
    reply = place.comment(comments[2].fullname)
    (more,) = (thing["data"] for thing in tree(place, post, limit=1, sort="old") if thing["kind"] == "more")
    answer = place.get(
        "/api/morechildren", link_id=post.fullname, children=",".join(more["children"]), sort="old", api_type="json"
    )
    things = [thing["data"] for thing in answer["json"]["data"]["things"]]
    assert [(data["name"], data["depth"], data["replies"]) for data in things] == [
        (comments[1].fullname, 0, ""), (comments[2].fullname, 0, ""), (reply.fullname, 1, ""),
    ]  # fmt: skip
    assert more["count"] == len(things)
    assert answer["json"]["errors"] == []


def test_a_removed_comment_holds_the_place_of_its_replies(place: Place) -> None:
    post = place.post()
    removed, deleted, lone, gone = (place.comment(post.fullname, body="text", author="Ann") for _ in range(4))
    replies = [place.comment(item.fullname) for item in (removed, deleted, gone)]
    place.change(Op.REMOVE, removed, "moderator")
    place.change(Op.DELETE, deleted)
    place.change(Op.REMOVE, lone, "moderator")
    place.change(Op.VANISH, gone)
    things = tree(place, post, sort="old")
    assert outline(things) == [[removed.fullname, replies[0].fullname], [deleted.fullname, replies[1].fullname]]
    assert [thing["data"]["body"] for thing in things] == ["[removed]", "[deleted]"]
    assert list(place.info(replies[2].fullname)) == [replies[2].fullname]


def test_a_late_comment_is_not_in_the_tree_before_it_surfaces() -> None:
    place = Place(comments_per_second=1.0, late_share=1.0, late_seconds=(10.0, 10.0), subreddits=("Alpha",))
    (post,) = place.world.ancient.values()
    place.advance(5.0)
    assert tree(place, post) == []
    place.advance(10.0)
    assert tree(place, post)


def test_strings_are_escaped_unless_raw_json_is_wanted(place: Place) -> None:
    post = place.post(title="a & b", selftext="", is_self=True, name="t3_escaped")
    assert place.get(f"/comments/{bare(post)}")[0]["data"]["children"][0]["data"]["title"] == "a & b"
    escaped = place.get(f"/comments/{bare(post)}", raw_json="0")
    assert escaped[0]["data"]["children"][0]["data"]["title"] == "a &amp; b"
