"""The API over HTTP: tokens, listings, closed subreddits, quota."""

import time
from collections.abc import Iterator

import pytest
import requests

from tests.simulator.client import QUIET, Running
from tests.support.waiting import wait_until


@pytest.fixture
def open_again(simulator: Running) -> Iterator[Running]:
    yield simulator
    simulator.post("subreddits", name="Beta", state="public")


def test_wrong_credentials_get_401_and_no_hint_of_a_token() -> None:
    with Running(*QUIET, "--client-id", "me", "--client-secret", "mine") as running:
        address = f"{running.url}/api/v1/access_token"
        grant = {"grant_type": "client_credentials"}
        refused = requests.post(address, auth=("me", "guess"), data=grant, timeout=10)
        assert (refused.status_code, refused.json()) == (401, {"message": "Unauthorized", "error": 401})
        assert requests.post(address, data=grant, timeout=10).status_code == 401
        granted = requests.post(address, auth=("me", "mine"), data=grant, timeout=10).json()
        assert granted | {"access_token": ""} == {
            "access_token": "", "token_type": "bearer", "expires_in": 3600, "scope": "*",
        }  # fmt: skip


def test_a_token_expires_after_its_lifetime_whatever_was_announced() -> None:
    with Running(*QUIET, "--token-lifetime", "0.3", "--expires-in", "3600") as running:
        running.sign_in()
        assert running.get("/r/Bitcoin/new").status_code == 200
        refused = wait_until(lambda: _refused(running), what="the token to expire")
        assert refused[0].headers["WWW-Authenticate"] == 'Bearer realm="reddit", error="invalid_token"'
        running.sign_in()
        assert running.get("/r/Bitcoin/new").status_code == 200


def _refused(running: Running) -> list[requests.Response]:
    answer = running.get("/r/Bitcoin/new")
    # An error response is false in itself: only its absence means waiting.
    return [answer] if answer.status_code == 401 else []


def test_without_a_token_the_network_blocks(simulator: Running) -> None:
    answer = requests.get(f"{simulator.url}/r/Alpha/new.json", timeout=10)
    assert answer.status_code == 403
    assert answer.headers["Content-Type"].startswith("text/html")


def test_listings_are_shaped_like_reddits(simulator: Running) -> None:
    simulator.generate(comments=1, submissions=1)
    for path, kind in (("/r/Alpha+Beta/new", "t3"), ("/r/alpha+BETA/comments.json", "t1"), ("/r/all/comments/", "t1")):
        listing = simulator.get(path, limit=1).json()
        assert listing["kind"] == "Listing"
        assert set(listing["data"]) == {"after", "before", "dist", "modhash", "children"}
        assert [child["kind"] for child in listing["data"]["children"]] == [kind]


def test_limit_is_25_by_default_and_100_at_most(simulator: Running) -> None:
    simulator.generate(comments=120)
    sizes = [len(simulator.page("/r/Alpha+Beta/comments", **params)[0]) for params in
             ({}, {"limit": 7}, {"limit": 500}, {"limit": 0}, {"limit": "many"})]  # fmt: skip
    assert sizes == [25, 7, 100, 1, 25]


def test_after_and_before_walk_the_listing(simulator: Running) -> None:
    made = simulator.generate(submissions=5, subreddit="Beta")
    assert simulator.page("/r/Beta/new", limit=2) == ([made[4], made[3]], made[3])
    assert simulator.page("/r/Beta/new", limit=2, after=made[3])[0] == [made[2], made[1]]
    assert simulator.page("/r/Beta/new", limit=2, before=made[0])[0] == [made[2], made[1]]
    assert simulator.page("/r/Beta/new", limit=2, before=made[4]) == ([], None)
    assert simulator.page("/r/Alpha/new", after=made[3]) == ([], None), "not in Alpha's list"
    assert simulator.page("/r/Beta/comments", after=made[3]) == ([], None), "not among comments"


def test_a_removed_anchor_looks_like_nothing_new(simulator: Running) -> None:
    made = simulator.generate(comments=3, subreddit="Beta")
    simulator.post("remove", fullname=made[1])
    assert simulator.page("/r/Beta/comments", before=made[1]) == ([], None)
    assert made[1] not in simulator.page("/r/Beta/comments")[0]


def test_info_tells_of_items_by_name_and_of_removed_ones_the_shell(simulator: Running) -> None:
    kept, removed = simulator.generate(comments=2)
    simulator.post("remove", fullname=removed)
    children = simulator.get("/api/info", id=f"{kept},{removed},t1_nobody").json()["data"]["children"]
    assert [child["data"]["name"] for child in children] == [kept, removed]
    assert children[1]["data"]["body"] == "[removed]"


def test_about_describes_a_subreddit(simulator: Running) -> None:
    about = simulator.get("/r/alpha/about").json()
    assert (about["kind"], about["data"]["display_name"]) == ("t5", "Alpha")


def test_unknown_paths_are_not_found(simulator: Running) -> None:
    answer = simulator.get("/r/Alpha/best")
    assert (answer.status_code, answer.json()) == (404, {"message": "Not Found", "error": 404})


@pytest.mark.parametrize(
    ("state", "status", "reason"),
    [("private", 403, "private"), ("quarantined", 403, "quarantined"), ("banned", 404, "banned")],
)
def test_one_closed_subreddit_fails_the_combined_request(
    open_again: Running, state: str, status: int, reason: str
) -> None:
    open_again.post("subreddits", name="beta", state=state)
    for path in ("/r/Alpha+Beta/new", "/r/Beta/comments", "/r/Beta/about"):
        answer = open_again.get(path)
        assert (answer.status_code, answer.json()["reason"]) == (status, reason)
        assert "X-Ratelimit-Used" in answer.headers
    assert open_again.get("/r/Alpha/new").status_code == 200
    assert open_again.get("/r/all/new").status_code == 200


def test_a_missing_subreddit_redirects_to_the_search(open_again: Running) -> None:
    answer = open_again.get("/r/Alpha+Nowhere/new")
    assert (answer.status_code, answer.headers["Location"]) == (302, "/subreddits/search?q=Nowhere")
    open_again.post("subreddits", name="Beta", state="missing")
    assert open_again.get("/r/Beta/new").headers["Location"] == "/subreddits/search?q=Beta"


def test_a_lenient_server_leaves_the_closed_subreddit_out() -> None:
    with Running(*QUIET, "--subreddits", "Alpha", "Beta", "--lenient-combined", "--backlog", "20") as running:
        running.sign_in()
        running.post("subreddits", name="Beta", state="private")
        children = running.get("/r/Alpha+Beta+Nowhere/new").json()["data"]["children"]
        assert {child["data"]["subreddit"] for child in children} == {"Alpha"}
        assert running.get("/r/Beta/new").status_code == 403


def test_over_the_quota_is_429_until_the_window_ends() -> None:
    with Running(*QUIET, "--quota", "3", "--window", "2") as running:
        running.sign_in("one")
        _await_fresh_window(2.0)
        answers = [running.get("/r/Bitcoin/new") for _ in range(4)]
        assert [answer.status_code for answer in answers] == [200, 200, 200, 429]
        assert [answer.headers["X-Ratelimit-Remaining"] for answer in answers] == ["2.0", "1.0", "0.0", "0.0"]
        assert answers[3].json() == {"message": "Too Many Requests", "error": 429}
        assert 0 < int(answers[3].headers["X-Ratelimit-Reset"]) <= 2
        running.sign_in("two")
        assert running.get("/r/Bitcoin/new").status_code == 200, "another client has a quota of its own"
        assert running.stats()["quota"]["one"]["used"] == 4
        running.sign_in("one")
        wait_until(lambda: running.get("/r/Bitcoin/new").status_code == 200, what="the next window")


def _await_fresh_window(window: float) -> None:
    wait_until(lambda: time.time() % window < window / 4, 2 * window, "the beginning of a window")
