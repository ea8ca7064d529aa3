"""The part of the configuration that one process's requests need."""

from dataclasses import dataclass, field

from core.config.proxies import DIRECT, Proxy
from core.config.slices import ScraperConfig

_ANY_SUBREDDIT = "Bitcoin"


@dataclass(frozen=True, slots=True)
class FetchSettings:
    """Settings for the requests of one process, including its proxy."""

    reddit_url: str
    oauth_url: str
    user_agent: str
    proxy: Proxy | None = None  #: its own representation masks the password
    with_token: bool = True  #: authentication = "oauth"
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    rotate: bool = False  #: a different browser's User-Agent with each request
    concurrency: int = 20
    timeout: float = 15.0
    max_retries: int = 3
    probe_subreddit: str = _ANY_SUBREDDIT  #: requested to test a proxy when no token is used
    seeds: tuple[str, ...] = ()  #: requested to test a proxy through which nothing was served yet

    @classmethod
    def of(cls, config: ScraperConfig) -> "FetchSettings":
        """Extract the settings for the process of this proxy, or of none."""
        access = config.access
        return cls(
            reddit_url=access.reddit_url,
            oauth_url=access.oauth_url,
            user_agent=access.user_agent,
            proxy=config.proxy,
            with_token=config.with_token,
            client_id=access.client_id,
            client_secret=access.client_secret,
            rotate=config.rotate,
            concurrency=config.concurrency,
            timeout=config.timeout,
            max_retries=config.max_retries,
            probe_subreddit=next(iter(config.subreddits), _ANY_SUBREDDIT),
            seeds=config.subreddits,
        )

    @property
    def leads_to_https(self) -> bool:
        """Whether certificates must be verified."""
        return self.reddit_url.startswith("https:") or self.oauth_url.startswith("https:")

    @property
    def name(self) -> str:
        """The proxy's name."""
        return self.proxy.name if self.proxy is not None else DIRECT
