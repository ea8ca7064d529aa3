"""Whatever Reddit answers, every subreddit, rule, post and user is in the database, once, as it was served."""

from pathlib import Path

import pytest

from tests.support.proxies import PProxy, ProxyPy
from tests.support.scrape import Scrape
from tests.support.soaking import SOAK

# the shares, and a little cut-off JSON
UNRELIABLE = {
    "status_500": 0.02,
    "status_502": 0.015,
    "status_503": 0.015,
    "reset": 0.05,
    "html": 0.03,
    "truncated_json": 0.02,
}


@pytest.mark.parametrize("authentication", ["oauth", pytest.param("none", marks=SOAK)])
def test_errors_resets_html_and_truncated_json(scrape: Scrape, tmp_path: Path, authentication: str) -> None:
    """Through an HTTP proxy, whose own failures would look the same, and a SOCKS proxy; tokens do not last either."""
    scrape.simulate(faults=UNRELIABLE, token_lifetime=3)
    scrape.start(ProxyPy(tmp_path, "a"), PProxy(tmp_path, "b", "socks5"), authentication=authentication)
    scrape.wait_saved("reddit_users", 10)
    scrape.simulator.expire_tokens()
    scrape.wait_end()
    struck = scrape.simulator.stats()["by_fault"]
    scrape.notes["faults"] = ", ".join(f"{name} {count}" for name, count in struck.items())
    assert sum(struck.values()) >= 20
    scrape.finish()


def test_a_storm_of_429_that_says_when_to_come_back(scrape: Scrape) -> None:
    """Every request is refused for a while, then every third; no process sends one before the time is over."""
    scrape.simulate()
    scrape.start()
    scrape.wait_saved("reddit_users", 5)
    scrape.simulator.faults(status_429=1.0, retry_after=2)
    scrape.pass_time(5)
    refused = scrape.simulator.stats()["by_status"].get("429", 0)
    scrape.simulator.faults(status_429=0.3, retry_after="date", retry_after_seconds=1)
    scrape.pass_time(4)
    scrape.simulator.clear_faults()
    scrape.wait_end()
    scrape.notes["429 in 5 s of storm"] = refused
    assert refused <= 60, "twenty requests in flight, refused at most three times in five seconds"
    scrape.finish()


@SOAK
def test_a_storm_of_429_without_a_word(scrape: Scrape) -> None:
    """Without a token there is no quota to share: this process pauses by itself, longer each time."""
    scrape.simulate()
    scrape.start(authentication="none", concurrency=10)
    scrape.wait_saved("reddit_users", 5)
    scrape.simulator.faults(status_429=1.0, retry_after=None)
    scrape.pass_time(4)
    refused = scrape.simulator.stats()["by_status"].get("429", 0)
    scrape.simulator.clear_faults()
    scrape.wait_end()
    scrape.notes["429 in 4 s of storm"] = refused
    assert refused <= 10, "the first wait is five seconds, for all requests of the process"
    scrape.finish()


def test_connections_that_hang(scrape: Scrape, tmp_path: Path) -> None:
    """Some answers never come: each costs one timeout, and the others go on meanwhile."""
    scrape.simulate(faults={"hang": 0.06, "hang_seconds": 60})
    scrape.start(PProxy(tmp_path, "a", "socks5"), PProxy(tmp_path, "b", "http"), timeout=1.5)
    scrape.wait_end()
    assert scrape.simulator.stats()["by_fault"].get("hang", 0) >= 5
    scrape.finish()
