"""The User-Agent of requests: a fixed one, or a different browser's for each request."""

import random
from collections.abc import Callable, Sequence

import orjson

from core.errors import PermanentError

Agents = Callable[[], str]


def fixed(name: str) -> Agents:
    """Return the same User-Agent each time."""
    return lambda: name


def rotating(names: Sequence[str], choose: Callable[[Sequence[str]], str] = random.choice) -> Agents:
    """Return the next of these User-Agents each time."""
    return lambda: choose(names)


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
            f"the names of browsers cannot be read ({type(error).__name__}): install fake-useragent anew, "
            'or set scraper.user_agent = "fixed"'
        ) from error
    if not names:
        raise PermanentError('fake-useragent names no browser: set scraper.user_agent = "fixed"')
    return list(names)
