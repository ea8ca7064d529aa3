"""The database keeps what people wrote, comes back after an outage, and is shared by several machines."""

from contextlib import closing
from pathlib import Path

from tests.support.postgres import PostgresServer
from tests.support.proxies import PProxy, ProxyPy
from tests.support.scrape import SEEDS, Scrape


def test_two_machines_share_one_frontier(scrape_on_postgres: Scrape, tmp_path: Path) -> None:
    """All is fetched, nothing by both, and both have taken part."""
    scrape = scrape_on_postgres
    scrape.simulate(latency=0.3)
    scrape.start(ProxyPy(tmp_path, "one"), machine="one", concurrency=5)
    scrape.start(PProxy(tmp_path, "two", "socks5"), machine="two", concurrency=5)
    scrape.wait_end()
    doubted = scrape.asked_to_confirm()
    twice = {name: count for name, count in scrape.asked_most().items() if count > (3 if name in doubted else 1)}
    assert not twice, f"fetched more than once: {twice}"
    shares = [scrape.proxy_row(name)["success_count"] for name in ("one", "two")]
    scrape.notes["requests of each machine"] = shares
    scrape.expect_no_secrets(scrape.system.command("status"))
    assert min(shares) >= 20, f"both should have worked: {shares}"
    scrape.finish()


def test_postgresql_away_for_10_seconds(scrape_on_postgres: Scrape, postgres: PostgresServer) -> None:
    scrape = scrape_on_postgres
    scrape.simulate(latency=0.2)
    scrape.start(concurrency=10)
    scrape.wait_saved("reddit_users", 10)
    postgres.stop()
    scrape.pass_time(10)
    assert "unavailable for" in scrape.system.command("status"), "`status` does not need the database"
    postgres.start()
    expect_end_after_outage(scrape)


def test_sqlite_locked_by_another_program_for_10_seconds(scrape: Scrape) -> None:
    scrape.simulate(latency=0.2)
    scrape.start(concurrency=10)
    scrape.wait_saved("reddit_users", 10)
    with closing(scrape.tables.connect()) as other:
        other.isolation_level = None
        other.execute("BEGIN IMMEDIATE")
        scrape.pass_time(10)
        other.execute("ROLLBACK")
    expect_end_after_outage(scrape, locked_out=True)


def test_the_file_is_deleted_under_two_processes(scrape: Scrape, tmp_path: Path) -> None:
    """Both notice within seconds, say so, and fetch everything into the new file."""
    scrape.simulate(latency=0.1)
    system = scrape.start(ProxyPy(tmp_path, "one"), PProxy(tmp_path, "two", "socks5"), concurrency=5)
    scrape.wait_saved("reddit_users", 10)
    file = Path(system.database.removeprefix("sqlite:///"))
    for path in file.parent.glob(f"{file.name}*"):
        path.unlink()
    names = ("scraper-one", "scraper-two")
    scrape.wait(lambda: all(scrape.events(name, "database_replaced") for name in names), 10.0, "both to notice")
    scrape.wait_end()
    assert [process["restarts"] for process in system.status()["processes"]] == [0, 0]
    scrape.finish()


def expect_end_after_outage(scrape: Scrape, *, locked_out: bool = False) -> None:
    """The same processes continue; the outage is logged once when it begins and once when it ends."""
    scrape.wait_end()
    assert len(scrape.events("scraper-direct", "database_away")) == 1
    assert len(scrape.events("scraper-direct", "database_back")) == 1
    assert [process["restarts"] for process in scrape.system.status()["processes"]] == [0]
    scrape.finish(locked_out=locked_out)


def test_what_people_wrote_is_kept_and_steers_the_crawl(scrape: Scrape) -> None:
    """`skip` is never asked for, `posts_only` has no users; a second round changes none of the people's columns."""
    scrape.simulate(crawl_overlap=0, crawl_closed_share=0)
    kept, posts_only = SEEDS
    scrape.start(subreddits=[kept], discover=False)
    scrape.wait_end()
    first = scrape.fetched_at("reddit_subreddits", kept)
    scrape.stop()
    alone = scrape.asked_most()
    skipped = next(name for name in scrape.names_held() if name not in SEEDS)
    insert = "INSERT INTO reddit_subreddits (name, review, primary_category, tags) VALUES"
    scrape.tables.execute(f"{insert} ('{skipped}', 'skip', 'bad', 'one')")
    scrape.tables.execute(f"{insert} ('{posts_only.upper()}', 'posts_only', 'so so', 'two, three')")
    scrape.tables.execute(
        f"UPDATE reddit_subreddits SET review = 'fine', primary_category = 'good', tags = '' WHERE name = '{kept}'"
    )

    scrape.start(subreddits=[kept, posts_only, skipped], discover=False, refresh_after="1s")
    scrape.wait(lambda: scrape.fetched_at("reddit_subreddits", posts_only), 60.0, "the new one")
    scrape.wait(lambda: scrape.fetched_at("reddit_subreddits", kept) > first, 60.0, "the first one, again")
    scrape.wait(lambda: scrape.asked_most()[kept.lower()] > alone[kept.lower()] + 1, 60.0, "another round")
    scrape.stop()

    people = {
        row["name"]: (row["review"], row["primary_category"], row["tags"])
        for row in scrape.tables.rows("SELECT * FROM reddit_subreddits")
    }
    assert people == {
        skipped: ("skip", "bad", "one"),
        posts_only: ("posts_only", "so so", "two, three"),  # in Reddit's spelling now
        kept: ("fine", "good", ""),
    }
    asked = scrape.asked_most()
    assert skipped.lower() not in asked
    assert asked[posts_only.lower()] >= 1
    users = {name for name in asked if name not in (kept.lower(), posts_only.lower())}
    assert users == {name for name in alone if name != kept.lower()}, "no other profile is requested"
    (figures,) = scrape.tables.rows(f"SELECT score_mean FROM reddit_subreddits WHERE name = '{kept}'")
    assert figures["score_mean"] is not None


def test_a_restart_fetches_nothing_that_is_young_enough(scrape: Scrape) -> None:
    """Without any proxy, with few users of each subreddit, and one step only."""
    scrape.simulate()
    scrape.start(users_per_subreddit=3, max_depth=1)
    scrape.wait_end()
    scrape.stop()
    before = scrape.asked()
    scrape.system.start()
    scrape.system.wait_up()
    scrape.pass_time(3)
    assert scrape.asked() == before
    scrape.finish()
