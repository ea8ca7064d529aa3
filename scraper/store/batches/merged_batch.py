"""Merges several batches into one transaction: every row once, in the order of its key. Pure.

The order prevents deadlocks: processes that lock the same rows in the same order wait for each other, but never in a
circle.
"""

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import TypeVar

from scraper.reddit.rows import AuthorFigures, Post, PostFigures, Rule, Subreddit, User
from scraper.store.batches.batch import Batch, Found, Progress, ProxyDelta, SaveOutcome
from scraper.store.batches.name_key import name_key

_Row = TypeVar("_Row", Subreddit, User, Post)
_Value = TypeVar("_Value")


@dataclass(slots=True)
class MergedBatch:
    """The content of one transaction, in the order of the fields."""

    subreddits: list[Subreddit]
    missing: list[tuple[str, datetime]]
    rules: list[tuple[str, list[Rule]]]
    posts: list[Post]
    users: list[User]
    post_figures: list[tuple[str, PostFigures]]
    author_figures: list[tuple[str, AuthorFigures]]
    found: list[Found]
    progress: list[Progress]
    outcomes: list[SaveOutcome]
    given_back: list[str]
    released_users: list[str]
    proxies: list[ProxyDelta]


def merge(batches: list[Batch]) -> MergedBatch:
    """Merge batches: of two versions of a row the newer one counts, of two with the same time the later one."""
    return MergedBatch(
        subreddits=_newest((name_key(row.name), row) for batch in batches for row in batch.subreddits),
        missing=sorted((name_key(name), at) for batch in batches for name, at in batch.missing),
        rules=_newest_rules(batches),
        posts=_newest_posts([row for batch in batches for row in batch.posts]),
        users=_newest((name_key(row.username), row) for batch in batches for row in batch.users),
        post_figures=_last((name, figures) for batch in batches for name, figures in batch.post_figures.items()),
        author_figures=_last((name, figures) for batch in batches for name, figures in batch.author_figures.items()),
        found=_shallowest(found for batch in batches for found in batch.found),
        progress=[item for _, item in _last((item.name, item) for batch in batches for item in batch.progress)],
        outcomes=[item for _, item in _last((item.name, item) for batch in batches for item in batch.outcomes)],
        given_back=sorted({name_key(name) for batch in batches for name in batch.given_back}),
        released_users=sorted({name_key(name) for batch in batches for name in batch.released_users}),
        proxies=[batch.proxy for batch in batches if batch.proxy is not None],
    )


def _newest_posts(rows: list[Post]) -> list[Post]:
    """Return the same as `_newest`, faster: most batches hold each of their many posts once."""
    newest = {row.reddit_id: row for row in rows}
    if len(newest) < len(rows):
        return _newest((row.reddit_id, row) for row in rows)
    return [newest[key] for key in sorted(newest)]


def _newest(rows: Iterable[tuple[str, _Row]]) -> list[_Row]:
    newest: dict[str, _Row] = {}
    for key, row in rows:
        known = newest.setdefault(key, row)
        if known is not row and known.fetched_at <= row.fetched_at:
            newest[key] = row
    return [newest[key] for key in sorted(newest)]


def _newest_rules(batches: list[Batch]) -> list[tuple[str, list[Rule]]]:
    newest: dict[str, tuple[str, list[Rule]]] = {}
    for name, rules in ((name, rules) for batch in batches for name, rules in batch.rules.items()):
        known = newest.get(name_key(name))
        if known is None or not known[1] or not rules or known[1][0].fetched_at <= rules[0].fetched_at:
            newest[name_key(name)] = (name, rules)
    return [newest[key] for key in sorted(newest)]


def _last(items: Iterable[tuple[str, _Value]]) -> list[tuple[str, _Value]]:
    """Keep the last value of each name; the first field keeps its spelling."""
    last = {name_key(name): (name, value) for name, value in items}
    return [last[key] for key in sorted(last)]


def _shallowest(items: Iterable[Found]) -> list[Found]:
    shallowest: dict[str, Found] = {}
    for found in items:
        key = name_key(found.name)
        known = shallowest.get(key)
        if known is None or found.depth < known.depth:
            shallowest[key] = found
    return [shallowest[key] for key in sorted(shallowest)]
