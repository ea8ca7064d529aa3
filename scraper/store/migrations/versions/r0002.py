"""Names of the collation "C" in PostgreSQL, so that their lower case is the same in every locale.

SQLite has nothing to do: its `lower` changes A to Z only.
"""

import sqlalchemy as sa
from alembic import op

from core.errors import PermanentError

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_COLUMNS = {
    "reddit_subreddits": ("name", "review"),
    "reddit_rules": ("subreddit_name",),
    "reddit_posts": ("subreddit_name", "author_username"),
    "reddit_users": ("username",),
    "reddit_frontier": ("name",),
    "reddit_user_claims": ("username",),
}

# In a Turkish locale "IMAGE" and "image" were two names. The row that a person marked stays, else the youngest; what
# people wrote into the others goes over to it.
_RANKED = """
SELECT {key} AS name, first_value({key}) OVER twins AS kept, row_number() OVER twins AS place
FROM {table} WINDOW twins AS (PARTITION BY lower({key} COLLATE "C") ORDER BY {order})
"""
_BY_PERSON = "(review IS NULL), fetched_at DESC NULLS LAST, name"
_KEEP = """
UPDATE reddit_subreddits AS kept SET
    review = coalesce(kept.review, other.review),
    primary_category = coalesce(kept.primary_category, other.primary_category),
    tags = coalesce(kept.tags, other.tags)
FROM reddit_subreddits AS other, ({ranked}) AS ranked
WHERE kept.name = ranked.kept AND other.name = ranked.name AND ranked.place > 1
"""
_REMOVE = "DELETE FROM {table} USING ({ranked}) AS ranked WHERE {table}.{key} = ranked.name AND ranked.place > 1"

_VIEWS = """
SELECT DISTINCT view.oid::regclass::text
FROM pg_depend AS needs
JOIN pg_rewrite AS rule ON rule.oid = needs.objid
JOIN pg_class AS view ON view.oid = rule.ev_class
WHERE needs.classid = 'pg_rewrite'::regclass AND needs.refobjid = ANY (CAST(:tables AS regclass[]))
    AND view.oid <> needs.refobjid AND needs.refobjsubid > 0
ORDER BY 1
"""


def upgrade() -> None:
    """Change the columns; their indexes are made anew with them."""
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    _refuse_views(connection)
    subreddits = _RANKED.format(table="reddit_subreddits", key="name", order=_BY_PERSON)
    users = _RANKED.format(table="reddit_users", key="username", order="fetched_at DESC, username")
    op.execute(_KEEP.format(ranked=subreddits))
    op.execute(_REMOVE.format(table="reddit_subreddits", key="name", ranked=subreddits))
    op.execute(_REMOVE.format(table="reddit_users", key="username", ranked=users))
    for table, columns in _COLUMNS.items():
        changes = ", ".join(f'ALTER COLUMN {column} TYPE text COLLATE "C"' for column in columns)
        op.execute(f"ALTER TABLE {table} {changes}")


def _refuse_views(connection: sa.Connection) -> None:
    """Raise PermanentError where views keep the columns from being changed: whoever made them can make them again."""
    views = list(connection.execute(sa.text(_VIEWS), {"tables": list(_COLUMNS)}).scalars())
    if views:
        raise PermanentError(
            f"the tables cannot be upgraded while these views use them: {', '.join(views)}: "
            f"drop the views, start Gapless once, and make them again"
        )
