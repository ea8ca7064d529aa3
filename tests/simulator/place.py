"""A simulator without a server: a clock that the test sets, and requests as Reddit's client sends them."""

import json
from typing import Any

from simulator.changes import Op
from simulator.item import Item, Kind
from simulator.settings import Settings
from simulator.simulation import Simulation

START = 1_700_000_000.0
QUIET: dict[str, Any] = {
    "subreddits": ("Alpha", "Beta"), "late_share": 0.0, "removed_share": 0.0, "comments_per_second": 0.0,
    "submissions_per_second": 0.0, "anonymous": True,
}  # fmt: skip


class Place:
    """One simulation; `now` is its clock."""

    def __init__(self, **settings: Any) -> None:
        self.now = START
        self.simulation = Simulation(Settings(**QUIET | settings), lambda: self.now)
        self.world = self.simulation.world

    def advance(self, seconds: float) -> None:
        self.now += seconds
        self.simulation.now()

    def comment(self, parent: str | None = None, subreddit: str = "Alpha", **custom: Any) -> Item:
        """Make a comment on some thread of the subreddit, or below `parent`."""
        home = self.world.subreddits[subreddit.lower()]
        home.replies.clear()
        if parent is not None:
            home.threads.clear()
            home.threads.append(self.world.items[parent].link or parent)
        item = self.world.make(Kind.COMMENTS, self.now, subreddit=subreddit, custom=custom or None)
        if parent is not None and parent != item.parent:
            self.world.replies[item.parent].remove(item)
            self.world.replies.setdefault(parent, []).append(item)
            item.parent = parent
        return item

    def post(self, subreddit: str = "Alpha", **custom: Any) -> Item:
        return self.world.make(Kind.SUBMISSIONS, self.now, subreddit=subreddit, custom=custom or None)

    def change(self, op: Op, item: Item, *details: Any) -> dict[str, Any]:
        """Change an item; return the line of the truth."""
        change = getattr(self.simulation.changes, op)(item, self.now, *details)
        truth: dict[str, Any] = change.truth()
        return truth

    def get(self, path: str, **query: Any) -> Any:
        """Return the JSON of a good answer."""
        answer = self.answer(path, **query)
        assert answer.status == 200, answer
        return json.loads(answer.body)

    def answer(self, path: str, **query: Any) -> Any:
        texts = {"raw_json": "1"} | {name: str(value) for name, value in query.items()}
        return self.simulation.reddit.data(f"{path}.json", texts, None, self.now)

    def info(self, *names: str) -> dict[str, dict[str, Any]]:
        """Return the data of items by name, in the order of the answer."""
        children = self.get("/api/info", id=",".join(names))["data"]["children"]
        return {child["data"]["name"]: child["data"] for child in children}

    def listed(self, path: str) -> list[str]:
        """Return the names in a listing."""
        return [child["data"]["name"] for child in self.get(path, limit=100)["data"]["children"]]
