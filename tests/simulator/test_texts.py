"""The bodies of items come from files of Reddit's objects, or are made up."""

import gzip
import json
from pathlib import Path
from typing import Any

import pytest

from simulator import texts
from simulator.item import Item, Kind
from simulator.later import Later
from simulator.listing import Page
from simulator.render import Renderer, subreddit_id
from simulator.texts import Texts, TextsError

COMMENT = {"name": "t1_old", "id": "old", "body": "a <b> & c", "author": None, "replies": {"kind": "Listing"}, "ups": 3}
LINK = {"name": "t3_old", "title": "Ü", "url": "https://news.example/?a=1&b=2", "is_self": False, "created_utc": 1.0}
SELF = {"name": "t3_old", "title": "T", "selftext": "", "is_self": True, "url": "https://www.reddit.com/r/Old/1/"}


def item(kind: Kind, template: int = 0, **fields: Any) -> Item:
    return Item(1, kind, f"{kind.prefix}_new", "Alpha", 1700000000.75, template, **fields)


def rendered(thing: bytes) -> dict[str, Any]:
    content: dict[str, Any] = json.loads(thing)
    return content


def test_a_folder_gives_its_t1_and_t3_files(tmp_path: Path) -> None:
    (tmp_path / "t1.jsonl").write_text(json.dumps(COMMENT) + "\n\n" + json.dumps({"kind": "t1", "data": COMMENT}))
    (tmp_path / "t3.jsonl.gz").write_bytes(gzip.compress(json.dumps(SELF).encode()))
    (tmp_path / "t6.jsonl").write_text("not looked at")
    loaded = texts.load([tmp_path], 1)
    assert (len(loaded.comments), len(loaded.submissions)) == (2, 1)


def test_what_the_files_lack_is_made_up(tmp_path: Path) -> None:
    file = tmp_path / "some.jsonl"
    file.write_text(json.dumps({"body": "nameless"}))
    loaded = texts.load([file], 1)
    assert [comment["body"] for comment in loaded.comments] == ["nameless"]
    assert all(submission["title"] for submission in loaded.submissions)


@pytest.mark.parametrize(("content", "hint"), [("{", "not JSON"), ('{"a": 1}', "line 1: neither"), ("[]", "not JSON")])
def test_a_file_that_cannot_be_used_is_named(tmp_path: Path, content: str, hint: str) -> None:
    (tmp_path / "t1.jsonl").write_text(content)
    with pytest.raises(TextsError, match=hint):
        texts.load([tmp_path], 1)
    with pytest.raises(TextsError, match="no such file"):
        texts.load([tmp_path / "missing"], 1)


def test_a_comment_keeps_its_body_and_gets_fresh_names() -> None:
    renderer = Renderer(Texts((SELF,), (COMMENT,)))
    thing = rendered(renderer.thing(item(Kind.COMMENTS, link="t3_l", parent="t1_p")))
    data = thing["data"]
    assert thing["kind"] == "t1"
    assert (data["body"], data["author"], data["ups"]) == ("a <b> & c", None, 3)
    assert (data["id"], data["name"], data["created_utc"]) == ("new", "t1_new", 1700000000.0)
    assert (data["link_id"], data["parent_id"], data["replies"]) == ("t3_l", "t1_p", "")
    assert (data["subreddit"], data["permalink"]) == ("Alpha", "/r/Alpha/comments/l/_/new/")


def test_a_link_keeps_its_address_and_a_text_points_at_itself() -> None:
    renderer = Renderer(Texts((LINK, SELF), (COMMENT,)))
    link, text = (rendered(renderer.thing(item(Kind.SUBMISSIONS, number)))["data"] for number in range(2))
    assert link["url"] == LINK["url"]
    assert text["url"] == "https://www.reddit.com/r/Alpha/comments/new/_/"


def test_templates_are_used_in_turn() -> None:
    renderer = Renderer(Texts((LINK, SELF), (COMMENT,)))
    titles = [rendered(renderer.thing(item(Kind.SUBMISSIONS, number)))["data"]["title"] for number in range(4)]
    assert titles == ["Ü", "T", "Ü", "T"]


def test_strings_are_escaped_unless_raw_json_is_asked_for() -> None:
    renderer = Renderer(Texts((LINK,), (COMMENT,)))
    page = Page((item(Kind.COMMENTS),), after="t1_x")
    raw, escaped = (rendered(renderer.page(page, raw=raw))["data"] for raw in (True, False))
    assert raw["children"][0]["data"]["body"] == "a <b> & c"
    assert escaped["children"][0]["data"]["body"] == "a &lt;b&gt; &amp; c"
    assert (raw["after"], raw["before"], raw["dist"], raw["modhash"]) == ("t1_x", None, 1, None)


def test_of_a_removed_item_only_the_shell_is_left() -> None:
    renderer = Renderer(Texts((SELF,), (COMMENT,)))
    removed: dict[str, Any] = {"removed_at": 1.0, "later": Later(removed_by="moderator", author_hidden=True)}
    data = rendered(renderer.thing(item(Kind.COMMENTS, **removed)))["data"]
    assert (data["author"], data["body"], data["name"]) == ("[deleted]", "[removed]", "t1_new")
    assert rendered(renderer.thing(item(Kind.SUBMISSIONS, **removed)))["data"]["selftext"] == "[removed]"


def test_an_injected_item_is_written_as_it_was_given() -> None:
    odd = {"name": "t1_new", "created_utc": "yesterday"}
    assert rendered(Renderer(texts.load([], 1)).thing(item(Kind.COMMENTS, custom=odd)))["data"] == odd


def test_made_up_texts_are_the_same_for_the_same_seed() -> None:
    assert texts.load([], 1) == texts.load([], 1) != texts.load([], 2)


def test_subreddits_have_names_of_their_own() -> None:
    assert subreddit_id("CryptoCurrency") == subreddit_id("cryptocurrency") != subreddit_id("CryptoMarkets")
