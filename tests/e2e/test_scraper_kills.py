"""Whatever dies or stops, what was saved is not fetched again, and the rest comes."""

import time
from pathlib import Path

from tests.support.durations import allowed
from tests.support.processes import gone
from tests.support.proxies import PProxy, ProxyPy
from tests.support.scrape import Scrape
from tests.support.soaking import SOAK
from tests.support.waiting import wait_until

_ENOUGH = 4  # kills: on a slow machine a process may not get far in three seconds


def test_sigkill_of_a_random_scraper_every_3_seconds(scrape: Scrape, tmp_path: Path) -> None:
    """What was saved is not requested again: only the requests in flight at that moment are lost."""
    scrape.simulate(latency=0.4)
    scrape.start(ProxyPy(tmp_path, "a"), PProxy(tmp_path, "b", "socks5"), PProxy(tmp_path, "c", "http"), concurrency=4)
    scrape.system.wait_up()
    due = time.monotonic() + 3
    while len(scrape.system.kills) < _ENOUGH and (scrape.open() or not scrape.saved("reddit_frontier")):
        scrape.pass_time(0.2)
        if time.monotonic() >= due:
            scrape.system.kill_random_child(scrape.random)
            due += 3
    scrape.wait_end()
    kills = len(scrape.system.kills)
    again = sum(count - 1 for addresses in scrape.asked_by_name().values() for count in addresses.values())
    scrape.notes |= {"kills": kills, "requests": sum(scrape.asked()["by_address"].values()), "repeated": again}
    assert kills >= 3
    assert again <= 15 * kills, "four requests are in flight, and at most a few answers are not saved yet"
    scrape.finish()


def test_sigterm_in_the_middle_and_a_new_start(scrape: Scrape, tmp_path: Path) -> None:
    """It ends within seconds with requests in flight; its leases return at once, nothing saved is requested again."""
    scrape.simulate(latency=0.3)
    proxies = (ProxyPy(tmp_path, "a"), PProxy(tmp_path, "b", "socks5"))
    scrape.start(*proxies, concurrency=6)
    scrape.wait_saved("reddit_users", 15)
    assert scrape.tables.value("SELECT count(*) FROM reddit_frontier WHERE leased_by IS NOT NULL") > 0
    began = time.monotonic()
    assert scrape.system.stop() == 0
    scrape.notes["stopped in"] = f"{time.monotonic() - began:.1f} s"
    assert time.monotonic() - began < allowed(5.0)
    assert scrape.tables.value("SELECT count(*) FROM reddit_frontier WHERE leased_by IS NOT NULL") == 0
    assert scrape.tables.value("SELECT count(*) FROM reddit_user_claims") == 0
    assert scrape.open(), "the scenario wants a crawl that had not ended"
    doubted = {row["name"] for row in scrape.tables.rows("SELECT name FROM reddit_frontier WHERE doubts IS NOT NULL")}
    saved = {*scrape.names_saved("reddit_users"), *scrape.names_saved("reddit_subreddits")} - doubted
    before = scrape.asked_by_name()
    scrape.system.start()
    scrape.wait_end()
    after = scrape.asked_by_name()
    again = {name: (before[name], after[name]) for name in saved & before.keys() if before[name] != after[name]}
    assert not again, f"these were saved, and asked for again: {again}"
    scrape.finish()


@SOAK
def test_sigkill_of_the_supervisor_and_a_new_start(scrape: Scrape, tmp_path: Path) -> None:
    """No orphan outlives it by two seconds; the next one takes back what the dead held, without waiting for it."""
    scrape.simulate(latency=0.3)
    scrape.start(ProxyPy(tmp_path, "a"), PProxy(tmp_path, "b", "socks5"), concurrency=6)
    scrape.wait_saved("reddit_users", 10)
    orphans = scrape.system.kill_supervisor()
    assert len(orphans) == 2
    wait_until(lambda: all(map(gone, orphans)), what="the orphans to end themselves")
    scrape.system.start()
    scrape.wait_end(55.0)  # a lease that had to expire would take a minute
    scrape.finish()
