"""What an answer says back of our secrets stands in no verdict on it, wherever it stands and whoever would cut it."""

import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from core.masking.external import hide
from core.reddit.answers import classify
from scraper.reddit.answer_check import Reply, check_answer
from scraper.reddit.question import Kind
from tests.scraper.reddit.test_answer_check import asked
from tests.support.leaks import Leaks

SECRET = "Zq8_vTn3-XwK5rPbYc7LdM2sJh4eW9kF6gHt1uVx"
LEAKS = Leaks([SECRET], [("Cl13nt", SECRET)])

#: Where a redirect leads to.
LOCATIONS = (
    "https://elsewhere.example/{}",
    "https://{}/",
    "/r/{}/about",
    "/user/{}/about",
    "/login?dest={}",
    "/gold/{}",
    "/over18?dest=%2Fr%2F{}",
    "/subreddits/search?q={}",
    "/r/Bitcoin/about?x={}",
    "/anything/{}",
    "http://[{}",
)

BODIES: dict[str, Callable[[str], Any]] = {
    "key": lambda said: {said: 1},
    "text": lambda said: said,
    "kind": lambda said: {"kind": said, "data": {said: said}},
    "subreddit": lambda said: {"kind": "t5", "data": {"display_name": said}},
    "user": lambda said: {"kind": "t2", "data": {"name": said}},
    "post": lambda said: {
        "kind": "Listing",
        "data": {"children": [{"kind": "t3", "data": {"subreddit": said, "author": said}}]},
    },
    "reason": lambda said: {"reason": said, "message": said, "error": said},
}


@pytest.fixture(autouse=True)
def secrets() -> None:
    hide(SECRET, logins=[("Cl13nt", SECRET)])


def leaked(kind: Kind, status: int, location: str, body: Any) -> set[str]:
    headers = {"location": location} if location else {}
    error = classify(status, headers, json.dumps(body).encode(), datetime.now(UTC))
    reply = Reply("https://oauth.reddit.com/r/Bitcoin/about", status, headers)
    verdict = check_answer(asked(kind), reply, body if error is None else None, error)
    return LEAKS.found_in(f"{verdict} {verdict!r} {getattr(verdict, 'target', '')}")


@pytest.mark.parametrize("location", LOCATIONS)
@pytest.mark.parametrize("kind", [Kind.ABOUT, Kind.USER, Kind.HOT])
def test_the_target_of_a_redirect(location: str, kind: Kind) -> None:
    for before in range(0, 220, 11):
        assert not leaked(kind, 302, location.format("x" * before + SECRET), {})


@pytest.mark.parametrize("body", BODIES)
@pytest.mark.parametrize("status", [200, 400, 403, 404])
def test_a_body(body: str, status: int) -> None:
    for before in range(0, 120, 9):
        for kind in (Kind.ABOUT, Kind.USER, Kind.HOT, Kind.RULES):
            assert not leaked(kind, status, "", BODIES[body]("x" * before + SECRET))
