"""Describes the simulated Reddit for a scraper, and the part of it that a configuration selects. Pure.

An independent check: it shares no code with the scraper and names the columns and their sources again.
"""

from collections import deque
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

#: Column → expected value in the database; times are epoch seconds.
Row = dict[str, Any]

#: Rows by their key.
Rows = dict[str, Row]

#: The rows of every table, by its name.
Tables = dict[str, Rows]

#: The key of the tables, as a proof counts them.
SUBREDDITS, RULES, POSTS, USERS = "subreddits", "rules", "posts", "users"

_HOT, _WEEK, _YEAR, _SUBMITTED = 30, 10, 100, 30

# column → key in Reddit's answer
_OF_SUBREDDIT = {"name": "display_name", "created_utc": "created_utc", "over18": "over18", "lang": "lang"} | {
    name: name for name in ("title", "public_description", "description", "subscribers", "subreddit_type", "url")
}
_OF_RULE = {name: name for name in ("short_name", "description", "violation_reason", "kind", "priority", "created_utc")}
_OF_POST = {"reddit_id": "id", "subreddit_name": "subreddit", "author_username": "author", "edited_utc": "edited"} | {
    name: name
    for name in (
        *("title", "selftext", "url", "permalink", "domain", "created_utc", "score", "upvote_ratio", "num_comments"),
        *("is_self", "over_18", "stickied", "locked", "link_flair_text"),
    )
}
_OF_USER = {"username": "name"} | {
    name: name for name in ("created_utc", "link_karma", "comment_karma", "total_karma", "is_gold", "verified")
}


@dataclass(frozen=True, slots=True)
class CrawlSelection:
    """The part that a configuration selects."""

    subreddits: tuple[str, ...]
    users_per_subreddit: int
    discover: bool
    max_depth: int


class CrawlWorld:
    """The whole crawl world, as the simulator reports it."""

    def __init__(self, held: Iterable[Mapping[str, Any]], posts: Iterable[Mapping[str, Any]]) -> None:
        self._subreddits: dict[str, Mapping[str, Any]] = {}
        self._users: dict[str, Mapping[str, Any]] = {}
        for thing in held:
            kind = self._subreddits if thing["kind"] == "subreddit" else self._users
            kind[thing["name"].lower()] = thing
        self._posts = {post["data"]["id"]: _row(post["data"], _OF_POST) for post in posts}

    def reach(self, selection: CrawlSelection) -> set[str]:
        """Return the subreddits that the crawl reaches; some may not exist."""
        depths = {name.lower(): 0 for name in selection.subreddits}
        ahead = deque(depths)
        while ahead:
            name = ahead.popleft()
            depth = depths[name] + 1
            if not selection.discover or depth > selection.max_depth:
                continue
            for found in self._found_in(name, selection):
                if found not in depths:
                    depths[found] = depth
                    ahead.append(found)
        return set(depths)

    def rows(self, names: Iterable[str], selection: CrawlSelection) -> Tables:
        """Return all rows that visits of these subreddits store."""
        tables: Tables = {SUBREDDITS: {}, RULES: {}, POSTS: {}, USERS: {}}
        for name in names:
            subreddit = self._subreddits.get(name)
            if subreddit is None or subreddit["state"] == "missing":
                continue  # what does not exist has no row
            if subreddit["state"] != "public":
                tables[SUBREDDITS][name] = {"state": subreddit["state"]}
                continue
            tables[SUBREDDITS][name] = {"state": "open", **_row(subreddit["about"], _OF_SUBREDDIT)}
            rules = enumerate(subreddit["rules"])
            tables[RULES] |= {rule_key(name, place): _row(rule, _OF_RULE) for place, rule in rules}
            listed = (*subreddit["hot"][:_HOT], *subreddit["week"][:_WEEK], *subreddit["year"][:_YEAR])
            tables[POSTS] |= {post: self._posts[post] for post in listed}
            for username in self._authors(subreddit, selection):
                user = self._users[username]
                tables[USERS][username] = _user(user)
                tables[POSTS] |= {post: self._posts[post] for post in user["submitted"][:_SUBMITTED]}
        return tables

    def _authors(self, subreddit: Mapping[str, Any], selection: CrawlSelection) -> list[str]:
        names = [self._posts[post]["author_username"] for post in subreddit["hot"][:_HOT]]
        people = dict.fromkeys(name.lower() for name in names if name is not None and name != "AutoModerator")
        return list(people)[: selection.users_per_subreddit]

    def _found_in(self, name: str, selection: CrawlSelection) -> Iterator[str]:
        subreddit = self._subreddits.get(name)
        if subreddit is None or subreddit["state"] != "public":
            return
        for username in self._authors(subreddit, selection):
            for post in self._users[username]["submitted"][:_SUBMITTED]:
                found = self._posts[post]["subreddit_name"].lower()
                if not found.startswith("u_"):
                    yield found


def rule_key(subreddit: str, position: int) -> str:
    """Return the key of a rule: its place."""
    return f"{subreddit.lower()} {position}"


def _user(user: Mapping[str, Any]) -> Row:
    if user["state"] != "active":
        return {"state": user["state"]}
    return {"state": "active", **_row(user["about"], _OF_USER)}


def _row(data: Mapping[str, Any], columns: Mapping[str, str]) -> Row:
    row = {column: data.get(key) for column, key in columns.items()}
    if row.get("author_username") == "[deleted]":
        row["author_username"] = None
    if row.get("edited_utc") is False:
        row["edited_utc"] = None
    return row
