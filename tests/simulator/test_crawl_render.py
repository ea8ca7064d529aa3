"""Answers of the crawl world have Reddit's shapes, whatever they are made from."""

import json
import random
from typing import Any

import pytest

from simulator.crawl import templates
from simulator.crawl.api import CrawlApi
from simulator.crawl.crawl_paths import Address, CrawlRequest, read
from simulator.crawl.crawl_render import CrawlRenderer
from simulator.crawl.served_world import CrawlWorld
from simulator.crawl.templates import Thing, odd_text
from simulator.settings import CrawlSettings


def api(found: dict[str, list[Thing]] | None = None, cache: int = 10**6, **settings: Any) -> CrawlApi:
    place = CrawlWorld(CrawlSettings(subreddits=30, **settings), ("Alpha",), 7)
    return CrawlApi(place, CrawlRenderer(templates.complete(found or {}, 7)), cache)


def ask(server: CrawlApi, path: str, **query: str) -> Any:
    asked = read(path, {"raw_json": "1"} | query)
    assert asked is not None
    answer = server.answer(asked)
    assert answer.status == 200
    assert answer.asked == asked
    return json.loads(answer.body)


@pytest.mark.parametrize(
    ("path", "query", "address"),
    [
        ("/r/A/about", {}, Address.ABOUT),
        ("/r/A/about.json", {}, Address.ABOUT),
        ("/r/A/about/rules.json/", {}, Address.RULES),
        ("/r/A/hot", {}, Address.HOT),
        ("/r/A/top", {"t": "week"}, Address.WEEK),
        ("/r/A/top.json", {"t": "year"}, Address.YEAR),
        ("/r/A/top", {}, Address.TOP),
        ("/user/A-b_c/about", {}, Address.USER),
        ("/user/A/submitted.json", {}, Address.SUBMITTED),
    ],
)
def test_addresses_are_told_apart(path: str, query: dict[str, str], address: Address) -> None:
    asked = read(path, query)
    assert asked is not None
    assert asked.address is address


@pytest.mark.parametrize("path", ["/r/A/new", "/r/A+B/hot", "/r/A/about/sidebar", "/user/A", "/r/Ä/about", "/api/info"])
def test_other_paths_are_not_of_this_world(path: str) -> None:
    assert read(path, {}) is None


def test_all_answers_are_json_that_agrees_with_the_world() -> None:
    server = api()
    for number in range(30):
        name = server.world.name(number)
        if server.world.state(number) != "public":
            continue
        about = ask(server, f"/r/{name.upper()}/about")
        assert (about["kind"], about["data"]["display_name"]) == ("t5", name)
        assert {"rules", "site_rules"} <= set(ask(server, f"/r/{name}/about/rules"))
        hot = ask(server, f"/r/{name}/hot", limit="100")
        assert hot["kind"] == "Listing"
        subreddit = server.world.subreddit(number)
        for child, place in zip(hot["data"]["children"], subreddit.hot[:100], strict=True):
            data, post = child["data"], subreddit.posts[place]
            assert (child["kind"], data["id"], data["name"]) == ("t3", post.bare, f"t3_{post.bare}")
            assert (data["subreddit"], data["author"]) == (name, post.author or "[deleted]")
            assert (data["score"], data["created_utc"], data["stickied"]) == (post.score, post.created, post.stickied)
            assert ("author_fullname" in data) == (post.author is not None)


def test_what_is_odd_occurs() -> None:
    made = templates.complete({}, 7)
    for field, odd in (("upvote_ratio", None), ("is_video", True), ("over_18", True), ("edited", True)):
        assert any(post[field] is odd for post in made.posts)
    assert any("crosspost_parent_list" in post for post in made.posts)
    assert max(len(post["selftext"]) for post in made.posts) == 40_000
    text = odd_text(random.Random(1), 2000)
    assert "\0" not in text
    assert text.encode()
    assert {"🚀", "\u2028", "&amp;"} <= set(text.split(" "))


def test_limit_and_after_walk_a_listing() -> None:
    server = api()
    whole = [child["data"]["name"] for child in ask(server, "/r/Alpha/hot", limit="100")["data"]["children"]]
    first = ask(server, "/r/Alpha/hot", limit="30")["data"]
    assert first["after"] == whole[29]
    second = ask(server, "/r/Alpha/hot", limit="30", after=first["after"])["data"]
    assert [child["data"]["name"] for child in second["children"]] == whole[30:60]
    assert ask(server, "/r/Alpha/hot", after="t3_nothere")["data"]["children"] == []
    assert len(ask(server, "/r/Alpha/top", t="year")["data"]["children"]) == 25
    assert ask(server, "/r/Alpha/top", t="week", limit="100")["data"]["after"] is None


def test_strings_are_escaped_unless_raw_json_is_asked_for() -> None:
    server = api({"t5": [{"name": "t5_x", "title": "a < b & c > d"}]})
    assert ask(server, "/r/Alpha/about")["data"]["title"] == "a < b & c > d"
    assert ask(server, "/r/Alpha/about", raw_json="0")["data"]["title"] == "a &lt; b &amp; c &gt; d"


def test_real_things_keep_what_is_theirs_under_fresh_names() -> None:
    found: dict[str, list[Thing]] = {
        "t3": [
            {
                "name": "t3_o",
                "title": "Ü",
                "is_self": True,
                "edited": 5.0,
                "url": "https://old/",
                "subreddit_type": "user",
            }
        ],
        "t2": [{"name": "old", "id": "old", "is_gold": True, "subreddit": {"title": "me", "display_name": "u_old"}}],
        "t5": [{"name": "t5_o", "display_name": "old", "lang": "tlh", "subreddit_type": "user"}],
    }
    server = api(found, suspended_share=0.0, gone_share=0.0)
    data = ask(server, "/r/Alpha/hot", limit="1")["data"]["children"][0]["data"]
    assert (data["title"], data["subreddit"], data["subreddit_type"]) == ("Ü", "Alpha", "public")
    assert data["url"] == f"https://www.reddit.com{data['permalink']}"
    assert 0 <= data["edited"] - data["created_utc"] <= 1800
    user = ask(server, f"/user/{server.world.names.user(0)}/about")["data"]
    assert (user["name"], user["is_gold"]) == (server.world.names.user(0), True)
    assert (user["subreddit"]["title"], user["subreddit"]["display_name"]) == ("me", f"u_{user['name']}")
    about = ask(server, "/r/Alpha/about")["data"]
    assert (about["display_name"], about["lang"], about["subreddit_type"]) == ("Alpha", "tlh", "public")


def test_rendered_answers_are_kept_up_to_a_bound() -> None:
    server = api(cache=100_000)
    asked = CrawlRequest(Address.HOT, "Alpha", limit=10, raw=True)
    first = server.answer(asked).body
    assert server.answer(asked._replace(name="ALPHA")).body is first
    for number in range(2, 8):
        server.answer(CrawlRequest(Address.ABOUT, server.world.name(number)))
        server.answer(CrawlRequest(Address.HOT, server.world.name(number), limit=20, raw=True))
    assert server.answer(asked).body is not first
    assert server.answer(asked).body == first
