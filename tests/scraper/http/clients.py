"""Clients for tests, against any server, through any proxy."""

import contextlib
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from typing import Any

from core.config.proxies import Proxy
from core.config.slices import ScraperConfig
from core.reddit.limiter import Limiter
from scraper.http.retrying_fetcher import RetryingFetcher
from tests.support.scraper_config import scraper_config_of


def settings(url: str, proxy: str | None = None, **others: Any) -> ScraperConfig:
    """Plain .json addresses by default; `with_token=True` asks for tokens."""
    return scraper_config_of(url, Proxy("a", proxy) if proxy is not None else None, **{"timeout": 5.0, **others})


@contextlib.asynccontextmanager
async def running(
    url: str,
    proxy: str | None = None,
    *,
    limiter: Limiter | None = None,
    clock: Callable[[], float] | None = None,
    sleep: Any = None,
    **others: Any,
) -> AsyncIterator[RetryingFetcher]:
    """Give a started client, and close it."""
    parts: dict[str, Any] = {"draw": lambda: 0.5}
    parts |= {"clock": clock} if clock is not None else {}
    parts |= {"sleep": sleep} if sleep is not None else {}
    parts |= {name: others.pop(name) for name in ("siblings", "memory") if name in others}
    client = RetryingFetcher(settings(url, proxy, **others), limiter, **parts)
    await client.start()
    try:
        yield client
    finally:
        await client.close()


def wide_limiter(directory: Path) -> Limiter:
    """A quota that nobody can use up."""
    return Limiter(directory, "scraper-test", 1_000_000)
