"""Computes the required result of a finished crawl, from what Reddit holds and from the configuration."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from tests.support import crawl_columns as columns
from tests.support.crawl_columns import Values

HOT, WEEK, YEAR, SUBMITTED = 30, 10, 100, 30
_NOBODY = {"[deleted]", "automoderator"}

Line = Mapping[str, Any]


class Reddit(Protocol):
    """What exists, by name or id: the simulator, or a few lines in a test."""

    def held_of(self, *, subreddits: Sequence[str] = (), users: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Return the lines of those of these subreddits and users that exist."""

    def posts_of(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Return the data of these posts."""


@dataclass(frozen=True, slots=True)
class Crawl:
    """The part of the configuration that decides what is fetched."""

    seeds: Sequence[str]
    users_per_subreddit: int = 40
    discover: bool = True
    max_depth: int = 1
    #: the column `review`, as people entered it, by name in lower case
    reviews: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class Expected:
    """The required rows, by key; names in lower case."""

    subreddits: dict[str, Values] = field(default_factory=dict)
    rules: dict[tuple[str, int], Values] = field(default_factory=dict)
    posts: dict[str, Values] = field(default_factory=dict)
    users: dict[str, Values] = field(default_factory=dict)
    #: for each subreddit that was read: the data of its hot posts, and its authors in lower case
    hot: dict[str, list[Line]] = field(default_factory=dict)
    authors: dict[str, list[str]] = field(default_factory=dict)


def expected(reddit: Reddit, crawl: Crawl) -> Expected:
    """Follow the rules of the crawl, one depth after the other."""
    rows, known = Expected(), {name.lower() for name in crawl.seeds}
    layer = list(dict.fromkeys(name.lower() for name in crawl.seeds))
    for depth in range(crawl.max_depth + 1):
        names = [name for name in layer if crawl.reviews.get(name) != "skip"]
        found = _layer(reddit, crawl, rows, names)
        if not crawl.discover or depth == crawl.max_depth:
            break
        layer = [name for name in dict.fromkeys(found) if name not in known and not name.startswith("u_")]
        known.update(layer)
    return rows


def _layer(reddit: Reddit, crawl: Crawl, rows: Expected, names: Sequence[str]) -> list[str]:
    """Add the subreddits of one depth and everything that belongs to them; return the subreddits that they lead to."""
    lines = [line for line in reddit.held_of(subreddits=names) if line["state"] != "missing"]
    readable = [line for line in lines if line["state"] == "public"]
    for line in lines:
        _add_subreddit(rows, line)
    listed = {one for line in readable for one in (*line["hot"][:HOT], *line["week"][:WEEK], *line["year"][:YEAR])}
    posts = _add_posts(reddit, rows, listed)
    wanted: dict[str, str] = {}
    for line in readable:
        key = line["name"].lower()
        rows.hot[key] = [posts[one] for one in line["hot"][:HOT]]
        if crawl.reviews.get(key) != "posts_only":
            authors = authors_of(rows.hot[key], crawl.users_per_subreddit)
            rows.authors[key] = [name.lower() for name in authors]
            wanted.update({name.lower(): name for name in authors})
    return _add_users(reddit, rows, list(wanted.values()))


def authors_of(posts: Iterable[Line], limit: int) -> list[str]:
    """Return the first authors of the posts, each once."""
    names: dict[str, str] = {}
    for post in posts:
        author = post.get("author")
        if author and author.lower() not in _NOBODY:
            names.setdefault(author.lower(), author)
    return list(names.values())[:limit]


def _add_subreddit(rows: Expected, line: Line) -> None:
    name = line["name"]
    if line["state"] != "public":
        rows.subreddits[name.lower()] = {"state": line["state"]}
        return
    rows.subreddits[name.lower()] = columns.subreddit(line["about"])
    for position, rule in enumerate(line["rules"]):
        rows.rules[name.lower(), position] = columns.rule(rule, name, position)


def _add_posts(reddit: Reddit, rows: Expected, ids: Iterable[str]) -> dict[str, Line]:
    posts: dict[str, Line] = {data["id"]: data for data in reddit.posts_of(sorted(ids))}
    rows.posts.update({one: columns.post(data) for one, data in posts.items()})
    return posts


def _add_users(reddit: Reddit, rows: Expected, names: Sequence[str]) -> list[str]:
    """Add users and their posts; return the subreddits of their posts, in lower case."""
    submitted: dict[str, None] = {}
    for line in reddit.held_of(users=names):
        key = line["name"].lower()
        if line["state"] == "missing":
            rows.users[key] = {"username": line["name"], "state": "missing"}
            continue
        rows.users[key] = columns.user(line["about"], line["state"])
        submitted.update(dict.fromkeys(line["submitted"][:SUBMITTED]))
    posts = _add_posts(reddit, rows, submitted)
    return [posts[one]["subreddit"].lower() for one in submitted]
