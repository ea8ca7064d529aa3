"""The record of an item: what the contract says, whatever Reddit left out or got wrong."""

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from jsonschema import Draft202012Validator

from core.stream_kinds import kind_of
from streams.record import make_record
from streams.reddit.listing_page import parse_page
from tests.streams.capture.world import envelope

ROOT = Path(__file__).resolve().parents[2]
#: real answers of Reddit, where somebody has put them beside the repository
SAMPLES = next(
    (found for parent in ROOT.parents if (found := parent / "shared" / "reddit-samples").is_dir()),
    ROOT.parent / "shared" / "reddit-samples",
)
STREAMS = ("submissions", "comments")
MOMENT = 1_763_000_000.25

BOTH = {
    "content_id", "content_type", "fullname", "subreddit", "author", "text", "score", "created_utc", "permalink",
    "timestamp", "source",
}  # fmt: skip
FIELDS = {
    "submissions": BOTH | {"title", "url", "num_comments", "over_18", "link_flair_text"},
    "comments": BOTH | {"parent_id", "link_id"},
}


@cache
def validator(stream: str) -> Draft202012Validator:
    schema = json.loads((ROOT / "core" / "schemas" / f"{kind_of(stream).schema}.json").read_text())
    Draft202012Validator.check_schema(schema)
    return Draft202012Validator(schema)


def value_of(data: dict[str, Any], stream: str) -> dict[str, Any]:
    (item,) = parse_page(envelope([{"data": data}]), stream).items
    record = make_record(item, stream, MOMENT)
    value: dict[str, Any] = json.loads(record.value)
    validator(stream).validate(value)
    assert record.schema == kind_of(stream).schema
    assert record.key.decode() == item.name
    return value


@pytest.mark.parametrize("stream", STREAMS)
def test_the_schema_names_the_fields_of_the_contract(stream: str) -> None:
    schema = validator(stream).schema
    assert isinstance(schema, dict)
    assert set(schema["required"]) == FIELDS[stream]
    assert set(schema["properties"]) == FIELDS[stream] | {"reddit"}
    assert schema["additionalProperties"] is False
    assert all("description" in field for field in schema["properties"].values())


def test_a_comment() -> None:
    data = {
        "id": "abc", "name": "t1_abc", "subreddit": "Bitcoin", "author": "satoshi", "body": "Hi 🚀", "score": -3,
        "created_utc": 1700000000.0, "permalink": "/r/Bitcoin/x", "parent_id": "t1_p", "link_id": "t3_l",
    }  # fmt: skip
    assert value_of(data, "comments") == {
        "content_id": "abc", "content_type": "comment", "fullname": "t1_abc", "subreddit": "Bitcoin",
        "author": "satoshi", "text": "Hi 🚀", "score": -3, "created_utc": 1700000000, "permalink": "/r/Bitcoin/x",
        "timestamp": "2025-11-13T02:13:20.250+00:00", "source": "reddit", "parent_id": "t1_p", "link_id": "t3_l",
    }  # fmt: skip


@pytest.mark.parametrize(("is_self", "url"), [(True, ""), (False, "https://e.example/"), (None, "https://e.example/")])
def test_a_text_post_has_no_url(is_self: bool | None, url: str) -> None:
    data = {"name": "t3_a", "is_self": is_self, "url": "https://e.example/", "selftext": "body"}
    value = value_of(data, "submissions")
    assert (value["url"], value["text"]) == (url, "body")


@pytest.mark.parametrize(
    ("url", "expected"),
    [
        ("/r/beta/comments/xyz/t/", "https://www.reddit.com/r/beta/comments/xyz/t/"),
        ("r/beta/comments/xyz/t/", "https://www.reddit.com/r/beta/comments/xyz/t/"),
        ("/user/x/m/y", "https://www.reddit.com/user/x/m/y"),
        ("//i.redd.it/x.png", "https://i.redd.it/x.png"),
        ("example.com/x", "https://example.com/x"),
        ("../x", "https://www.reddit.com/../x"),
        (" https://e.example/ ", "https://e.example/"),
        ("HTTP://E.example/", "HTTP://E.example/"),
        ("ftp://e.example/", "ftp://e.example/"),
        ("mailto:a@e.example", "mailto:a@e.example"),
        ("https://[", "https://["),
        ("  ", ""),
        ("", ""),
        (None, ""),
    ],
)
def test_an_address_is_absolute(url: object, expected: str) -> None:
    """That of a crosspost is a path on Reddit."""
    value = value_of({"name": "t3_a", "is_self": False, "url": url, "permalink": "/r/a/comments/a/t/"}, "submissions")
    assert value["url"] == expected
    assert value["permalink"] == "/r/a/comments/a/t/", "as Reddit gives it"


@pytest.mark.parametrize(
    ("moment", "expected"),
    [
        (1_763_000_000.0, "2025-11-13T02:13:20.000+00:00"),
        (1_763_000_000.9999, "2025-11-13T02:13:20.999+00:00"),
        (1_763_000_000.001, "2025-11-13T02:13:20.001+00:00"),
    ],
)
def test_the_moment_of_capture_has_three_fraction_digits(moment: float, expected: str) -> None:
    (item,) = parse_page(envelope([{"data": {"name": "t1_a"}}]), "comments").items
    value = json.loads(make_record(item, "comments", moment).value)
    validator("comments").validate(value)
    assert value["timestamp"] == expected


@pytest.mark.parametrize("stream", STREAMS)
def test_an_item_with_next_to_nothing(stream: str) -> None:
    value = value_of({"edited": False}, stream)
    assert value["author"] == "[deleted]"
    assert value["fullname"] == value["content_id"] == value["text"] == ""
    assert value["score"] is value["created_utc"] is None


@pytest.mark.parametrize(
    ("field", "given_value", "name", "expected"),
    [
        ("score", 10**30, "score", None),
        ("score", 10**400, "score", None),
        ("score", float("nan"), "score", None),
        ("score", float("inf"), "score", None),
        ("score", 1e300, "score", None),
        ("score", 7.9, "score", 7),
        ("score", "7", "score", 7),
        ("score", "-7.0", "score", -7),
        ("score", "7 points", "score", None),
        ("score", "1e9", "score", None),
        ("score", "9" * 30, "score", None),
        ("score", True, "score", None),
        ("author", None, "author", "[deleted]"),
        ("author", "", "author", "[deleted]"),
        ("author", {"name": "x"}, "author", "[deleted]"),
        ("body", "\ud800 half", "text", "\ufffd half"),
        ("body", "whole \ud83d\ude80", "text", "whole 🚀"),
        ("body", "nul \x00", "text", "nul \x00"),
        ("body", ["x"], "text", ""),
        ("created_utc", 10**400, "created_utc", None),
        ("created_utc", float("nan"), "created_utc", None),
        ("created_utc", 1e300, "created_utc", None),
        ("created_utc", 1700000000.99, "created_utc", 1700000000),
        ("created_utc", "1700000000.99", "created_utc", 1700000000),
        ("created_utc", "2023-11-14T22:13:20Z", "created_utc", 1700000000),
        ("parent_id", 5, "parent_id", None),
        ("parent_id", "", "parent_id", None),
        ("link_id", "\udc00", "link_id", "\ufffd"),
    ],
)
def test_odd_fields(field: str, given_value: object, name: str, expected: object) -> None:
    value = value_of({"name": "t1_a", "author": "x", field: given_value}, "comments")
    assert value[name] == expected
    assert type(value[name]) is type(expected), "a JSON integer is one, and no 7.0"
    assert value["fullname"] == "t1_a", "the rest is as it was"


anything = st.recursive(
    st.none()
    | st.booleans()
    | st.integers()
    | st.integers(min_value=10**20)
    | st.floats()
    | st.text(st.characters(), max_size=20)
    | st.text(st.characters(min_codepoint=0xD800, max_codepoint=0xDFFF, categories=["Cs"]), max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.text(max_size=5), inner, max_size=2),
    max_leaves=4,
)
names = st.sampled_from(
    ["id", "name", "subreddit", "author", "body", "selftext", "title", "url", "score", "created_utc", "permalink",
     "num_comments", "over_18", "link_flair_text", "parent_id", "link_id", "is_self", "other"]
)  # fmt: skip


@pytest.mark.parametrize("stream", STREAMS)
@given(data=st.dictionaries(names, anything, min_size=1))
def test_whatever_reddit_sends_makes_a_valid_record(stream: str, data: dict[str, Any]) -> None:
    assert value_of(data, stream)["source"] == "reddit"


@pytest.mark.parametrize(("stream", "file"), [("comments", "t1.jsonl.gz"), ("submissions", "t3.jsonl.gz")])
def test_every_real_sample_makes_the_round_trip(stream: str, file: str) -> None:
    """What a consumer reads is what Reddit gave."""
    if not (SAMPLES / file).exists():
        pytest.skip(f"no samples of real items at {SAMPLES / file}")
    text = "selftext" if stream == "submissions" else "body"
    count = 0
    with gzip.open(SAMPLES / file, "rt", encoding="utf-8") as lines:
        for line in lines:
            data = json.loads(line)
            data = data.get("data", data)
            value = value_of(data, stream)
            count += 1
            assert value["text"] == (data.get(text) or "")
            assert value["author"] == (data.get("author") or "[deleted]")
            assert value["subreddit"] == data["subreddit"]
            assert value["score"] == data.get("score")
            assert value["content_id"] == data["id"]
            assert value["fullname"].partition("_")[2] == data["id"]
            assert value["created_utc"] == int(float(data["created_utc"]))
            assert type(value["created_utc"]) is int
            if stream == "comments":
                assert (value["parent_id"], value["link_id"]) == (data.get("parent_id"), data.get("link_id"))
            else:
                assert value["title"] == data["title"]
                assert value["url"].removeprefix("https://www.reddit.com") == (
                    "" if data["is_self"] else data["url"].removeprefix("https://www.reddit.com")
                )
                assert value["url"] == "" or "://" in value["url"]
                assert value["num_comments"] == data["num_comments"]
    assert count > 100
