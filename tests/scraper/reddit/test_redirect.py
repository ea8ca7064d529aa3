"""What a redirect says of the name asked for: the family of S13."""

import pytest

from core.reddit.request_errors import RequestRejected, Unavailable
from scraper.reddit.question import Kind, Question
from scraper.reddit.redirect import SameElsewhere, redirection
from scraper.reddit.refusal import Mismatch, Unexplained

BASE = "https://oauth.reddit.com"


def said(location: str | None, kind: Kind = Kind.ABOUT, name: str = "Bitcoin", status: int = 302) -> Exception:
    question = Question(kind, name)
    return redirection(question, f"{BASE}{question.path}?raw_json=1", status, location)


@pytest.mark.parametrize(
    ("location", "target"),
    [
        ("/r/newname/about.json", "newname"), ("/r/newname/", "newname"), ("/r/newname", "newname"),
        ("https://www.reddit.com/r/newname/hot.json?limit=30", "newname"), ("../../r/newname/about", "newname"),
        ("//old.reddit.com/r/newname", "newname"), ("/user/bitcoin/about", "user/bitcoin"), ("/u/bob", "user/bob"),
        ("/r/Bitcoin2/about", "Bitcoin2"), ("/r/new%6eame/about", "newname"), ("/R/newname/about", "newname"),
    ],
)  # fmt: skip
@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_another_name(location: str, target: str, status: int) -> None:
    error = said(location, status=status)
    assert isinstance(error, Unexplained)
    assert (error.state, error.target, error.telling) == ("moved", target, True)


def test_another_user() -> None:
    for location, target in (("/user/bob/about", "bob"), ("/r/u_ann/about", "r/u_ann")):
        error = said(location, Kind.USER, "ann")
        assert isinstance(error, Unexplained)
        assert (error.state, error.target) == ("moved", target)


@pytest.mark.parametrize(
    ("location", "telling"),
    [
        ("/over18?dest=https%3A%2F%2Fwww.reddit.com%2Fr%2FBitcoin%2Fabout", True), ("/over18", False),
        ("https://www.reddit.com/login/?dest=https%3A%2F%2Fwww.reddit.com%2Fr%2Fbitcoin", True), ("/login", False),
        ("/account/login?next=/r/Bitcoin/hot", True), ("/quarantine?dest=/r/bitcoin/", True),
        ("https://www.reddit.com/verify-age?dest=/r/Bitcoin", True),
    ],
)  # fmt: skip
def test_a_gate(location: str, telling: bool) -> None:
    error = said(location)
    assert isinstance(error, Unexplained)
    assert (error.state, error.telling) == ("gated", telling)
    assert location.split("?", maxsplit=1)[0].rstrip("/").endswith(error.target or "?")


def test_a_gate_before_another_name_answers_another_question() -> None:
    assert isinstance(said("/over18?dest=https%3A%2F%2Fwww.reddit.com%2Fr%2Fethereum"), Mismatch)
    assert isinstance(said("/subreddits/search?q=ethereum"), Mismatch)


@pytest.mark.parametrize(
    "location", ["/subreddits/search?q=Bitcoin", "/subreddits/search", "/subreddits/search/?q=BITCOIN"]
)
def test_the_search_means_that_there_is_none(location: str) -> None:
    error = said(location)
    assert isinstance(error, Unavailable)
    assert error.reason == "missing"


@pytest.mark.parametrize(
    ("location", "url"),
    [
        ("/r/Bitcoin/about/", f"{BASE}/r/Bitcoin/about/?raw_json=1"),
        ("/r/bitcoin/about.json", f"{BASE}/r/bitcoin/about.json?raw_json=1"),
        (f"{BASE}/r/BITCOIN/about?raw_json=1", f"{BASE}/r/BITCOIN/about?raw_json=1"),
        ("about/", f"{BASE}/r/Bitcoin/about/?raw_json=1"),
        ("?x=1#top", f"{BASE}/r/Bitcoin/about?raw_json=1"),
        ("/r/bitcoin/about?t=all&limit=1", f"{BASE}/r/bitcoin/about?raw_json=1"),
    ],
)  # fmt: skip
def test_the_same_in_another_spelling_is_followed(location: str, url: str) -> None:
    error = said(location)
    assert isinstance(error, SameElsewhere)
    assert error.url == url, "our own query is kept: another one is another question"


@pytest.mark.parametrize(
    "location",
    [None, "", "http://oauth.reddit.com/r/Bitcoin/about", "https://www.reddit.com/r/Bitcoin/about", "/r/Bitcoin/hot",
     "https://portal.example/login?to=/r/Bitcoin", "https://portal.example/r/other/about", "http://[bad/r/x",
     "/r/Bitcoin"],
)  # fmt: skip
def test_other_redirects_are_trouble_that_may_pass(location: str | None) -> None:
    """A token goes to no other server, and another server's pages are no statement of Reddit's."""
    assert isinstance(said(location), RequestRejected)


@pytest.mark.parametrize("location", ["/", "/error", "/r/"])
def test_a_page_that_explains_nothing(location: str) -> None:
    error = said(location)
    assert isinstance(error, Unexplained)
    assert (error.state, error.telling) == ("forbidden", False)


def test_a_profile_asked_for_as_a_subreddit() -> None:
    error = said("/user/ann/about", name="u_ann")
    assert isinstance(error, Unexplained)
    assert (error.state, error.target) == ("moved", "user/ann")
