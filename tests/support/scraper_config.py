"""The configuration of a scraper process for tests, against any server, through any proxy."""

from dataclasses import replace
from typing import Any

from core.config import Config
from core.config.proxies import Proxy
from core.config.slices import RedditAccess, ScraperConfig, scraper_config

AGENT = "linux:gapless.test:1 (by /u/tester)"


def scraper_config_of(
    url: str = "http://127.0.0.1:9",
    proxy: Proxy | None = None,
    *,
    user_agent: str = AGENT,
    client_id: str = "id",
    client_secret: str = "secret-of-ours",
    **others: Any,
) -> ScraperConfig:
    """Plain .json addresses by default; `with_token=True` asks for tokens."""
    access = RedditAccess(url, url, user_agent, client_id, client_secret)
    given: dict[str, Any] = {"subreddits": (), "users_per_subreddit": 40, "concurrency": 20, "timeout": 15.0}
    given |= {"max_retries": 3, "max_depth": 1, "discover": True, "refresh_after": 86400.0, "with_token": False}
    return replace(scraper_config(Config(), proxy), access=access, **{**given, **others})
