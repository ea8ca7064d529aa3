"""The ledger of a crawl: compares the database with what Reddit holds and the configuration requests."""

import statistics
from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from tests.support.crawl_closure import Crawl, Expected, Reddit, expected
from tests.support.crawl_columns import Values, same, when
from tests.support.tables import Tables

_EXAMPLES = 6
_CLOSE = 1e-6
_A_MINUTE = 60.0

Rows = list[dict[str, Any]]


@dataclass(frozen=True, slots=True)
class Saved:
    """The content of the four tables."""

    subreddits: Rows
    rules: Rows
    posts: Rows
    users: Rows

    @classmethod
    def of(cls, tables: Tables) -> "Saved":
        """Read them; tables that do not exist yet are empty."""
        names = ("reddit_subreddits", "reddit_rules", "reddit_posts", "reddit_users")
        return cls(*(tables.rows(f"SELECT * FROM {name}") for name in names))


@dataclass(frozen=True, slots=True)
class CrawlLedger:
    """The result of a comparison; empty tuples mean success."""

    held: dict[str, int]  # required rows, by table
    saved: dict[str, int]  # present rows
    missing: tuple[str, ...]
    wrong: tuple[str, ...]
    doubled: tuple[str, ...]
    unknown: tuple[str, ...]  # rows that nothing requires
    figures: tuple[str, ...]  # of a subreddit's posts and authors

    @property
    def clean(self) -> bool:
        """Whether the database holds every required row, once, and nothing else."""
        return not (self.missing or self.wrong or self.doubled or self.unknown or self.figures)

    def summary(self) -> str:
        """Describe the result in a line, and show a few of each kind of difference."""
        held = ", ".join(f"{self.saved[table]} of {count} {table}" for table, count in self.held.items())
        kinds = ("missing", "wrong", "doubled", "unknown", "figures")
        lines = [f"saved {held}; " + ", ".join(f"{len(getattr(self, kind))} {kind}" for kind in kinds)]
        for kind in kinds:
            differences = getattr(self, kind)
            lines += [f"  {kind}: {one}" for one in differences[:_EXAMPLES]]
            if len(differences) > _EXAMPLES:
                lines.append(f"  {kind}: … and {len(differences) - _EXAMPLES} more")
        return "\n".join(lines)


def reckon(reddit: Reddit, crawl: Crawl, tables: Tables) -> CrawlLedger:
    """Compare a database with the simulator, after the end of the crawl."""
    return compare(expected(reddit, crawl), Saved.of(tables), crawl)


def compare(rows: Expected, saved: Saved, crawl: Crawl) -> CrawlLedger:
    """Compare the present rows with the required rows. Pure."""
    account = _Account()
    # a subreddit that a person entered has a row, whether or not it is ever read
    by_hand = {name for name in crawl.reviews if name not in rows.subreddits}
    subreddits = [row for row in saved.subreddits if row["name"].lower() not in by_hand]
    account.table("subreddits", rows.subreddits, ((row["name"].lower(), row) for row in subreddits))
    account.table("rules", rows.rules, (((row["subreddit_name"].lower(), row["position"]), row) for row in saved.rules))
    account.table("posts", rows.posts, ((row["reddit_id"], row) for row in saved.posts))
    account.table("users", rows.users, ((row["username"].lower(), row) for row in saved.users))
    figures = [
        f"r/{row['name']} {difference}"
        for row in subreddits
        if row["name"].lower() in rows.hot
        for difference in _figures(rows, row)
    ]
    return CrawlLedger(
        held=account.held,
        saved=account.saved,
        missing=tuple(account.missing),
        wrong=tuple(account.wrong),
        doubled=tuple(account.doubled),
        unknown=tuple(account.unknown),
        figures=tuple(figures),
    )


class _Account:
    """The differences found so far."""

    def __init__(self) -> None:
        self.held: dict[str, int] = {}
        self.saved: dict[str, int] = {}
        self.missing: list[str] = []
        self.wrong: list[str] = []
        self.doubled: list[str] = []
        self.unknown: list[str] = []

    def table(self, name: str, must: Mapping[Any, Values], pairs: Iterable[tuple[Any, dict[str, Any]]]) -> None:
        """Compare one table; rows are given by key."""
        listed = list(pairs)
        counts = Counter(key for key, _ in listed)
        there = dict(listed)
        self.held[name] = len(must)
        self.saved[name] = len(there)
        self.doubled += [f"{name} {key}: {count} rows" for key, count in counts.items() if count > 1]
        self.unknown += [f"{name} {key}" for key in there if key not in must]
        for key, values in must.items():
            row = there.get(key)
            if row is None:
                self.missing.append(f"{name} {key}")
            else:
                self.wrong += [f"{name} {key}: {difference}" for difference in _differences(values, row)]


def _differences(values: Values, row: Mapping[str, Any]) -> list[str]:
    found = [
        f"{column} is {_short(row[column])} instead of {_short(value)}" if column in row else f"there is no {column}"
        for column, value in values.items()
        if column not in row or not same(value, row[column])
    ]
    if when(row.get("fetched_at")) is None:
        found.append(f"fetched_at is {row.get('fetched_at')!r}")
    return found


def _short(value: Any) -> str:
    text = repr(value)
    return text if len(text) <= 100 else f"{text[:60]}…{text[-30:]} ({len(text)} signs)"


def _figures(rows: Expected, row: Mapping[str, Any]) -> list[str]:
    """Compare the figures of one subreddit; an age depends on the time of the check."""
    key = row["name"].lower()
    at = when(row.get("figures_at")) or when(row.get("fetched_at"))
    if at is None:
        return ["was never fetched"]
    must = _of_posts(rows.hot[key], at.timestamp())
    if key in rows.authors:
        must |= _of_authors([rows.users[name] for name in rows.authors[key]], at.timestamp())
    return [
        f"{column} is {row.get(column)!r} instead of {value!r}"
        for column, (value, slack) in must.items()
        if not _near(value, row.get(column), slack)
    ]


def _of_posts(posts: list[Mapping[str, Any]], at: float) -> dict[str, tuple[float | None, float]]:
    counted = [post for post in posts if not post.get("stickied")] or posts
    if not counted:
        return dict.fromkeys(("score_mean", "score_median", "comments_per_upvote", "posts_per_day"), (None, 0.0))
    scores = [post["score"] for post in counted]
    days = (at - min(post["created_utc"] for post in counted)) / 86_400
    comments = sum(post["num_comments"] for post in counted)
    return {
        "score_mean": (sum(scores) / len(scores), _CLOSE),
        "score_median": (float(statistics.median(scores)), _CLOSE),
        "comments_per_upvote": (comments / sum(scores) if sum(scores) > 0 else None, _CLOSE),
        "posts_per_day": (len(counted) / days, _A_MINUTE / 86_400 / days),
    }


def _of_authors(users: list[Values], at: float) -> dict[str, tuple[float | None, float]]:
    active = [user for user in users if user["state"] == "active"]
    ages = [(at - user["created_utc"].timestamp()) / 86_400 for user in active]
    age = _tenth(ages)
    return {
        "account_age_days_p10": (age, _A_MINUTE / 86_400 / age if age else 0.0),
        "comment_karma_p10": (_tenth([user["comment_karma"] for user in active]), _CLOSE),
        "post_karma_p10": (_tenth([user["link_karma"] for user in active]), _CLOSE),
    }


def _tenth(values: list[Any]) -> float | None:
    if len(values) < 2:
        return float(values[0]) if values else None
    return float(statistics.quantiles(values, n=10, method="inclusive")[0])


def _near(expected_value: float | None, saved: Any, slack: float) -> bool:
    if expected_value is None or saved is None:
        return expected_value is saved
    return bool(abs(saved - expected_value) <= max(slack * abs(expected_value), 1e-9))
