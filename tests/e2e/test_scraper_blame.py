"""Whoever is to blame waits: a bad exit rests while the others do its work, a name that fails comes later."""

from pathlib import Path

from tests.support.ports import free_port
from tests.support.proxies import PProxy, ProxyPy, ScriptedProxy
from tests.support.scrape import Scrape

#: How a bad exit answers; its tokens come through.
LOOKS = ("challenge", "empty", "forbidden", "wrong")

#: Answers that a bad exit may spoil before it rests: those of its first subreddit, and of the tests.
_MOST_SPOILT = 60


def states(scrape: Scrape) -> dict[str, str]:
    """The state of each proxy in the database."""
    rows = scrape.tables.rows("SELECT name, state FROM reddit_proxies")
    return {row["name"]: row["state"] for row in rows}


def test_bad_exits_rest_whatever_their_answers_look_like(scrape: Scrape, tmp_path: Path) -> None:
    """S02 and its family: the good ones do the work in the usual time, and each bad one is warned of."""
    good = (ProxyPy(tmp_path, "good1"), PProxy(tmp_path, "good2", "socks5"))
    bad = [ScriptedProxy(tmp_path, f"bad-{look}", mode=look) for look in LOOKS]
    scrape.simulate(latency=0.1)
    scrape.start(*good, *bad, timeout=5.0, concurrency=5, monitor=free_port())
    for proxy in bad:
        scrape.wait(
            lambda: states(scrape).get(proxy.name) in {"resting", "probing"},  # noqa: B023
            30.0,
            f"{proxy.name} to rest",
        )
    scrape.wait_end()
    spoilt = {proxy.name: proxy.seen().get("answered", 0) for proxy in bad}
    scrape.notes["answers of bad exits"] = spoilt
    assert max(spoilt.values()) <= _MOST_SPOILT
    assert {name: state for name, state in states(scrape).items() if name.startswith("good")} == {
        "good1": "healthy",
        "good2": "healthy",
    }
    assert scrape.system.page("/readyz")[0] == 200, "two work"
    assert 'monitor_warning{warning="proxy_failing"} 1' in scrape.system.page("/metrics")[1]
    for proxy in bad:
        assert scrape.events(f"scraper-{proxy.name}", "proxy_failing")
        proxy.mode("forward")
    for proxy in bad:
        scrape.wait(
            lambda: scrape.events(f"scraper-{proxy.name}", "proxy_recovered"),  # noqa: B023
            60.0,
            f"{proxy.name} to work again",
        )
    scrape.finish()


def oldest_done(scrape: Scrape, without: str) -> str:
    """When the subreddit that was finished longest ago was, of all but one; empty while one has not been."""
    others = f"FROM reddit_frontier WHERE name <> '{without.lower()}'"
    left = scrape.tables.value(f"SELECT count(*) {others} AND done_at IS NULL")
    return "" if left else scrape.tables.value(f"SELECT CAST(min(done_at) AS TEXT) {others}") or ""


def wait_refresh(scrape: Scrape, without: str) -> None:
    """Return when all but one were finished once more."""
    before = oldest_done(scrape, without)
    scrape.wait(lambda: oldest_done(scrape, without) > before, 60.0, "a refresh of all others")


def test_a_name_that_always_fails_costs_the_proxies_nothing(scrape: Scrape, tmp_path: Path) -> None:
    """S03, S04 and S06 in one run, with a short refresh: the others are refreshed in time, nothing rests or parks."""
    proxies = (ProxyPy(tmp_path, "a"), PProxy(tmp_path, "b", "socks5"), PProxy(tmp_path, "c", "http"))
    scrape.simulate(crawl_closed_share=0, crawl_suspended_share=0, crawl_gone_share=0, token_lifetime=5)
    names = sorted(scrape.names_held())[:12]
    refused, holder = names[3], names[5]
    [held] = scrape.simulator.held_of(subreddits=[holder])
    author = scrape.simulator.posts_of(held["hot"])[0]["author"]
    html, json = {"content-type": "text/html"}, {"content-type": "application/json"}
    scrape.simulator.rule(path=f"(?i)^/r/{refused}/", status=403, body="<html>blocked</html>", headers=html)
    scrape.simulator.rule(path=f"^/user/{author}/submitted", status=500, body="<html>500</html>", headers=html)
    scrape.start(*proxies, subreddits=names, discover=False, refresh_after="5s", concurrency=5)
    wait_refresh(scrape, refused)
    wait_refresh(scrape, refused)
    row = scrape.tables.rows(f"SELECT * FROM reddit_frontier WHERE name = '{refused.lower()}'")[0]
    assert row["attempts"] >= 1
    figures = f"SELECT comment_karma_p10 FROM reddit_subreddits WHERE name = '{holder}'"
    assert scrape.tables.value(figures) is not None
    processes = [f"scraper-{proxy.name}" for proxy in proxies]
    assert not [name for name in processes if scrape.events(name, "proxy_rests")]
    assert set(states(scrape).values()) == {"healthy"}

    body = '{"message": "Unauthorized", "error": 401}'
    scrape.simulator.rule(endpoint="token", status=401, body=body, headers=json, count=6)
    scrape.wait(lambda: sum(len(scrape.events(name, "token_not_given")) for name in processes) >= 6, 60.0, "refusals")
    wait_refresh(scrape, refused)
    assert {process["state"] for process in scrape.system.status()["processes"]} == {"RUNNING"}
    scrape.stop()
