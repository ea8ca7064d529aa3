"""Listings decoded into typed posts give exactly what objects give: the rows, the errors and the verdicts."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.reddit.json_body import MAX_BODY
from core.reddit.request_errors import BadAnswer, TooLarge
from scraper.parse.posts import Posts, posts
from scraper.reddit.answer_check import Reply, check_answer, names_it
from scraper.reddit.payload import TypedListing, TypedPost, decode
from scraper.reddit.question import Kind, Question
from tests.scraper.parse.test_any_answer import ANYTHING

NOW = datetime(2026, 5, 1, 12, tzinfo=UTC)
QUESTION = Question(Kind.HOT, "Bitcoin")
_REPLY = Reply("http://reddit/r/Bitcoin/hot.json", 200, {})

_NUMBERS = st.one_of(
    st.integers(-(2**65), 2**65),
    st.floats(),
    st.sampled_from([0, -0.0, 1e-320, 253402300800, 10**400, 2**63, -(2**63)]),
)
_VALUES: dict[str, st.SearchStrategy[Any]] = {
    "str": st.text(max_size=6),
    "_Int": st.integers(-(2**63), 2**63 - 1),
    "float": st.one_of(st.floats(allow_nan=False, allow_infinity=False), st.integers(-(10**12), 10**12)),
    "bool": st.booleans(),
}


def _of_its_type(name: str) -> st.SearchStrategy[Any]:
    """Return values as Reddit sends them."""
    known = {"subreddit": st.sampled_from(["Bitcoin", "bitcoin", ""]), "author": st.sampled_from(["[deleted]", "a"])}
    if name in known:
        return known[name]
    kind = str(TypedPost.__annotations__[name])
    for mark, values in _VALUES.items():
        if mark in kind.replace("Annotated[int", "_Int"):
            return st.one_of(st.none(), values)
    raise AssertionError(kind)


_FIELDS = {name: _of_its_type(name) for name in TypedPost.__struct_fields__}
_ORDINARY = st.fixed_dictionaries({"unread": ANYTHING}, optional=_FIELDS)
_ODD = st.dictionaries(
    st.sampled_from([*_FIELDS, "kind", "data"]), st.one_of(ANYTHING, _NUMBERS, st.lists(st.integers())), max_size=4
)
_DATA = st.builds(lambda fields, odd: fields | odd, _ORDINARY, st.one_of(st.just({}), _ODD))
_THINGS = st.one_of(
    st.builds(lambda data: {"kind": "t3", "data": data}, _DATA), st.builds(lambda data: {"data": data}, _DATA), ANYTHING
)
_PAGES = st.builds(
    lambda wrapping, children: {**wrapping, "data": {"after": None, "children": children}},
    st.sampled_from([{"kind": "Listing"}, {"kind": "Listing"}, {}, {"kind": "t3"}, {"kind": None}]),
    st.lists(_THINGS, max_size=3),
)


def _outcome(body: bytes, question: Question | None) -> tuple[object, ...]:
    """Return all that the crawl makes of an answer."""
    try:
        payload = decode(body, question)
    except BadAnswer:
        return ("bad answer",)
    error = check_answer(QUESTION, _REPLY, payload, None)
    try:
        rows: Posts | str = posts(payload, NOW)
    except BadAnswer as bad:
        rows = str(bad)
    return repr(rows), type(error), str(error), names_it(QUESTION, payload)


@given(_PAGES, st.booleans())
def test_any_values(page: object, ascii_only: bool) -> None:
    body = json.dumps(page, ensure_ascii=ascii_only).encode("utf-8", "surrogatepass")
    assert _outcome(body, QUESTION) == _outcome(body, None)


_PLAIN = {
    "kind": "Listing",
    "data": {"children": [{"kind": "t3", "data": {"id": "1", "subreddit": "Bitcoin", "title": "é"}}]},
}
_BYTES = json.dumps(_PLAIN, ensure_ascii=False).encode()


@given(st.integers(0, len(_BYTES)), st.integers(0, len(_BYTES)), st.binary(max_size=3))
@example(0, 0, b"\xef\xbb\xbf")
@example(len(_BYTES), len(_BYTES), b"x")
def test_damaged_bytes(start: int, end: int, between: bytes) -> None:
    body = _BYTES[:start] + between + _BYTES[end:]
    assert _outcome(body, QUESTION) == _outcome(body, None)


@pytest.mark.parametrize(
    "value",
    [
        b"NaN",
        b"-Infinity",
        b"1e999",
        b"-0",
        b"01",
        b"1.",
        b'"\\ud800"',
        b'"\xff"',
        b'"\x01"',
        b'"\\x"',
        b"[" * 600 + b"]" * 600,
    ],
)
@pytest.mark.parametrize("key", [b"unread", b"title", b"score", b"upvote_ratio", b"created_utc", b"edited", b"is_self"])
def test_what_parsers_of_json_disagree_about(key: bytes, value: bytes) -> None:
    body = _BYTES.replace(b'"id"', b'"%s": %s, "id"' % (key, value))
    assert _outcome(body, QUESTION) == _outcome(body, None)


def test_an_ordinary_listing_takes_the_typed_path() -> None:
    assert type(decode(_BYTES, QUESTION)) is TypedListing
    assert type(decode(_BYTES, Question(Kind.ABOUT, "Bitcoin"))) is dict


def test_a_listing_that_would_become_too_large_is_not_decoded() -> None:
    child = b'{"kind":"t3","data":{}},'
    body = (
        b'{"kind":"Listing","data":{"children":['
        + child * (MAX_BODY // 2 // len(child))
        + b'{"kind":"t3","data":{}}]}}'
    )
    with pytest.raises(TooLarge):
        decode(body, QUESTION)
