"""The part of the configuration that steers the crawl."""

from dataclasses import dataclass

from core.config import Config


@dataclass(frozen=True, slots=True)
class CrawlSettings:
    """Where it begins, how far it goes, how much it does at once."""

    subreddits: tuple[str, ...]
    users_per_subreddit: int
    concurrency: int  #: requests in flight
    max_depth: int  #: 0 where nothing is to be discovered
    discover: bool
    refresh_after: float  #: seconds
    has_others: bool = False  #: other processes ask through other proxies

    @classmethod
    def of(cls, config: Config) -> "CrawlSettings":
        """Take them out of the configuration."""
        scraper = config.scraper
        return cls(
            subreddits=scraper.subreddits,
            users_per_subreddit=scraper.users_per_subreddit,
            concurrency=scraper.concurrency,
            max_depth=scraper.max_depth if scraper.discover else 0,
            discover=scraper.discover,
            refresh_after=scraper.refresh_after,
            has_others=len(scraper.proxies) > 1,
        )

    def leads_on(self, depth: int) -> bool:
        """Whether what is found from a subreddit of this depth is still within reach."""
        return self.discover and depth < self.max_depth
