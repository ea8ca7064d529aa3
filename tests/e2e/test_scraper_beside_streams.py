"""Streams and scraper under one supervisor share one client's quota, and the streams come first."""

import time
import uuid

from tests.support.brokers import TansuBroker
from tests.support.ledger import compare
from tests.support.scrape import Scrape
from tests.support.topic import read_topic

_QUOTA = 1000  # requests in a window of ten minutes, as Reddit gives them


def test_the_scraper_takes_what_the_streams_leave(scrape: Scrape, tansu: TansuBroker) -> None:
    """The crawl wants more than the whole quota: it gets a part, no request is refused, no item of a stream waits."""
    topic = f"reddit-{uuid.uuid4().hex[:8]}"
    now = time.time()
    window = now / (now // 600)  # ten minutes and a little: windows begin at multiples, and this one begins now
    scrape.simulate(
        quota=_QUOTA,
        window=window,
        comments_per_second=10,
        backlog=100,
        late_share=0,
        crawl_subreddits=26,
        crawl_authors=25,
    )
    scrape.start(
        kafka={"bootstrap_servers": tansu.bootstrap_servers, "topic": topic},
        streams={"max_poll_interval": 2.0},
        reddit={"requests_per_minute": _QUOTA // 10},
    )
    scrape.system.wait_up()
    scrape.wait(lambda: scraped(scrape) >= 100, 60.0, "a busy scraper")
    scrape.wait(lambda: not moves(scrape), 60.0, "the scraper to have used up its part")
    before = streamed(scrape)
    scrape.pass_time(5)
    assert streamed(scrape) - before >= 2, "the streams must go on when the scraper has to wait"
    scrape.simulator.pause()

    def arrived() -> bool:
        return not compare(scrape.simulator.truth(), read_topic(tansu.bootstrap_servers, topic)).lost

    scrape.wait(arrived, 60.0, "all items of the streams")
    scrape.notes |= {"requests of the streams": streamed(scrape), "of the scraper": scraped(scrape)}
    assert scraped(scrape) <= _QUOTA / 2, "half of it is kept for the streams until their pace is known"
    assert scrape.simulator.stats()["by_status"].get("429", 0) == 0
    assert scrape.saved("reddit_posts") > 0
    assert scrape.open(), "the scenario wants a crawl that needs more than there is"
    scrape.stop()


def moves(scrape: Scrape) -> bool:
    """Whether the scraper asks for more than now and then."""
    before = scraped(scrape)
    scrape.pass_time(2)
    return scraped(scrape) - before > 10


def streamed(scrape: Scrape) -> int:
    return scrape.simulator.requests("/new") + scrape.simulator.requests("/comments")


def scraped(scrape: Scrape) -> int:
    return sum(scrape.asked()["by_address"].values())
