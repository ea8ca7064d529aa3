"""What the effects of rules make of an answer."""

import base64
import gzip
import json
import random
from typing import Any

import pytest

from simulator.altered import alter, delay, manner
from simulator.answer import HTML, JSON, Answer
from simulator.item import Item, Kind
from simulator.render import listing

ITEM = Item(1, Kind.COMMENTS, "t1_a", "Alpha", 0.0, 0)
GOOD = Answer(
    body=listing([b'{"kind":"t1","data":{"name":"t1_a"}}'], "t1_a"),
    headers={"X-Ratelimit-Used": "5", "X-Other": "yes"},
    items=(ITEM,),
)


def altered(answer: Answer = GOOD, **effects: Any) -> Answer:
    return alter(answer, effects, random.Random(1), 1_700_000_000.0)


def test_a_replaced_answer_keeps_only_the_rate_headers() -> None:
    answer = altered(status=451, headers={"Content-Type": HTML, "Retry-After": "3"}, body="no")
    assert answer == Answer(451, b"no", HTML, {"X-Ratelimit-Used": "5", "Retry-After": "3"})


def test_headers_are_replaced_in_any_spelling_or_left_out() -> None:
    answer = altered(headers={"x-ratelimit-used": "9", "X-Other": None})
    assert answer.headers == {"x-ratelimit-used": "9"}
    assert (answer.body, answer.content_type, answer.items) == (GOOD.body, JSON, (ITEM,))


@pytest.mark.parametrize(
    "effects",
    [
        {"status": 500},
        {"body": "{}"},
        {"cut": 0.5},
        {"truncate": 0.5},
        {"hang": 1},
        {"headers": {"Content-Type": "text/html"}},
        {"headers": {"content-encoding": "br"}},
        {"fields": {"kind": "t5"}},
    ],
)
def test_what_a_client_may_throw_away_does_not_count_as_shown(effects: dict[str, Any]) -> None:
    assert altered(**effects).items == ()


@pytest.mark.parametrize("effects", [{"drip": 10}, {"delay": 2}, {"headers": {"Date": None}}, {"children": [{}]}])
def test_what_leaves_the_items_as_they_are_counts_as_shown(effects: dict[str, Any]) -> None:
    assert altered(**effects).items == (ITEM,)


def test_foreign_children_come_in_where_they_are_wanted() -> None:
    more = {"kind": "more", "data": {"children": ["k1"]}}
    document = json.loads(altered(children=[more], at=1).body)["data"]
    assert [child["kind"] for child in document["children"]] == ["t1", "more"]
    assert (document["dist"], document["after"]) == (2, "t1_a")


def test_fields_of_a_token_can_be_odd_or_missing() -> None:
    token = Answer(body=b'{"access_token":"x","expires_in":3600}')
    assert json.loads(altered(token, fields={"expires_in": -5}).body) == {"access_token": "x", "expires_in": -5}
    assert json.loads(altered(token, without=["access_token"]).body) == {"expires_in": 3600}


def test_bodies_of_any_bytes() -> None:
    assert altered(body_base64=base64.b64encode(b"\xff\x00").decode()).body == b"\xff\x00"
    assert len(altered(garbage=1000).body) == 1000
    assert altered(body="ab", repeat=3).body == b"ababab"
    assert altered(truncate=0.25).body == GOOD.body[: len(GOOD.body) // 4]


def test_a_compressed_body_may_grow_a_thousandfold() -> None:
    answer = altered(body=" " * 10, repeat=1_000_003, gzip=True)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert len(answer.body) < 100_000
    assert gzip.decompress(answer.body) == b" " * 10_000_030
    good = altered(gzip=True)
    assert (gzip.decompress(good.body), good.items) == (GOOD.body, (ITEM,))


def test_the_date_is_shifted() -> None:
    assert altered(date_shift=-3600).headers["Date"] == "Tue, 14 Nov 2023 21:13:20 GMT"


def test_a_range_of_delays_favours_no_order_of_magnitude() -> None:
    dice = random.Random(1)
    drawn = [delay({"delay": [0.05, 30]}, dice) for _ in range(2000)]
    assert 0.05 <= min(drawn) < 0.06
    assert 25 < max(drawn) <= 30
    assert 850 < sum(one < 1.22 for one in drawn) < 1150
    assert delay({"delay": 2}, dice) == 2
    assert delay({}, dice) == 0


def test_the_manner_of_an_answer() -> None:
    sent = manner({"drip": 10, "cut": 0.5, "headers": {"Date": None, "Set-Cookie": ["a=1", "b=2"], "A": "1"}})
    assert (sent.drip, sent.cut, sent.hang, sent.hidden) == (10, 0.5, None, frozenset({"date"}))
    assert sent.several == {"Set-Cookie": ["a=1", "b=2"]}
