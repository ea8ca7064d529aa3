"""The User-Agent of requests: a fixed one, or a different browser's for each request."""

import random
from collections.abc import Callable

import orjson

from core.config.slices import ScraperConfig
from core.errors import PermanentError

Agents = Callable[[], str]


def agents_of(config: ScraperConfig) -> Agents:
    """Return the function that each request calls for its User-Agent."""
    if not config.rotate:
        return lambda: config.access.user_agent
    names = browsers()
    return lambda: random.choice(names)  # noqa: S311 (not for security)


def browsers() -> list[str]:
    """Read the distinct User-Agents that fake-useragent ships.

    Only the strings: its own loader would keep about ten megabytes of data about them.
    """
    from fake_useragent.errors import FakeUserAgentError  # noqa: PLC0415 (only where it is asked for: memory)
    from fake_useragent.utils import find_browser_json_path  # noqa: PLC0415

    names: dict[str, None] = {}
    try:
        with find_browser_json_path().open("rb") as lines:
            for line in lines:
                names[orjson.loads(line)["useragent"]] = None
    except (FakeUserAgentError, OSError, ValueError, KeyError) as error:
        raise PermanentError(
            f"the list of browsers cannot be read ({type(error).__name__}): reinstall fake-useragent, "
            'or set scraper.user_agent = "fixed"'
        ) from error
    if not names:
        raise PermanentError('fake-useragent lists no browsers: reinstall it, or set scraper.user_agent = "fixed"')
    return list(names)
