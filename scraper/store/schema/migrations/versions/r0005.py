"""Drops the index on the time of posts alone: no statement of ours uses it, and every stored post pays for it.

The posts of one subreddit by time have an index of their own.
"""

from alembic import op

revision = "0005"
down_revision = "0004"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Drop it if it still exists."""
    op.execute("DROP INDEX IF EXISTS reddit_posts_created")
