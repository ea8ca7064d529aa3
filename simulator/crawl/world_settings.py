"""Settings of the crawl world: its size, and its share of odd content."""

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class CrawlSettings:
    """Counts and shares; the properties of single names are drawn from the seed."""

    subreddits: int = 100
    #: None: as many as the subreddits have authors
    users: int | None = None
    posts: int = 120
    authors: int = 25
    overlap: float = 0.2
    links: int = 6
    submitted: int = 40
    wander_share: float = 0.02
    closed_share: float = 0.06
    small_share: float = 0.12
    missing_share: float = 0.02
    suspended_share: float = 0.03
    gone_share: float = 0.03
    deleted_share: float = 0.04
    #: megabytes of rendered answers in the cache
    cache: int = 64
