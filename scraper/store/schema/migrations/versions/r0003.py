"""Refusals that wait for their confirmation, who leaves them to others, and where a name has moved to."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"
branch_labels = None
depends_on = None


def upgrade() -> None:
    """Add the columns; nothing is in doubt yet."""
    op.add_column("reddit_frontier", sa.Column("doubts", sa.Text()))
    op.add_column("reddit_frontier", sa.Column("avoided_by", sa.Text()))
    op.add_column("reddit_frontier", sa.Column("avoided_until", sa.DateTime(timezone=True)))
    op.add_column("reddit_subreddits", sa.Column("moved_to", sa.Text()))
    op.add_column("reddit_users", sa.Column("moved_to", sa.Text()))
