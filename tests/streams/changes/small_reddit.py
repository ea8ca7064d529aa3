"""A small Reddit for later looks: items that are edited, removed, deleted and gone, and what was done to them."""

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from core.reddit.quota import Priority

PREFIXES = {"submissions": "t3", "comments": "t1"}


@dataclass(slots=True)
class Thing:
    """One item; `state` is what a look finds."""

    stream: str
    number: int
    subreddit: str
    created: float
    text: str = "as written"
    author: str = "someone"
    score: int = 1
    edited: float | bool = False
    state: str = "public"
    category: str = ""

    @property
    def fullname(self) -> str:
        return f"{PREFIXES[self.stream]}_{self.number:x}"

    def data(self) -> dict[str, Any]:
        """Return the fields as Reddit serves them."""
        text, author, category = self.text, self.author, None
        if self.state == "deleted":
            text = author = "[deleted]"
            category = "deleted"
        elif self.state == "removed":
            text, category = "[removed]", self.category
        elif self.state == "admin":
            text, category = "[ Removed by Reddit ]", "reddit"
        elif self.state == "account":
            author = "[deleted]"
        body = "selftext" if self.stream == "submissions" else "body"
        data = {
            "name": self.fullname,
            "id": f"{self.number:x}",
            "subreddit": self.subreddit,
            "created_utc": self.created,
            "author": author,
            "score": self.score,
            "edited": self.edited,
            "permalink": f"/r/{self.subreddit}/{self.number:x}",
            body: text,
        }
        if self.stream == "submissions":
            data |= {"removed_by_category": category, "title": "a title", "num_comments": 3, "is_self": True}
        return data


@dataclass(slots=True)
class SmallReddit:
    """Answers `/api/info`, in the place of the client that sends requests."""

    things: dict[str, Thing] = field(default_factory=dict)
    #: subreddits that cannot be read
    closed: set[str] = field(default_factory=set)
    #: types of subreddits that are not public
    kinds: dict[str, str] = field(default_factory=dict)
    #: called before each request: it may raise, or let time pass
    before: Callable[[str, dict[str, str | int]], None] = lambda _path, _params: None
    #: called with the names of each answer: returns those that are left out of it
    loses: Callable[[list[str]], set[str]] = lambda _names: set()
    extra: list[Thing] = field(default_factory=list)
    asked: list[list[str]] = field(default_factory=list)

    def add(self, thing: Thing) -> Thing:
        self.things[thing.fullname] = thing
        return thing

    def get(self, path: str, params: dict[str, str | int], priority: Priority) -> object:
        assert priority is Priority.SCRAPER
        assert path == "/api/info"
        self.before(path, params)
        if "sr_name" in params:
            names = str(params["sr_name"]).split(",")
            closed = {name.lower() for name in self.closed}
            kinds = {name: "private" if name in closed else self.kinds.get(name, "public") for name in names}
            return _listing(
                {"kind": "t5", "data": {"display_name": name, "subreddit_type": kind}} for name, kind in kinds.items()
            )
        names = str(params["id"]).split(",")
        assert len(names) <= 100
        self.asked.append(names)
        lost = self.loses(names)
        shown = [self.things[name] for name in names if name in self.things and name not in lost]
        shown = [one for one in shown if one.state != "gone" and one.subreddit not in self.closed] + self.extra
        return _listing({"kind": PREFIXES[one.stream], "data": one.data()} for one in shown)


def _listing(children: Any) -> dict[str, Any]:
    return {"kind": "Listing", "data": {"after": None, "before": None, "children": list(children)}}
