"""A proxy that fails costs time and nothing else: the others do its work, it is shown as resting, and it comes back."""

from pathlib import Path

from tests.support.ports import free_port
from tests.support.proxies import PProxy, ProxyPy, ScriptedProxy
from tests.support.scrape import Scrape
from tests.support.soaking import SOAK

BAD = ("refuse", "hang", "407", "502", "html")


def is_resting(scrape: Scrape, name: str) -> bool:
    row = scrape.proxy_row(name)
    return row.get("state") in ("resting", "probing") and bool(row["last_error"])


def is_healthy(scrape: Scrape, name: str) -> bool:
    return bool(scrape.proxy_row(name).get("state") == "healthy")


@SOAK
def test_proxies_that_never_work_beside_a_good_one(scrape: Scrape, tmp_path: Path) -> None:
    """They fail from the start; the crawl finishes through the good one, and names the bad ones."""
    good = ProxyPy(tmp_path, "good")
    bad = [ScriptedProxy(tmp_path, f"bad-{mode}", mode=mode) for mode in ("refuse", "html")]
    scrape.simulate(latency=0.05)
    scrape.start(good, *bad, timeout=1.5, concurrency=8)
    scrape.wait_end()
    for proxy in bad:
        scrape.wait(lambda: is_resting(scrape, proxy.name), 60.0, f"{proxy.name} to be shown as resting")  # noqa: B023
        row = scrape.proxy_row(proxy.name)
        assert row["success_count"] == 0
        assert row["error_count"] >= 1
        assert row["last_error"]
        assert row["resting_until"]
    assert is_healthy(scrape, "good")
    text = scrape.system.command("status")
    lines = {proxy.name: [line for line in text.splitlines() if proxy.name in line] for proxy in bad}
    for name, found in lines.items():
        assert any("RESTING" in line or "PROBING" in line for line in found), (
            f"{name} should be shown as resting:\n{text}"
        )
    processes = {process["name"]: process for process in scrape.system.status()["processes"]}
    assert {process["state"] for process in processes.values()} == {"RUNNING"}, "a proxy's failure ends no process"
    assert {process["restarts"] for process in processes.values()} == {0}
    scrape.finish()


@SOAK
def test_proxies_that_fail_for_a_while_in_the_middle_of_the_crawl(scrape: Scrape, tmp_path: Path) -> None:
    """They take part, fail each in its own way, rest, behave again, and take part again."""
    good = PProxy(tmp_path, "good", "socks5")
    moody = [ScriptedProxy(tmp_path, f"moody-{mode}") for mode in BAD]
    scrape.simulate(latency=0.3)
    scrape.start(good, *moody, timeout=1.5, concurrency=2)
    for proxy in moody:
        scrape.wait(lambda: proxy.seen().get("forward", 0) >= 3, 60.0, f"{proxy.name} to take part")  # noqa: B023
    for proxy, mode in zip(moody, BAD, strict=True):
        proxy.mode(mode)
    for proxy in moody:
        scrape.wait(lambda: is_resting(scrape, proxy.name), 60.0, f"{proxy.name} to rest")  # noqa: B023
    before = {proxy.name: proxy.seen()["forward"] for proxy in moody}
    for proxy in moody:
        proxy.mode("forward")
    for proxy in moody:
        scrape.wait(lambda: is_healthy(scrape, proxy.name), 60.0, f"{proxy.name} to work again")  # noqa: B023
    scrape.wait_end()
    again = {proxy.name: proxy.seen()["forward"] - before[proxy.name] for proxy in moody}
    scrape.notes["requests after the failure"] = again
    assert all(count >= 1 for count in again.values()), f"each should have been tried again: {again}"
    scrape.finish()


def test_all_proxies_failing_raises_an_alarm_and_passes(scrape: Scrape, tmp_path: Path) -> None:
    """In the log, in /readyz and in the metrics; and it is over as soon as one works again."""
    proxies = [ScriptedProxy(tmp_path, name) for name in ("a", "b")]
    scrape.simulate(latency=0.2)
    scrape.start(*proxies, timeout=1.5, concurrency=4, monitor=free_port())
    page = scrape.system.page
    scrape.wait(lambda: page("/readyz")[0] == 200, 60.0, "all to be well")
    scrape.wait_saved("reddit_posts", 50)
    for proxy in proxies:
        proxy.mode("refuse")
    scrape.wait(lambda: scrape.events("supervisor", "all_proxies_failing"), 60.0, "the alarm")
    assert scrape.events("supervisor", "all_proxies_failing")[0]["level"] == "error"
    scrape.wait(lambda: page("/readyz")[0] == 503, 20.0, "/readyz to say so")
    assert "prox" in page("/readyz")[1]
    assert {'proxy_up{proxy="a"} 0.0', 'proxy_up{proxy="b"} 0.0'} <= set(page("/metrics")[1].splitlines())
    assert not scrape.events("supervisor", "all_proxies_recovered")
    for proxy in proxies:
        proxy.mode("forward")
    scrape.wait(lambda: scrape.events("supervisor", "all_proxies_recovered"), 60.0, "the all-clear")
    scrape.wait_end()
    scrape.wait(lambda: page("/readyz")[0] == 200, 20.0, "/readyz to be content again")
    assert len(scrape.events("supervisor", "all_proxies_failing")) == 1, "one alarm, not one a second"
    scrape.finish()


def test_closed_subreddits_and_lost_users_never_count_against_a_proxy(scrape: Scrape, tmp_path: Path) -> None:
    """Most of this world is private, banned, quarantined, suspended or gone; the proxy is as good as ever."""
    scrape.simulate(crawl_closed_share=0.7, crawl_suspended_share=0.3, crawl_gone_share=0.4)
    scrape.start(ProxyPy(tmp_path, "a"))
    scrape.wait_end()
    row = scrape.proxy_row("a")
    assert (row["state"], row["error_count"], row["consecutive_failures"]) == ("healthy", 0, 0)
    assert not scrape.events("scraper-a", "proxy_rests")
    refused = scrape.tables.value("SELECT count(*) FROM reddit_frontier WHERE state <> 'open'")
    scrape.wait(lambda: f" {refused} refused" in scrape.system.command("status"), 20.0, f"{refused} refused in status")
    scrape.finish()


def test_a_wrong_password_is_named_as_such(scrape: Scrape, tmp_path: Path) -> None:
    """Real proxies that do not know us: no request succeeds, and the message names the key to correct."""
    proxies = (ProxyPy(tmp_path, "http"), PProxy(tmp_path, "socks", "socks5"))
    for proxy in proxies:
        proxy.start()
        proxy.password = proxy.token = "not-the-password"
    scrape.simulate()
    scrape.start(*proxies)
    for proxy in proxies:
        scrape.wait(lambda: is_resting(scrape, proxy.name), 60.0, f"{proxy.name} to rest")  # noqa: B023
        error = scrape.proxy_row(proxy.name)["last_error"]
        assert "password" in error, f"an error that helps, not {error!r}"
    scrape.expect_no_secrets(scrape.system.command("status"))
    scrape.stop()
    assert scrape.saved("reddit_subreddits") == 0
