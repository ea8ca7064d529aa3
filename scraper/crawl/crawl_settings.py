"""The part of the configuration that steers the crawl."""

from dataclasses import dataclass

from core.config.slices import ScraperConfig


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
    def of(cls, config: ScraperConfig) -> "CrawlSettings":
        """Take them out of the configuration."""
        return cls(
            subreddits=config.subreddits,
            users_per_subreddit=config.users_per_subreddit,
            concurrency=config.concurrency,
            max_depth=config.max_depth if config.discover else 0,
            discover=config.discover,
            refresh_after=config.refresh_after,
            has_others=len(config.processes) > 1,
        )

    def leads_on(self, depth: int) -> bool:
        """Whether what is found from a subreddit of this depth is still within reach."""
        return self.discover and depth < self.max_depth
