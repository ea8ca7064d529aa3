"""Triggers that keep `reddit_frontier.skipped` in step with `review`, which people edit with any tool.

A lease must not scan rows that are never fetched: the flag is the first column of the index that a lease reads. The
lease still compares `review` itself, so a flag that is false in error never leads to a request.
"""

from typing import Final

from sqlalchemy import DDL, MetaData, event

#: A person writes this into `review` so that a subreddit is never fetched; case and outer spaces do not matter.
SKIP: Final = "skip"

_ENTERED = """
CREATE TRIGGER reddit_frontier_skipped AFTER INSERT ON reddit_frontier
WHEN EXISTS (SELECT 1 FROM reddit_subreddits WHERE lower(name) = NEW.name AND lower(trim(review)) = 'skip')
BEGIN
    UPDATE reddit_frontier SET skipped = 1 WHERE name = NEW.name;
END"""

# also after INSERT OR REPLACE, for which SQLite runs no trigger of the replaced row
_ADDED = """
CREATE TRIGGER reddit_subreddits_added AFTER INSERT ON reddit_subreddits
BEGIN
    UPDATE reddit_frontier SET skipped = coalesce(lower(trim(NEW.review)) = 'skip', 0)
    WHERE name = lower(NEW.name) AND skipped <> coalesce(lower(trim(NEW.review)) = 'skip', 0);
END"""

_REVIEWED = """
CREATE TRIGGER reddit_subreddits_reviewed AFTER UPDATE OF review, name ON reddit_subreddits
WHEN OLD.review IS NOT NEW.review OR OLD.name <> NEW.name
BEGIN
    UPDATE reddit_frontier SET skipped = 0 WHERE name = lower(OLD.name);
    UPDATE reddit_frontier SET skipped = 1 WHERE name = lower(NEW.name) AND lower(trim(NEW.review)) = 'skip';
END"""

_REMOVED = """
CREATE TRIGGER reddit_subreddits_removed AFTER DELETE ON reddit_subreddits
WHEN lower(trim(OLD.review)) = 'skip'
BEGIN
    UPDATE reddit_frontier SET skipped = 0 WHERE name = lower(OLD.name);
END"""

# search_path: a person who edits `review` may have another one
_PG_ENTERED = """
CREATE OR REPLACE FUNCTION reddit_frontier_entered() RETURNS trigger LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    NEW.skipped := EXISTS (
        SELECT 1 FROM reddit_subreddits WHERE lower(name) = NEW.name AND lower(trim(review)) = 'skip'
    );
    RETURN NEW;
END $$"""

_PG_REVIEWED = """
CREATE OR REPLACE FUNCTION reddit_subreddits_reviewed() RETURNS trigger
LANGUAGE plpgsql SET search_path FROM CURRENT AS $$
BEGIN
    IF TG_OP <> 'INSERT' THEN
        UPDATE reddit_frontier SET skipped = false WHERE name = lower(OLD.name) AND skipped;
    END IF;
    IF TG_OP <> 'DELETE' AND lower(trim(NEW.review)) = 'skip' THEN
        UPDATE reddit_frontier SET skipped = true WHERE name = lower(NEW.name) AND NOT skipped;
    END IF;
    RETURN NULL;
END $$"""

_PG_TRIGGERS = (
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

#: The statements of each kind of database, in order.
TRIGGERS: Final = {
    "sqlite": (_ENTERED, _ADDED, _REVIEWED, _REMOVED),
    "postgresql": (_PG_ENTERED, _PG_REVIEWED, *_PG_TRIGGERS),
}


def make_with(metadata: MetaData) -> None:
    """Create the triggers whenever these tables are created."""
    for dialect, statements in TRIGGERS.items():
        for statement in statements:
            made = DDL(statement)  # type: ignore[no-untyped-call]  # SQLAlchemy's
            event.listen(metadata, "after_create", made.execute_if(dialect=dialect))
