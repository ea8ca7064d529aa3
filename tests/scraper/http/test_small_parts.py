"""The small pieces: addresses of proxies, names of browsers, settings, the sorting of errors."""

import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from urllib.parse import quote

import pytest

from core.config import Config
from core.config.proxies import DIRECT, Proxy, normalised
from core.config.sections import RedditSection, ScraperSection
from core.config.slices import RedditAccess, scraper_config
from core.errors import PermanentError, TransientError
from core.reddit.request_errors import (
    BadAnswer,
    CredentialsRejected,
    NetworkBlocked,
    RateLimited,
    ServerTrouble,
    TokenRejected,
    Unavailable,
    Unreachable,
)
from scraper.http.auth import user_agents
from scraper.http.auth.authentication import NoAuthentication
from scraper.http.proxy_report import AttemptOutcome, outcome_of
from scraper.http.retrying_fetcher import RetryingFetcher
from scraper.http.transport.route import ProxyRefused, ProxyRejectsUs, Route

ROOT = Path(__file__).resolve().parents[3]


@pytest.mark.parametrize(
    ("written", "url", "authorization"),
    [
        ("user:pass@host:8080", "http://host:8080", "Basic dXNlcjpwYXNz"),
        ("https://host:8443", "https://host:8443", None),
        ("http://user@host:1", "http://host:1", "Basic dXNlcjo="),
        ("http://me:p@ss:w/rd@[::1]:3128", "http://[::1]:3128", "Basic bWU6cEBzczp3L3Jk"),
        ("socks5://ü:é@host:1080", "socks5://host:1080", "Basic w7w6w6k="),
    ],
)
def test_an_address_is_taken_apart(written: str, url: str, authorization: str | None) -> None:
    route = Route.through(Proxy("a", normalised(written) or ""))
    assert route.url == url
    assert route.authorization == authorization


@pytest.mark.parametrize(
    ("proxy", "target", "expected"),
    [
        ("http://h:1", "http://reddit", True),
        ("https://h:1", "http://reddit", True),
        ("http://h:1", "https://reddit", False),
        ("socks5://h:1", "http://reddit", False),
        (None, "http://reddit", False),
    ],
)
def test_who_can_answer_in_reddits_place(proxy: str | None, target: str, expected: bool) -> None:
    route = Route.through(Proxy("a", proxy) if proxy else None)
    assert route.can_answer_itself(target) is expected


@pytest.mark.parametrize(
    ("error", "outcome"),
    [
        (Unavailable("banned"), AttemptOutcome.REFUSED),
        (RateLimited(None), AttemptOutcome.RATE_LIMITED),
        (TokenRejected("x"), AttemptOutcome.UNAUTHORISED),
        (CredentialsRejected("x"), AttemptOutcome.UNAUTHORISED),
        (ServerTrouble("x"), AttemptOutcome.SERVER_ERROR),
        (BadAnswer("x"), AttemptOutcome.BAD_ANSWER),
        (NetworkBlocked("x"), AttemptOutcome.NETWORK_BLOCK),
        (Unreachable("x"), AttemptOutcome.TRANSPORT_ERROR),
        (ProxyRefused("x", 502), AttemptOutcome.TRANSPORT_ERROR),
        (ProxyRejectsUs("x", 407), AttemptOutcome.PROXY_AUTH),
        (TransientError("something new"), AttemptOutcome.TRANSPORT_ERROR),
    ],
)
def test_errors_are_sorted(error: TransientError, outcome: AttemptOutcome) -> None:
    assert outcome_of(error) is outcome


def test_names_of_browsers_are_many_and_each_stands_once() -> None:
    names = user_agents.browsers()
    assert len(names) > 300
    assert len(set(names)) == len(names)
    assert all(name.isascii() and name.isprintable() for name in names)


def test_the_list_of_browsers_is_the_one_of_the_library() -> None:
    from fake_useragent import FakeUserAgent  # noqa: PLC0415 (large)

    assert FakeUserAgent().random in set(user_agents.browsers())


def test_a_library_without_its_list_says_what_to_do(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setattr("fake_useragent.utils.find_browser_json_path", lambda: tmp_path / "none")
    with pytest.raises(PermanentError, match=r"scraper\.user_agent"):
        user_agents.browsers()


def test_settings_come_from_the_configuration() -> None:
    reddit = RedditSection(client_id="id", client_secret="s3cret-x", user_agent="me")
    proxy = Proxy("b", "http://u:hunter2@h:1")
    scraper = ScraperSection(
        subreddits=("ethereum",), authentication="none", user_agent="rotate", concurrency=7, timeout=3.0, max_retries=1
    )
    found = scraper_config(Config(reddit=reddit, scraper=scraper), proxy)
    # without a token there are no credentials
    assert found.access == RedditAccess(reddit.reddit_url, reddit.oauth_url, "me", client_id="", client_secret="")
    assert (found.proxy, found.with_token, found.rotate, found.concurrency) == (proxy, False, True, 7)
    assert (found.timeout, found.max_retries, found.subreddits) == (3.0, 1, ("ethereum",))
    assert RetryingFetcher(found).report().name == "b"
    assert RetryingFetcher(replace(found, proxy=None)).report().name == DIRECT
    with_token = scraper_config(Config(reddit=reddit), proxy)
    assert (with_token.access.client_id, with_token.access.client_secret) == ("id", "s3cret-x")


def test_nothing_discovered_means_depth_zero() -> None:
    sections = [ScraperSection(discover=discover, max_depth=2) for discover in (True, False)]
    assert [scraper_config(Config(scraper=section), None).max_depth for section in sections] == [2, 0]


def test_what_is_rarely_needed_is_not_loaded() -> None:
    """Memory: each process would pay for it."""
    program = (
        "import sys, scraper.http.retrying_fetcher\n"
        "print([name for name in ('fake_useragent', 'aiohttp_socks', 'requests', 'praw') if name in sys.modules])"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, cwd=ROOT, check=True)
    assert found.stdout.strip() == "[]"


@pytest.mark.parametrize(
    "name", ["t:countries", "a.b~c_d-1", "Gr\u00fc\u00dfe", "a b", "a%2Fb", "a?b#c&d+e", "", "a\n"]
)
def test_a_name_in_an_address_is_encoded_as_urllib_does(name: str) -> None:
    url = NoAuthentication("https://reddit.test").url(f"/r/{name}/about", {"raw_json": 1})
    assert url == f"https://reddit.test{quote(f'/r/{name}/about')}.json?raw_json=1"
