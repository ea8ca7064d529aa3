"""Reads the scraper's database as any SQLite client would."""

import contextlib
import sqlite3
from collections.abc import Callable, Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from supervisor.demo.crawl_world import POSTS, RULES, SUBREDDITS, USERS, Row, Tables, rule_key

#: States of the frontier that need no further visit for now.
_REFUSED = ("private", "banned", "quarantined", "missing", "forbidden", "moved", "gated")

_KEYS: dict[str, Callable[[Row], str]] = {
    SUBREDDITS: lambda row: str(row["name"]).lower(),
    RULES: lambda row: rule_key(row["subreddit_name"], row["position"]),
    POSTS: lambda row: str(row["reddit_id"]),
    USERS: lambda row: str(row["username"]).lower(),
}


class Database:
    """A SQLite file of the scraper; it may not be there yet."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def visited(self) -> tuple[set[str], int]:
        """Return the subreddits that are done or refused, and the number of others."""
        done, left = set(), 0
        for row in self._rows("SELECT name, settled, state FROM reddit_frontier"):
            if row["settled"] or row["state"] in _REFUSED:
                done.add(str(row["name"]))
            else:
                left += 1
        return done, left

    def tables(self) -> Tables:
        """Return all rows."""
        return {
            table: {key(row): row for row in self._rows(f"SELECT * FROM reddit_{table}")}  # noqa: S608 (our own names)
            for table, key in _KEYS.items()
        }

    def _rows(self, query: str) -> Iterator[Row]:
        if not self._path.exists():
            return
        uri = f"{self._path.absolute().as_uri()}?mode=ro"
        with contextlib.closing(sqlite3.connect(uri, uri=True, timeout=10.0)) as connection:
            connection.row_factory = sqlite3.Row
            try:
                cursor = connection.execute(query)
            except sqlite3.OperationalError as error:
                if "no such table" in str(error):
                    return  # the scraper has not opened it yet
                raise
            for row in cursor:
                yield {name: _value(name, row[name]) for name in row.keys()}  # noqa: SIM118 (a row is no dict)


def _value(column: str, value: Any) -> Any:  # noqa: ANN401 (whatever a column holds)
    """Convert times to one form; other values are unchanged."""
    if column.endswith("_utc") and isinstance(value, str):
        return datetime.fromisoformat(value).replace(tzinfo=UTC).timestamp()
    return value
