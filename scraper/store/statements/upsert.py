"""Upserts: the newest version of a row wins, and columns that belong to people stay as they are.

The counters of a proxy add up instead, over processes, machines and runs.
"""

from collections.abc import Collection, Sequence
from datetime import datetime
from typing import Any

from sqlalchemy import (
    Connection,
    Dialect,
    FromClause,
    Table,
    bindparam,
    case,
    delete,
    func,
    literal,
    literal_column,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.sql.base import Executable

from core.masking.external import masked
from scraper.reddit.rows import AuthorFigures, Post, PostFigures, Rule, Subreddit, SubredditState, User, UserState
from scraper.store.batches.batch import ProxyDelta
from scraper.store.batches.name_key import name_key
from scraper.store.schema import tables
from scraper.store.statements.bulk_statement import Write, rowset
from scraper.store.statements.future_dates import beyond_any_pause


def insert(dialect: Dialect, table: Table) -> Any:  # noqa: ANN401 (the two inserts have no common class)
    """Return the database's own INSERT, which supports ON CONFLICT."""
    if dialect.name == "sqlite":
        from sqlalchemy.dialects import sqlite  # noqa: PLC0415 (only the one that is used takes memory)

        return sqlite.insert(table)
    from sqlalchemy.dialects import postgresql  # noqa: PLC0415

    return postgresql.insert(table)


#: Columns that a newer row without a value clears: they are part of the state.
_OF_THE_STATE = ("state", "fetched_at", "moved_to")


def newest_wins(
    dialect: Dialect,
    table: Table,
    row: type,
    *,
    whole: str | None = None,
    fixed: Collection[str] = (),
    kept: Collection[str] = (),
) -> Write:
    """Insert rows, or replace older ones.

    `fixed`: columns that never change at Reddit, and need not be written into their indexes again.
    `kept`: columns that never change either, except that an odd answer may have brought another value, or none; a row
    without a value does not clear it.
    `whole`: only a row in this state brings all facts; a row in another state (private, suspended) leaves the known
    facts.
    """
    columns = [table.c[name] for name in row._fields]  # type: ignore[attr-defined]
    key = columns[0] if whole is None else func.lower(columns[0])

    def make(fresh: FromClause) -> Executable:
        names = [column.name for column in columns]
        statement = insert(dialect, table).from_select(names, select(*(fresh.c[name] for name in names)).where(true()))
        given = statement.excluded
        values = {name: given[name] for name in names}
        if whole is None:
            del values[names[0]]
        else:
            brings_all = given.state == literal_column(f"'{whole}'")
            values[names[0]] = case((brings_all, given[names[0]]), else_=table.c[names[0]])  # the spelling
            for name in (name for name in names[1:] if name not in _OF_THE_STATE):
                values[name] = case((brings_all, given[name]), else_=func.coalesce(given[name], table.c[name]))
        for name in kept:
            values[name] = func.coalesce(given[name], table.c[name])
        for name in fixed:
            del values[name]
        is_newer = or_(
            table.c.fetched_at.is_(None),
            given.fetched_at >= table.c.fetched_at,
            table.c.fetched_at > beyond_any_pause(dialect),
        )
        return statement.on_conflict_do_update(index_elements=[key], set_=values, where=is_newer)  # type: ignore[no-any-return]

    return rowset(dialect, columns).statement(make)


def _placeholders(dialect: Dialect) -> Write:
    """Insert a row with only the name, for what is known of a subreddit before its own facts arrive."""
    table = tables.subreddits

    def make(fresh: FromClause) -> Executable:
        statement = insert(dialect, table).from_select(["name"], select(fresh.c.name).where(true()))
        return statement.on_conflict_do_nothing(index_elements=[func.lower(table.c.name)])  # type: ignore[no-any-return]

    return rowset(dialect, [table.c.name]).statement(make)


def _insert_rules(dialect: Dialect) -> Write:
    """Insert rules under the spelling of their subreddit, unless newer ones exist."""
    table, names = tables.rules, [*Rule._fields]
    newer = table.alias("newer")

    def make(fresh: FromClause) -> Executable:
        spelling = tables.subreddits.c.name
        rows = select(spelling, *(fresh.c[name] for name in names[1:])).where(
            func.lower(spelling) == func.lower(fresh.c.subreddit_name),
            ~select(newer.c.position)
            .where(
                newer.c.subreddit_name == spelling,
                newer.c.fetched_at > fresh.c.fetched_at,
                newer.c.fetched_at <= beyond_any_pause(dialect),
            )
            .exists(),
        )
        statement = insert(dialect, table).from_select(names, rows)
        values = {name: statement.excluded[name] for name in names[2:]}
        return statement.on_conflict_do_update(index_elements=["subreddit_name", "position"], set_=values)  # type: ignore[no-any-return]

    return rowset(dialect, [table.c[name] for name in names]).statement(make)


class Upserts:
    """The statements that write rows, compiled once for one database."""

    def __init__(self, dialect: Dialect) -> None:
        self.posts = newest_wins(dialect, tables.posts, Post, fixed=("subreddit_name",), kept=("created_utc",))
        self.users = newest_wins(dialect, tables.users, User, whole=UserState.ACTIVE)
        self.subreddits = newest_wins(dialect, tables.subreddits, Subreddit, whole=SubredditState.OPEN)
        self._placeholders = _placeholders(dialect)
        self._insert_rules = _insert_rules(dialect)
        key = func.lower(tables.subreddits.c.name) == bindparam("key")
        fetched_at = tables.subreddits.c.fetched_at
        is_older = or_(fetched_at.is_(None), fetched_at <= bindparam("at"), fetched_at > beyond_any_pause(dialect))
        self._missing = (
            update(tables.subreddits)
            .where(key, is_older)
            .values(state=SubredditState.MISSING, fetched_at=bindparam("at"), moved_to=None)
        )
        spelling = select(tables.subreddits.c.name).where(key).scalar_subquery()
        self._delete_rules = delete(tables.rules).where(
            tables.rules.c.subreddit_name == spelling,
            or_(tables.rules.c.fetched_at <= bindparam("at"), tables.rules.c.fetched_at > beyond_any_pause(dialect)),
        )
        self._figures = {
            kind: update(tables.subreddits)
            .where(key)
            .values({name: bindparam(f"new_{name}") for name in (*kind._fields, "figures_at")})
            for kind in (PostFigures, AuthorFigures)
        }

    def missing(self, connection: Connection, rows: Sequence[tuple[str, datetime]]) -> None:
        """Record that a subreddit does not exist (any more), if it is known."""
        connection.execute(self._missing, [{"key": name, "at": at} for name, at in rows])

    def rules(self, connection: Connection, sets: Sequence[tuple[str, list[Rule]]], now: datetime) -> None:
        """Replace the rules of each of these subreddits."""
        self._placeholders(connection, [(name,) for name, _ in sets])
        olds = [{"key": name_key(name), "at": rules[0].fetched_at if rules else now} for name, rules in sets]
        connection.execute(self._delete_rules, olds)
        rows = [rule._replace(subreddit_name=name) for name, rules in sets for rule in rules]
        if rows:
            self._insert_rules(connection, rows)

    def figures(
        self, connection: Connection, figures: Sequence[tuple[str, PostFigures | AuthorFigures]], now: datetime
    ) -> None:
        """Write the figures computed for each of these subreddits; all of one kind."""
        self._placeholders(connection, [(name,) for name, _ in figures])
        rows = [
            {"key": name_key(name), "new_figures_at": now}
            | {f"new_{field}": value for field, value in row._asdict().items()}
            for name, row in figures
        ]
        connection.execute(self._figures[type(figures[0][1])], rows)


_SUMS = ("success_count", "error_count", "latency_sum", "latency_count")
_KEPT_WITHOUT_VALUE = ("address", "last_error", "last_error_at")


class ProxyStatements:
    """The statement that adds to a proxy's counters."""

    def __init__(self, dialect: Dialect) -> None:
        proxies = tables.proxies
        statement = insert(dialect, proxies)
        given = statement.excluded
        values = {name: given[name] for name in ("state", "consecutive_failures", "resting_until", "updated_at")}
        values |= {name: proxies.c[name] + given[name] for name in _SUMS}
        values |= {name: func.coalesce(given[name], proxies.c[name]) for name in _KEPT_WITHOUT_VALUE}
        count, total = values["latency_count"], values["latency_sum"]
        values["mean_latency_ms"] = case((count > 0, literal(1000.0) * total / count), else_=None)
        self._add = statement.on_conflict_do_update(index_elements=["name"], set_=values)

    def add(self, connection: Connection, deltas: Sequence[ProxyDelta], now: datetime) -> None:
        """Add the deltas one after the other: a process may report twice in one transaction."""
        for delta in sorted(deltas, key=lambda delta: delta.name):
            mean = 1000.0 * delta.latency_sum / delta.latency_count if delta.latency_count else None
            row = delta._asdict() | {"mean_latency_ms": mean, "updated_at": now}
            # sanitized at their source, and once more here, since others read this table
            for name in ("address", "last_error"):
                row[name] = masked(row[name]) if row[name] else None
            connection.execute(self._add, row)
