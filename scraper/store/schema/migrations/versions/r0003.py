"""Refusals that await confirmation, the process that leaves them to others, and the new name of a moved subreddit."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; no refusal awaits confirmation yet."""
    op.add_column("reddit_frontier", sa.Column("doubts", sa.Text()))
    op.add_column("reddit_frontier", sa.Column("avoided_by", sa.Text()))
    op.add_column("reddit_frontier", sa.Column("avoided_until", sa.DateTime(timezone=True)))
    op.add_column("reddit_subreddits", sa.Column("moved_to", sa.Text()))
    op.add_column("reddit_users", sa.Column("moved_to", sa.Text()))
