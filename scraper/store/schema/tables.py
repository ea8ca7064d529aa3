"""The tables in their present form; the migrations bring older databases to it.

The columns of the row tables are the fields of scraper.reddit.rows, in their order. Names keep Reddit's spelling and
are unique without regard to case.
"""

import types
import typing
from datetime import UTC, datetime
from typing import Any, get_args, get_origin

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Dialect,
    Double,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    TypeDecorator,
    false,
    func,
    text,
)
from sqlalchemy.types import TypeEngine

from scraper.reddit.rows import AuthorFigures, Post, PostFigures, Rule, Subreddit, User
from scraper.store.schema import skip_triggers


class UtcDateTime(TypeDecorator[datetime]):
    """A moment: timestamptz in PostgreSQL, sortable UTC text in SQLite; always with its zone in Python."""

    impl = DateTime(timezone=True)
    cache_ok = True

    def process_bind_param(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the bare UTC time for SQLite, which knows no zones."""
        if value is None or dialect.name != "sqlite":
            return value
        return value.astimezone(UTC).replace(tzinfo=None)

    def process_result_value(self, value: datetime | None, dialect: Dialect) -> datetime | None:
        """Return the time with its zone."""
        return value.replace(tzinfo=UTC) if value is not None and dialect.name == "sqlite" else value


#: Names, and what is compared without regard to case. In PostgreSQL of the collation "C": `lower` then changes A to Z
#: only, in every locale, as it does in SQLite and in scraper.store.batches.name_key; and names sort as they do in
#: Python.
NAME = Text(collation="C").with_variant(Text(), "sqlite")

_NAMES = frozenset({"name", "subreddit_name", "username", "author_username"})

_TYPES: dict[type, TypeEngine[Any]] = {
    str: Text(),
    int: BigInteger(),
    float: Double(),
    bool: Boolean(),
    datetime: UtcDateTime(),
}

#: A row that a person enters by hand needs only its name.
_ENTERED_BY_HAND = frozenset({"state", "fetched_at"})

#: Columns that a migration added come after the others.
_LATER = frozenset({"moved_to"})

#: The newest migration. A change here needs a step in `migrations` that brings older databases to the same form.
SCHEMA_VERSION = "0005"

metadata = MetaData()


def _columns(
    row: type, *key: Column[Any], loose: frozenset[str] = frozenset(), later: frozenset[str] = frozenset()
) -> list[Column[Any]]:
    """Make a column for every field of a row; key columns are given, `later` columns are left out."""
    columns = {column.name: column for column in key}
    for name, hint in typing.get_type_hints(row).items():
        if name not in columns and name not in later:
            optional = get_origin(hint) in (types.UnionType, typing.Union)
            kind = next(kind for kind in get_args(hint) if kind is not types.NoneType) if optional else hint
            column_type = NAME if name in _NAMES else _TYPES[kind]
            columns[name] = Column(name, column_type, nullable=optional or name in loose)
    return list(columns.values())


subreddits = Table(
    "reddit_subreddits",
    metadata,
    *_columns(Subreddit, Column("name", NAME, primary_key=True), loose=_ENTERED_BY_HAND, later=_LATER),
    *_columns(PostFigures),
    *_columns(AuthorFigures),
    Column("figures_at", UtcDateTime),
    # these belong to people and are never written by the scraper
    Column("review", NAME),
    Column("primary_category", Text),
    Column("tags", Text),
    Column("moved_to", Text),
)
Index("reddit_subreddits_name_lower", func.lower(subreddits.c.name), unique=True)

rules = Table(
    "reddit_rules",
    metadata,
    *_columns(
        Rule,
        Column(
            "subreddit_name",
            NAME,
            ForeignKey("reddit_subreddits.name", onupdate="CASCADE", ondelete="CASCADE"),
            primary_key=True,
        ),
        Column("position", Integer, primary_key=True, autoincrement=False),
    ),
)

posts = Table("reddit_posts", metadata, *_columns(Post, Column("reddit_id", Text, primary_key=True)))
Index("reddit_posts_subreddit_created", posts.c.subreddit_name, posts.c.created_utc)
Index("reddit_posts_author", posts.c.author_username)

users = Table("reddit_users", metadata, *_columns(User, Column("username", NAME, primary_key=True)))
Index("reddit_users_username_lower", func.lower(users.c.username), unique=True)
Index("reddit_users_fetched", users.c.fetched_at)

proxies = Table(
    "reddit_proxies",
    metadata,
    Column("name", Text, primary_key=True),
    Column("address", Text),
    Column("state", Text),
    Column("success_count", BigInteger, nullable=False, server_default=text("0")),
    Column("error_count", BigInteger, nullable=False, server_default=text("0")),
    Column("latency_sum", Double, nullable=False, server_default=text("0")),
    Column("latency_count", BigInteger, nullable=False, server_default=text("0")),
    Column("mean_latency_ms", Double),
    Column("consecutive_failures", BigInteger, nullable=False, server_default=text("0")),
    Column("last_error", Text),
    Column("last_error_at", UtcDateTime),
    Column("resting_until", UtcDateTime),
    Column("updated_at", UtcDateTime),
)

# One row is one subreddit to fetch. `due_at` is the earliest time to lease it: a lease moves it to the lease's end, so
# that a lease that is not given back expires. `settled` rows are finished; their `due_at` is the time of that, and each
# reader adds its own refresh time. `skipped` follows `review` (see scraper.store.schema.skip_triggers). `doubts` are
# refusals that await confirmation; `avoided_by` leaves the row to others until `avoided_until`.
frontier = Table(
    "reddit_frontier",
    metadata,
    Column("name", NAME, primary_key=True),  # lower case
    Column("spelling", Text, nullable=False),
    Column("depth", Integer, nullable=False),
    Column("settled", Boolean, nullable=False, server_default=false()),
    Column("due_at", UtcDateTime, nullable=False),
    Column("leased_by", Text),
    Column("leased_until", UtcDateTime),
    Column("attempts", Integer, nullable=False, server_default=text("0")),
    Column("state", Text),
    Column("todo", Text),
    Column("error", Text),
    Column("found_in", Text),
    Column("entered_at", UtcDateTime, nullable=False),
    Column("done_at", UtcDateTime),
    Column("skipped", Boolean, nullable=False, server_default=false()),
    Column("doubts", Text),
    Column("avoided_by", Text),
    Column("avoided_until", UtcDateTime),
)
Index("reddit_frontier_due", *(frontier.c[name] for name in ("skipped", "settled", "depth", "due_at", "name")))
Index("reddit_frontier_leased_by", frontier.c.leased_by)

claims = Table(
    "reddit_user_claims",
    metadata,
    Column("username", NAME, primary_key=True),  # lower case
    Column("holder", Text, nullable=False),
    Column("claimed_at", UtcDateTime, nullable=False),
    Column("until", UtcDateTime, nullable=False),
)
Index("reddit_user_claims_holder", claims.c.holder)

skip_triggers.make_with(metadata)
