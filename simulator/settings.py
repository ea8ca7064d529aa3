"""Settings of one simulator: everything that the command line sets."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

DEFAULT_SUBREDDITS = (
    "CryptoCurrency",
    "Bitcoin",
    "ethereum",
    "CryptoMarkets",
    "bitcoinmarkets",
    "ethtrader",
    "CryptoTechnology",
)


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


@dataclass(frozen=True, slots=True)
class ChangeSettings:
    """What becomes of items later, of each kind with its share; nothing by default."""

    edited_share: float = 0.0
    #: shares that are removed, deleted or gone
    lost_posts_share: float = 0.0
    lost_comments_share: float = 0.0
    #: share of the removed ones that are restored
    restored_share: float = 0.0
    #: changes of the score of every item
    score_steps: int = 0
    #: ages between which all this happens, seconds
    seconds: tuple[float, float] = (60.0, 129_600.0)


@dataclass(frozen=True, slots=True)
class Settings:
    """The world (which items appear, and when) and the server (access and quota)."""

    host: str = "127.0.0.1"
    port: int = 0
    seed: int = 0
    subreddits: tuple[str, ...] = DEFAULT_SUBREDDITS
    submissions_per_second: float = 1.0
    comments_per_second: float = 20.0
    texts: tuple[Path, ...] = ()
    backlog: int = 0
    cap: int = 1000
    sequential_ids: bool = False
    #: kinds with ids in random order although `sequential_ids` is set
    random_id_kinds: tuple[str, ...] = ()
    #: posts have the number of comments that this world has, not the template's
    count_comments: bool = False
    changes: ChangeSettings = field(default_factory=ChangeSettings)
    #: rules of items that are hidden from listings
    hide: tuple[Mapping[str, Any], ...] = ()
    late_share: float = 0.02
    late_seconds: tuple[float, float] = (3.0, 12.0)
    removed_share: float = 0.03
    removed_seconds: tuple[float, float] = (1.0, 30.0)
    client_id: str | None = None
    client_secret: str | None = None
    token_lifetime: float = 3600.0
    announced_lifetime: float | None = None
    quota: int = 1000
    window: float = 600.0
    lenient_combined: bool = False
    anonymous: bool = False
    anonymous_quota: int | None = None
    tls_certificate: Path | None = None
    tls_key: Path | None = None
    latencies: Mapping[str, float] = field(default_factory=dict)
    crawl: CrawlSettings = field(default_factory=CrawlSettings)
    faults: Mapping[str, object] = field(default_factory=dict)
    rules: tuple[Mapping[str, Any], ...] = ()
    freeze: float = 0.0
    clock_offset: float = 0.0
    parent: int | None = None
