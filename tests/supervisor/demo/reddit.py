"""A crawl world small enough to be computed by hand, in the simulator's format."""

from typing import Any

from supervisor.demo.crawl_world import CrawlSelection, CrawlWorld

Held = dict[str, Any]

#: alpha's author ann leads to beta (and to one that does not exist), beta's author bob leads to gamma.
WISH = CrawlSelection(subreddits=("Alpha",), users_per_subreddit=2, discover=True, max_depth=5)


def post(name: str, subreddit: str, author: str | None, **more: Any) -> Held:
    return {
        "kind": "t3",
        "data": {"id": name, "subreddit": subreddit, "author": author or "[deleted]", "title": name, "edited": False}
        | {"created_utc": 1_000_000.0, "score": 5}
        | more,
    }


def subreddit(name: str, *hot: str, state: str = "public", rules: int = 0, year: tuple[str, ...] = ()) -> Held:
    return {
        "kind": "subreddit",
        "name": name,
        "state": state,
        "about": {"display_name": name, "title": f"all of {name}", "subscribers": 7},
        "rules": [{"short_name": f"rule {place}", "priority": place} for place in range(rules)],
        "hot": list(hot),
        "week": [],
        "year": list(year),
    }


def user(name: str, *submitted: str, state: str = "active") -> Held:
    about = {"name": name, "link_karma": 3} if state == "active" else None
    return {"kind": "user", "name": name, "state": state, "about": about, "submitted": list(submitted)}


POSTS = [
    post("a1", "Alpha", "Ann", edited=2_000_000.0),
    post("a2", "Alpha", None),
    post("a3", "Alpha", "AutoModerator"),
    post("a4", "Alpha", "Sue"),
    post("a5", "Alpha", "Zoe"),
    post("a6", "Alpha", "Ann"),
    post("n1", "Beta", "Ann"),
    post("n2", "u_Ann", "Ann"),
    post("n3", "Nowhere", "Ann"),
    post("b1", "Beta", "Bob"),
    post("o1", "GAMMA", "Bob"),
    post("z1", "Delta", "Zoe"),
]
HELD = [
    subreddit("Alpha", "a1", "a2", "a3", "a4", "a5", rules=2, year=("a1", "a6")),
    subreddit("Beta", "b1"),
    subreddit("Gamma", state="private"),
    subreddit("Delta", "z1"),
    user("Ann", "n1", "n2", "n3"),
    user("Bob", "o1"),
    user("Sue", state="suspended"),
    user("Zoe", "z1"),
]


def world() -> CrawlWorld:
    return CrawlWorld(HELD, POSTS)
