"""Counters of what the visits of one process stored."""

from dataclasses import dataclass

from scraper.crawl.finish_rate import FinishRate


@dataclass(slots=True)
class CrawlCounters:
    """Counts since the process began; they only grow."""

    pace: FinishRate
    subreddits: int = 0
    users: int = 0
    posts: int = 0  #: rows saved, new ones and newer ones
    rules: int = 0
    failures: int = 0  #: turns that were put back
    given_back: int = 0  #: turns that another proxy has to do

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
