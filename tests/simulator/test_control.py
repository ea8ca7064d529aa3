"""The control side: it returns the truth, changes the world, and refuses invalid requests with a hint."""

import time

import pytest

from tests.simulator.client import QUIET, Running
from tests.support.waiting import wait_until


def test_the_truth_has_every_item_with_what_became_of_it(simulator: Running) -> None:
    (comment,), (post,) = simulator.generate(comments=1), simulator.generate(submissions=1, subreddit="Beta")
    line = simulator.truth()[post]
    assert line | {"created": 0, "created_utc": 0, "surfaced_at": 0} == {
        "fullname": post, "kind": "submissions", "subreddit": "Beta", "created_utc": 0, "created": 0,
        "surfaced_at": 0, "removed_at": None, "fell_off_at": None, "shown_at": None, "shown_count": 0,
        "clock_offset": 0,
    }  # fmt: skip
    assert line["created_utc"] == int(line["created"])
    assert abs(line["created"] - time.time()) < 5
    assert comment in simulator.truth(kind="comments")
    assert post not in simulator.truth(kind="comments")


def test_removal_is_noted(simulator: Running) -> None:
    (name,) = simulator.generate(comments=1)
    simulator.post("remove", fullname=name)
    assert simulator.truth()[name]["removed_at"] is not None
    assert simulator.control("POST", "remove", {"fullname": name}).status_code == 400


def test_rates_change_and_bursts_end(simulator: Running) -> None:
    simulator.post("rates", comments=200, seconds=0.5)
    before = simulator.stats()["items"]["comments"]
    wait_until(lambda: simulator.stats()["rates"]["comments"] == 0, what="the burst to end")
    assert simulator.stats()["items"]["comments"] >= before + 90


def test_pause_stops_what_appears_and_resume_lets_it_go_on(simulator: Running) -> None:
    simulator.post("rates", submissions=100)
    simulator.post("pause")
    stopped = simulator.stats()["items"]["submissions"]
    simulator.get("/r/Alpha/new")
    assert simulator.stats()["items"]["submissions"] == stopped
    simulator.post("resume")
    wait_until(lambda: simulator.stats()["items"]["submissions"] > stopped, what="new submissions")
    simulator.post("rates", submissions=0)


def test_an_item_can_be_dated_back_like_a_late_one(simulator: Running) -> None:
    (new,), (old,) = (
        simulator.generate(comments=1, subreddit="Beta"),
        simulator.generate(comments=1, subreddit="Beta", age=30),
    )
    names = simulator.page("/r/Beta/comments", limit=100)[0]
    assert names.index(old) > names.index(new)


def test_an_odd_item_is_shown_exactly_as_given(simulator: Running) -> None:
    odd = {"id": None, "created_utc": "soon", "body": ["not", "text"], "author": 7}
    made = simulator.post("odd", kind="comments", data=odd)
    (child,) = simulator.get(f"/r/{made['subreddit']}/comments", limit=1).json()["data"]["children"]
    assert child["data"] == odd | {"name": made["fullname"]}
    assert simulator.truth()[made["fullname"]]["shown_count"] == 1


def test_an_odd_item_keeps_its_name_and_subreddit(simulator: Running) -> None:
    made = simulator.post("odd", kind="submissions", data={"name": "t3_strange", "subreddit": "Beta"})
    assert made == {"fullname": "t3_strange", "subreddit": "Beta"}
    again = simulator.control("POST", "odd", {"kind": "submissions", "data": {"name": "t3_strange"}})
    assert again.status_code == 400


def test_an_odd_item_can_be_huge(simulator: Running) -> None:
    made = simulator.post("odd", kind="comments", data={"body": "x" * 2_000_000})
    answer = simulator.get(f"/r/{made['subreddit']}/comments", limit=1)
    assert len(answer.json()["data"]["children"][0]["data"]["body"]) == 2_000_000


def test_all_tokens_expire_on_demand(simulator: Running) -> None:
    assert simulator.post("expire-tokens")["expired"] >= 1
    assert simulator.get("/r/Alpha/new").status_code == 401


def test_a_new_subreddit_can_be_founded(simulator: Running) -> None:
    simulator.post("subreddits", name="Gamma", state="public")
    names = simulator.generate(submissions=1, subreddit="Gamma")
    assert simulator.page("/r/Gamma/new")[0] == names
    simulator.post("subreddits", name="Gamma", state="missing")


def test_faults_are_merged_told_and_cleared(simulator: Running) -> None:
    simulator.post("faults", latency_jitter=0.001)
    current = simulator.post("faults", retry_after="date")
    assert (current["latency_jitter"], current["retry_after"], current["reset"]) == (0.001, "date", 0.0)
    assert simulator.control("GET", "faults").json() == current
    assert simulator.control("DELETE", "faults").json()["retry_after"] is None


def test_stats_count_requests_by_path_status_and_client() -> None:
    with Running(*QUIET, "--backlog", "5") as running:
        running.sign_in("me")
        for path in ("/r/Bitcoin/new", "/r/Bitcoin/new", "/r/Bitcoin/about", "/nowhere"):
            running.get(path)
        stats = running.stats()
        assert (stats["requests"], stats["listing_requests"]) == (5, 2)
        assert stats["by_path"]["/r/Bitcoin/new"] == 2
        assert stats["by_status"] == {"200": 4, "404": 1}
        assert stats["by_client"] == stats["requests_per_minute_by_client"] == {"me": 4}
        assert stats["quota"]["me"]["used"] == 4
        assert (stats["items"]["comments"], stats["items"]["surfaced"]) == (5, 10)
        assert stats["items"]["shown"] == sum(line["shown_count"] > 0 for line in running.truth().values())
        assert stats["uptime_s"] > 0


@pytest.mark.parametrize(
    ("name", "body", "hint"),
    [
        ("faults", {"status_53": 1}, "did you mean status_503"),
        ("faults", [1], "must be a JSON object"),
        ("rates", {"comments": -1}, "0 or more"),
        ("rates", {"comment": 1}, "no such key: comment"),
        ("generate", {"comments": "three"}, "give a number"),
        ("generate", {"comments": 1, "subreddit": "Nowhere"}, "Nowhere"),
        ("subreddits", {"name": "Alpha", "state": "shut"}, "private"),
        ("remove", {"fullname": "t1_nobody"}, "no such item"),
        ("odd", {"kind": "comment", "data": {}}, "submissions or comments"),
        ("odd", {"kind": "comments"}, "data"),
    ],
)
def test_nonsense_is_refused_with_a_hint(simulator: Running, name: str, body: object, hint: str) -> None:
    answer = simulator.control("POST", name, body)
    assert answer.status_code == 400
    assert hint in answer.json()["error"]


def test_an_unknown_control_path_names_the_known_ones(simulator: Running) -> None:
    answer = simulator.control("GET", "trueth")
    assert answer.status_code == 404
    assert "expire-tokens" in answer.json()["error"]
