"""A flag for subreddits that a person skips, as the first column of a lease's index; triggers keep it up to date."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"
branch_labels = None
depends_on = None

_SKIPPED = """
UPDATE reddit_frontier SET skipped = true
WHERE name IN (SELECT lower(name) FROM reddit_subreddits WHERE lower(trim(review)) = 'skip')
"""

_SQLITE = (
    """
CREATE TRIGGER reddit_frontier_skipped AFTER INSERT ON reddit_frontier
WHEN EXISTS (SELECT 1 FROM reddit_subreddits WHERE lower(name) = NEW.name AND lower(trim(review)) = 'skip')
BEGIN
    UPDATE reddit_frontier SET skipped = 1 WHERE name = NEW.name;
END""",
    """
CREATE TRIGGER reddit_subreddits_added AFTER INSERT ON reddit_subreddits
BEGIN
    UPDATE reddit_frontier SET skipped = coalesce(lower(trim(NEW.review)) = 'skip', 0)
    WHERE name = lower(NEW.name) AND skipped <> coalesce(lower(trim(NEW.review)) = 'skip', 0);
END""",
    """
CREATE TRIGGER reddit_subreddits_reviewed AFTER UPDATE OF review, name ON reddit_subreddits
WHEN OLD.review IS NOT NEW.review OR OLD.name <> NEW.name
BEGIN
    UPDATE reddit_frontier SET skipped = 0 WHERE name = lower(OLD.name);
    UPDATE reddit_frontier SET skipped = 1 WHERE name = lower(NEW.name) AND lower(trim(NEW.review)) = 'skip';
END""",
    """
CREATE TRIGGER reddit_subreddits_removed AFTER DELETE ON reddit_subreddits
WHEN lower(trim(OLD.review)) = 'skip'
BEGIN
    UPDATE reddit_frontier SET skipped = 0 WHERE name = lower(OLD.name);
END""",
)

_POSTGRESQL = (
    """
CREATE FUNCTION reddit_frontier_entered() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    NEW.skipped := EXISTS (
        SELECT 1 FROM reddit_subreddits WHERE lower(name) = NEW.name AND lower(trim(review)) = 'skip'
    );
    RETURN NEW;
END $$""",
    """
CREATE FUNCTION reddit_subreddits_reviewed() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        UPDATE reddit_frontier SET skipped = false WHERE name = lower(OLD.name) AND skipped;
    END IF;
    IF TG_OP <> 'DELETE' AND lower(trim(NEW.review)) = 'skip' THEN
        UPDATE reddit_frontier SET skipped = true WHERE name = lower(NEW.name) AND NOT skipped;
    END IF;
    RETURN NULL;
END $$""",
    (
        "CREATE TRIGGER reddit_frontier_skipped BEFORE INSERT ON reddit_frontier "
        "FOR EACH ROW EXECUTE FUNCTION reddit_frontier_entered()"
    ),
    (
        "CREATE TRIGGER reddit_subreddits_added AFTER INSERT OR DELETE ON reddit_subreddits "
        "FOR EACH ROW EXECUTE FUNCTION reddit_subreddits_reviewed()"
    ),
    (
        "CREATE TRIGGER reddit_subreddits_reviewed AFTER UPDATE OF review, name ON reddit_subreddits FOR EACH ROW "
        "WHEN (OLD.review IS DISTINCT FROM NEW.review OR OLD.name <> NEW.name) "
        "EXECUTE FUNCTION reddit_subreddits_reviewed()"
    ),
)


def upgrade() -> None:
    """Add the column, the index and the triggers; set the flag on rows that are skipped now."""
    op.add_column("reddit_frontier", sa.Column("skipped", sa.Boolean(), nullable=False, server_default=sa.false()))
    op.drop_index("reddit_frontier_due", "reddit_frontier")
    op.create_index("reddit_frontier_due", "reddit_frontier", ["skipped", "settled", "depth", "due_at", "name"])
    op.execute(_SKIPPED)
    for statement in _SQLITE if op.get_bind().dialect.name == "sqlite" else _POSTGRESQL:
        op.execute(statement)
