"""Rules, the frozen server and the wrong clock as a client meets them."""

import json
import time
from collections.abc import Iterator
from email.utils import parsedate_to_datetime
from typing import Any

import pytest
import requests

from tests.simulator.client import QUIET, Running
from tests.support.waiting import wait_until

PATH = "/r/Alpha+Beta/comments"


@pytest.fixture
def simulator(shared: Running) -> Iterator[Running]:
    """The shared simulator without rules, at the right time."""
    forget(shared)
    shared.sign_in()
    yield shared
    forget(shared)


def forget(running: Running) -> None:
    running.control("DELETE", "rules")
    running.post("clock", offset=0)
    running.post("freeze", seconds=0)


def shown(simulator: Running, name: str) -> int:
    count: int = simulator.truth()[name]["shown_count"]
    return count


def test_a_status_for_each_request_that_names_a_subreddit(simulator: Running) -> None:
    name = simulator.generate(comments=1, subreddit="Beta")[0]
    simulator.post("rules", names=["alpha"], status=451, headers={"Content-Length": "0"})
    answer = simulator.get(PATH)
    assert (answer.status_code, answer.content) == (451, b"")
    assert "X-Ratelimit-Used" in answer.headers
    assert shown(simulator, name) == 0
    assert simulator.get("/r/alpha/about").status_code == 451
    assert name in simulator.page("/r/Beta/comments")[0]
    assert shown(simulator, name) == 1


def test_each_page_that_holds_an_item_fails_whatever_the_anchor_and_limit(simulator: Running) -> None:
    names = simulator.generate(comments=30, subreddit="Beta")[::-1]
    simulator.post("rules", holds=names[9], status=500, body='{"message": "Internal Server Error", "error": 500}')
    assert simulator.get("/r/Beta/comments", limit=10).status_code == 500
    assert simulator.get("/r/Beta/comments", limit=9).status_code == 200
    assert simulator.get("/r/Beta/comments", limit=5, after=names[4]).status_code == 500
    assert simulator.page("/r/Beta/comments", limit=10, after=names[9])[0] == names[10:20]


def test_each_page_that_reaches_a_position_fails(simulator: Running) -> None:
    names = simulator.generate(comments=30, subreddit="Beta")[::-1]
    simulator.post("rules", position=20, status=500)
    assert simulator.get("/r/Beta/comments", limit=20).status_code == 500
    assert simulator.get("/r/Beta/comments", limit=19).status_code == 200
    assert simulator.get("/r/Beta/comments", limit=10, after=names[9]).status_code == 500
    assert simulator.get("/r/Beta/comments", limit=10, after=names[19]).status_code == 200


def test_headers_are_replaced_left_out_and_said_twice(simulator: Running) -> None:
    simulator.generate(comments=1)
    headers = {"Date": None, "X-Ratelimit-Remaining": "nan", "Retry-After": "0", "Set-Cookie": ["a=1", "b=2"]}
    simulator.post("rules", headers=headers)
    answer = simulator.get(PATH)
    assert "Date" not in answer.headers
    assert (answer.headers["X-Ratelimit-Remaining"], answer.headers["Retry-After"]) == ("nan", "0")
    assert {(cookie.name, cookie.value) for cookie in answer.cookies} == {("a", "1"), ("b", "2")}


def test_a_shifted_date(simulator: Running) -> None:
    simulator.post("rules", date_shift=3600)
    ahead = parsedate_to_datetime(simulator.get(PATH).headers["Date"]).timestamp() - time.time()
    assert 3595 < ahead < 3605


def test_a_body_drips(simulator: Running) -> None:
    simulator.post("rules", id="slow", body="x" * 500, drip=10_000)
    answer = simulator.get(PATH)
    assert answer.content == b"x" * 500
    simulator.post("rules", id="slow", body="x" * 500, drip=1000)
    began = time.monotonic()
    simulator.get(PATH)
    assert time.monotonic() - began > 0.4


def test_a_body_is_cut_and_an_answer_never_comes(simulator: Running) -> None:
    name = simulator.generate(comments=1)[0]
    simulator.post("rules", id="x", cut=0.5)
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        simulator.get(PATH)
    simulator.post("rules", id="x", hang=0.1)
    with pytest.raises(requests.ConnectionError):
        simulator.get(PATH)
    assert shown(simulator, name) == 0


def test_a_bomb(simulator: Running) -> None:
    simulator.post("rules", body=" " * 1000, repeat=50_000, gzip=True)
    answer = simulator.get(PATH)
    assert answer.headers["Content-Encoding"] == "gzip"
    assert int(answer.headers["Content-Length"]) < 1_000_000
    assert len(answer.content) == 50_000_000


def test_an_odd_token(simulator: Running) -> None:
    simulator.post("rules", endpoint="token", fields={"expires_in": "soon"})
    answer = requests.post(
        f"{simulator.url}/api/v1/access_token", auth=("a", "b"), data={"grant_type": "client_credentials"}, timeout=5
    )
    assert answer.json()["expires_in"] == "soon"


def test_the_edge_refuses_without_charging_the_quota(simulator: Running) -> None:
    simulator.post("rules", longer_than=100, status=414, edge=True, headers={"Content-Type": "text/html"})
    used = simulator.stats()["quota"]["id"]["used"]
    answer = simulator.get(PATH, after="x" * 100)
    assert (answer.status_code, answer.headers["Content-Type"]) == (414, "text/html")
    assert simulator.stats()["quota"]["id"]["used"] == used
    assert simulator.get(PATH).status_code == 200


def test_a_long_line_is_taken_where_no_limit_is_set(simulator: Running) -> None:
    assert simulator.get(PATH, after="x" * 60_000).status_code == 200


def test_a_frozen_server_accepts_and_answers_when_it_thaws(simulator: Running) -> None:
    assert simulator.post("freeze", seconds=60) == {"frozen": True}
    with pytest.raises(requests.ReadTimeout):
        simulator.get(PATH, patience=0.1)
    with pytest.raises(requests.ReadTimeout):
        simulator.get("/r/Alpha/about", patience=0.1)
    simulator.post("freeze", seconds=0.3)
    began = time.monotonic()
    assert simulator.get(PATH).status_code == 200
    assert time.monotonic() - began > 0.1


def test_a_wrong_clock_dates_items_and_answers(simulator: Running) -> None:
    right = simulator.generate(comments=1)[0]
    simulator.post("clock", offset=-7200)
    wrong = simulator.generate(comments=1)[0]
    answer = simulator.get(PATH, limit=2)
    created = {child["data"]["name"]: child["data"]["created_utc"] for child in answer.json()["data"]["children"]}
    assert list(created) == [wrong, right], "a clock does not change the order"
    assert 7190 < created[right] - created[wrong] < 7210
    assert 7190 < time.time() - parsedate_to_datetime(answer.headers["Date"]).timestamp() < 7210
    truth = simulator.truth()
    assert (truth[right]["clock_offset"], truth[wrong]["clock_offset"]) == (0, -7200)
    assert truth[wrong]["created_utc"] == created[wrong]
    assert abs(truth[wrong]["surfaced_at"] - time.time()) < 10


@pytest.mark.parametrize(
    ("name", "body", "hint"),
    [
        ("rules", {"statu": 5}, "did you mean status"),
        ("clock", {"offset": "x"}, "give a number of seconds"),
        ("freeze", {}, "give {"),
        ("freeze", {"seconds": -1}, "0 or more"),
    ],
)
def test_nonsense_is_refused_with_a_hint(simulator: Running, name: str, body: dict[str, Any], hint: str) -> None:
    answer = simulator.control("POST", name, body)
    assert answer.status_code == 400
    assert hint in answer.json()["error"]


def test_rules_are_told_with_what_is_left_of_them(simulator: Running) -> None:
    simulator.post("rules", id="x", status=500, count=2, seconds=60)
    simulator.get(PATH)
    (rule,) = simulator.control("GET", "rules").json()["rules"]
    assert (rule["id"], rule["status"], rule["count"], rule["used"]) == ("x", 500, 1, 1)
    assert 50 < rule["seconds"] <= 60


def test_all_of_it_from_the_command_line() -> None:
    rules = json.dumps([{"names": ["Beta"], "status": 410}])
    options = ("--rules", rules, "--path-limit", "200", "--clock-offset", "-90", "--freeze", "0.1")
    with Running(*QUIET, "--subreddits", "Alpha", "Beta", *options) as running:
        wait_until(running.token, what="the thaw")
        running.sign_in()
        assert running.get("/r/Beta/new").status_code == 410
        assert running.get("/r/Alpha/new").status_code == 200
        too_long = running.get("/r/Alpha/new", after="x" * 200)
        assert (too_long.status_code, "<html>" in too_long.text) == (414, True)
        assert running.control("GET", "clock").json()["offset"] == -90
