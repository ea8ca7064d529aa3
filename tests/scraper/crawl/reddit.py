"""A small Reddit for the crawl's unit tests: what it is asked for is scripted by path, and noted."""

import asyncio
from collections import Counter
from typing import Any

from core.reddit.request_errors import Unavailable
from scraper.reddit.question import Question

CREATED = 1_700_000_000.0


def about(name: str, subscribers: int = 7) -> dict[str, Any]:
    data = {"display_name": name, "id": f"id{name}", "subscribers": subscribers, "created_utc": CREATED}
    return {"kind": "t5", "data": data}


def rules(*short_names: str) -> dict[str, Any]:
    return {"rules": [{"short_name": name, "priority": place} for place, name in enumerate(short_names)]}


def post(reddit_id: str, subreddit: str, author: str = "[deleted]", **fields: Any) -> dict[str, Any]:
    data = {"id": reddit_id, "subreddit": subreddit, "author": author, "title": reddit_id, "score": 10, **fields}
    return {"kind": "t3", "data": {"created_utc": CREATED, "num_comments": 5, **data}}


def listing(*children: dict[str, Any]) -> dict[str, Any]:
    return {"kind": "Listing", "data": {"children": list(children)}}


def account(name: str, **fields: Any) -> dict[str, Any]:
    data = {"name": name, "id": f"id{name}", "created_utc": CREATED, "comment_karma": 100, "link_karma": 50, **fields}
    return {"kind": "t2", "data": data}


class ScriptedReddit:
    """Answers by path; an exception among the answers is raised. `hold` keeps every answer back until it is set."""

    def __init__(self) -> None:
        self.answers: dict[str, Any] = {}
        self.asked: Counter[str] = Counter()
        self.at_once = 0
        self.most_at_once = 0
        self.hold: asyncio.Event | None = None
        self.mixes_up = False

    def subreddit(self, name: str, *hot: dict[str, Any], week: Any = None, year: Any = None) -> None:
        """Let there be a subreddit with these hot posts, one rule, and nothing on top unless given."""
        base = f"/r/{name}/"
        self.answers[f"{base}about"] = about(name, 7 if hot else 0)
        self.answers[f"{base}about/rules"] = rules("be kind")
        self.answers[f"{base}hot"] = listing(*hot)
        self.answers[f"{base}top week"] = week or listing()
        self.answers[f"{base}top year"] = year or listing()

    def user(self, name: str, *posts: dict[str, Any]) -> None:
        self.answers[f"/user/{name}/about"] = account(name)
        self.answers[f"/user/{name}/submitted"] = listing(*posts)

    async def ask(self, question: Question) -> object:
        key = f"{question.path} {question.params['t']}" if "t" in question.params else question.path
        self.asked[key] += 1
        self.at_once += 1
        self.most_at_once = max(self.most_at_once, self.at_once)
        try:
            await (self.hold.wait() if self.hold is not None else asyncio.sleep(0))
        finally:
            self.at_once -= 1
        answer = self.answers.get(key, Unavailable("missing"))
        if isinstance(answer, Exception):
            raise answer
        return answer
