"""Names of the collation "C" in PostgreSQL, so that their lower case is the same in every locale.

SQLite needs no change: its `lower` changes A to Z only.
"""

import sqlalchemy as sa
from alembic import op

from core.errors import PermanentError

revision = "0004"
down_revision = "0003"
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

# In a Turkish locale "IMAGE" and "image" were two names. The row that a person edited is kept, else the newest;
# people's entries in the other rows are copied to it.
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

# PostgreSQL changes no column that a trigger names: the triggers are dropped and created again unchanged.
_TRIGGERS = {
    ("reddit_frontier_skipped", "reddit_frontier"): (
        "BEFORE INSERT ON reddit_frontier FOR EACH ROW EXECUTE FUNCTION reddit_frontier_entered()"
    ),
    ("reddit_subreddits_added", "reddit_subreddits"): (
        "AFTER INSERT OR DELETE ON reddit_subreddits FOR EACH ROW EXECUTE FUNCTION reddit_subreddits_reviewed()"
    ),
    ("reddit_subreddits_reviewed", "reddit_subreddits"): (
        "AFTER UPDATE OF review, name ON reddit_subreddits FOR EACH ROW "
        "WHEN (OLD.review IS DISTINCT FROM NEW.review OR OLD.name <> NEW.name) "
        "EXECUTE FUNCTION reddit_subreddits_reviewed()"
    ),
}
_SKIPPED = """
UPDATE reddit_frontier SET skipped = NOT skipped WHERE skipped <> EXISTS (
    SELECT 1 FROM reddit_subreddits
    WHERE lower(reddit_subreddits.name) = reddit_frontier.name AND lower(trim(review)) = 'skip'
)
"""

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
    """Change the columns; PostgreSQL rebuilds their indexes."""
    connection = op.get_bind()
    if connection.dialect.name != "postgresql":
        return
    _refuse_views(connection)
    for name, table in _TRIGGERS:
        op.execute(f"DROP TRIGGER {name} ON {table}")
    subreddits = _RANKED.format(table="reddit_subreddits", key="name", order=_BY_PERSON)
    users = _RANKED.format(table="reddit_users", key="username", order="fetched_at DESC, username")
    op.execute(_KEEP.format(ranked=subreddits))
    op.execute(_REMOVE.format(table="reddit_subreddits", key="name", ranked=subreddits))
    op.execute(_REMOVE.format(table="reddit_users", key="username", ranked=users))
    for table, columns in _COLUMNS.items():
        changes = ", ".join(f'ALTER COLUMN {column} TYPE text COLLATE "C"' for column in columns)
        op.execute(f"ALTER TABLE {table} {changes}")
    op.execute(_SKIPPED)
    for (name, _table), rest in _TRIGGERS.items():
        op.execute(f"CREATE TRIGGER {name} {rest}")


def _refuse_views(connection: sa.Connection) -> None:
    """Raise PermanentError if views prevent the change of the columns: their owner can create them again."""
    views = list(connection.execute(sa.text(_VIEWS), {"tables": list(_COLUMNS)}).scalars())
    if views:
        raise PermanentError(
            f"the tables cannot be upgraded while these views use them: {', '.join(views)}: "
            f"drop the views, start Gapless once, and create them again"
        )
