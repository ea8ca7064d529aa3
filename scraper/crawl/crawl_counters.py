"""Counters of what one process stored."""

from dataclasses import dataclass

from scraper.crawl.finish_rate import FinishRate


@dataclass(slots=True)
class CrawlCounters:
    """Counts since the process started; they only grow."""

    pace: FinishRate
    subreddits: int = 0
    users: int = 0
    posts: int = 0  #: rows saved, both new and updated
    rules: int = 0
    failures: int = 0  #: turns that were put back
    given_back: int = 0  #: turns that were left to another proxy

    def as_dict(self) -> dict[str, int]:
        """Return the counts by name."""
        return {
            "subreddits": self.subreddits,
            "users": self.users,
            "posts": self.posts,
            "rules": self.rules,
            "failures": self.failures,
            "leases_given_back": self.given_back,
        }
