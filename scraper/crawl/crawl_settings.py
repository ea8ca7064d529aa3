"""The part of the configuration that steers the crawl."""

from dataclasses import dataclass

from core.config.slices import ScraperConfig


@dataclass(frozen=True, slots=True)
class CrawlSettings:
    """The seeds, the maximum depth, and the limits of concurrency."""

    subreddits: tuple[str, ...]
    users_per_subreddit: int
    concurrency: int  #: requests in flight
    max_depth: int  #: 0 if nothing is to be discovered
    discover: bool
    refresh_after: float  #: seconds
    has_others: bool = False  #: whether other processes send requests through other proxies

    @classmethod
    def of(cls, config: ScraperConfig) -> "CrawlSettings":
        """Take the settings from the configuration."""
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
        """Whether subreddits found from one of this depth are within the maximum depth."""
        return self.discover and depth < self.max_depth
