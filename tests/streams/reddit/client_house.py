"""A gateway with what it needs, over real HTTP; more of them in one directory share the quota."""

import time
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

from core.child import ChildContext
from core.config import Config
from core.config.slices import reddit_access
from core.reddit.limiter import Limiter
from core.reddit.quota import Priority
from streams.reddit.listing_page import parse_page
from streams.reddit.praw_client import PrawClient
from tests.streams.capture.life import Notes

PATH = "/r/Bitcoin+ethereum/comments"
SECRETS: dict[str, Any] = {"client_id": "house", "client_secret": "secret"}


class House:
    """The gateway, its log and its quota."""

    def __init__(
        self,
        directory: Path,
        url: str,
        *,
        name: str = "comments",
        deadline: float = 5.0,
        clock: Callable[[], float] = time.time,
        **reddit: Any,
    ) -> None:
        settings = {**SECRETS, "user_agent": "linux:gapless-tests:v1", "reddit_url": url, "oauth_url": url, **reddit}
        base = Config()
        config = replace(base, reddit=replace(base.reddit, **settings))
        self.log = Notes()
        self.context = ChildContext(name, cast(Any, self.log))
        self.limiter = Limiter(directory, name, config.reddit.requests_per_minute, clock=clock)
        self.praw_client = PrawClient(reddit_access(config), self.context, self.limiter, answer_deadline=deadline)

    def get(self, priority: Priority = Priority.STREAM, path: str = PATH, limit: int = 100) -> object:
        return self.praw_client.get(path, {"limit": limit}, priority)

    def names(self) -> list[str]:
        return [item.name for item in parse_page(self.get(), "comments").items]
