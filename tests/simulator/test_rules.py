"""Rules meet the requests that they describe, for as long as they live, and nothing else."""

import random
from typing import Any

import pytest

from simulator.answer import Answer
from simulator.faults import Endpoint
from simulator.item import Item, Kind
from simulator.rule_keys import RuleError
from simulator.rules import Received, Rules


def rules(*given: dict[str, Any], now: float = 0.0) -> Rules:
    made = Rules(random.Random(1))
    for rule in given:
        made.add(rule, now)
    return made


def received(path: str = "/r/Alpha+Beta/comments", endpoint: Endpoint = Endpoint.LISTING, **query: str) -> Received:
    target = path + "?" + "&".join(f"{name}={value}" for name, value in query.items())
    return Received.read(endpoint, path, target, query, int(query.get("limit", "25")))


def met(conditions: dict[str, Any], request: Received) -> bool:
    return bool(rules({**conditions, "status": 500}).for_request(request, 0.0))


@pytest.mark.parametrize(
    ("conditions", "request_", "expected"),
    [
        ({}, received(), True),
        ({}, received("/api/v1/access_token", Endpoint.TOKEN), False),
        ({"endpoint": "token"}, received("/api/v1/access_token", Endpoint.TOKEN), True),
        ({"endpoint": "any"}, received("/api/v1/access_token", Endpoint.TOKEN), True),
        ({"endpoint": "listing"}, received("/r/Alpha/about", Endpoint.OTHER), False),
        ({"names": ["ALPHA"]}, received(), True),
        ({"names": ["alpha"]}, received("/r/Alpha/about", Endpoint.OTHER), True),
        ({"names": ["alph"]}, received(), False),
        ({"names": ["Gamma", "Beta"]}, received("/r/alpha%2Bbeta/new"), True),
        ({"names": ["Beta"]}, received("/api/info", Endpoint.OTHER, sr_name="Alpha,Beta"), True),
        ({"all_names": ["Alpha", "Beta"]}, received(), True),
        ({"all_names": ["Alpha", "Beta"]}, received("/r/Alpha/comments"), False),
        ({"path": "^/r/"}, received(), True),
        ({"path": "^/user/"}, received(), False),
        ({"names_above": 1}, received(), True),
        ({"names_above": 2}, received(), False),
        ({"kind": "comments"}, received(), True),
        ({"kind": "submissions"}, received(), False),
        ({"kind": "submissions"}, received("/r/Alpha/new.json"), True),
        ({"anchored": True}, received(after="t1_a"), True),
        ({"anchored": True}, received(), False),
        ({"anchored": False}, received(), True),
        ({"limit_above": 50}, received(limit="100"), True),
        ({"limit_above": 50}, received(limit="50"), False),
        ({"longer_than": 20}, received(), True),
        ({"longer_than": 200}, received(), False),
        ({"share": 0}, received(), False),
    ],
)
def test_a_rule_meets_what_it_describes(conditions: dict[str, Any], request_: Received, expected: bool) -> None:
    assert met(conditions, request_) is expected


def test_a_share_is_met_as_often_as_it_says() -> None:
    made = rules({"share": 0.25, "status": 500})
    struck = sum(bool(made.for_request(received(), 0.0)) for _ in range(4000))
    assert 850 < struck < 1150
    assert made.as_json(0.0)[0]["used"] == struck


def test_rules_about_pages_wait_for_the_page() -> None:
    made = rules({"holds": "t1_b", "status": 500}, {"position": 150, "drip": 5})
    page = Answer(items=tuple(Item(1, Kind.COMMENTS, name, "Alpha", 0.0, 0) for name in ("t1_a", "t1_b")))
    assert made.for_request(received(), 0.0) == {}
    assert made.of_the_page()
    assert made.for_page(received(), page, range(1, 3), 0.0) == {"status": 500}
    assert made.for_page(received(), page, range(149, 151), 0.0) == {"status": 500, "drip": 5}
    assert made.for_page(received(), Answer(items=page.items[:1]), range(149, 150), 0.0) == {}


def test_a_count_is_used_up_and_seconds_pass() -> None:
    made = rules({"count": 2, "status": 500}, {"seconds": 10, "delay": 1})
    assert [made.for_request(received(), 0.0) for _ in range(3)] == [
        {"status": 500, "delay": 1}, {"status": 500, "delay": 1}, {"delay": 1}
    ]  # fmt: skip
    assert made.for_request(received(), 10.0) == {}
    assert made.none


def test_the_effects_of_several_rules_add_up_the_older_one_first() -> None:
    made = rules({"status": 500, "headers": {"A": "1"}}, {"status": 502, "headers": {"A": "2", "B": "3"}, "delay": 2})
    assert made.for_request(received(), 0.0) == {"status": 500, "headers": {"A": "1", "B": "3"}, "delay": 2}


def test_a_rule_is_replaced_and_removed_by_its_id() -> None:
    made = rules({"id": "x", "status": 500})
    made.add({"id": "x", "status": 502}, 0.0)
    assert made.for_request(received(), 0.0) == {"status": 502}
    assert made.as_json(0.0) == [{"id": "x", "status": 502, "seconds": None, "count": None, "used": 1}]
    made.remove("x")
    assert made.none
    with pytest.raises(RuleError, match="no rule has the id x"):
        made.remove("x")


@pytest.mark.parametrize(
    ("rule", "hint"),
    [
        ({"statsu": 500}, "did you mean status"),
        ({"status": 99}, "from 200 to 999"),
        ({"status": True}, "from 200 to 999"),
        ({"names": []}, "list of names"),
        ({"names": ["Alpha"]}, "needs an effect"),
        ({"delay": [0, 3]}, "0 < from <= to"),
        ({"delay": -1}, "0 < from <= to"),
        ({"headers": {"A": 5}}, "an object of texts"),
        ({"headers": {"A": "b\r\nC: d"}}, "an object of texts"),
        ({"body_base64": "!"}, "base64"),
        ({"share": 1.5, "status": 500}, "from 0 to 1"),
        ({"seconds": 0, "status": 500}, "above 0"),
        ({"count": 0, "status": 500}, "1 or more"),
        ({"kind": "posts", "status": 500}, "submissions or comments"),
        ({"endpoint": "page", "status": 500}, "data, listing, token or any"),
    ],
)
def test_a_rule_that_makes_no_sense_is_refused_with_a_hint(rule: dict[str, Any], hint: str) -> None:
    made = rules()
    with pytest.raises(RuleError, match=hint):
        made.add(rule, 0.0)
    assert made.none
