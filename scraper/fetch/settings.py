"""The part of the configuration that one process's requests need."""

from dataclasses import dataclass, field

from core.config import Config
from core.config.proxy import Proxy
from core.crawl import DIRECT

_ANY_SUBREDDIT = "Bitcoin"


@dataclass(frozen=True, slots=True)
class FetchSettings:
    """How one process fetches, and through which proxy."""

    reddit_url: str
    oauth_url: str
    user_agent: str
    proxy: Proxy | None = None  #: its own representation masks the password
    with_token: bool = True  #: authentication = "oauth"
    client_id: str = ""
    client_secret: str = field(default="", repr=False)
    rotate: bool = False  #: another browser's name with each request
    concurrency: int = 20
    timeout: float = 15.0
    max_retries: int = 3
    probe_subreddit: str = _ANY_SUBREDDIT  #: asked for to test a proxy where there is no token to ask for
    seeds: tuple[str, ...] = ()  #: asked for to test a proxy through which nothing was served yet

    @classmethod
    def of(cls, config: Config, proxy: Proxy | None) -> "FetchSettings":
        """Take them out of the configuration, for the process of this proxy, or of none."""
        reddit, scraper = config.reddit, config.scraper
        return cls(
            reddit_url=reddit.reddit_url,
            oauth_url=reddit.oauth_url,
            user_agent=reddit.user_agent,
            proxy=proxy,
            with_token=scraper.authentication == "oauth",
            client_id=reddit.client_id,
            client_secret=reddit.client_secret,
            rotate=scraper.user_agent == "rotate",
            concurrency=scraper.concurrency,
            timeout=scraper.timeout,
            max_retries=scraper.max_retries,
            probe_subreddit=next(iter(scraper.subreddits), _ANY_SUBREDDIT),
            seeds=scraper.subreddits,
        )

    @property
    def leads_to_https(self) -> bool:
        """Whether certificates have to be checked."""
        return self.reddit_url.startswith("https:") or self.oauth_url.startswith("https:")

    @property
    def name(self) -> str:
        """The proxy's name."""
        return self.proxy.name if self.proxy is not None else DIRECT
