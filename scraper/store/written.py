"""Where users wrote: the way from an author who is in the database already to the subreddits of his posts."""

from collections.abc import Sequence

from sqlalchemy import Connection, bindparam, func, select

from scraper.store.tables import posts

# the spelling that is stored with posts and claims is Reddit's own, so the plain index serves
_SUBREDDITS = (
    select(func.max(posts.c.subreddit_name))
    .where(posts.c.author_username.in_(bindparam("usernames", expanding=True)))
    .group_by(func.lower(posts.c.subreddit_name))
)


def subreddits_of(connection: Connection, usernames: Sequence[str]) -> list[str]:
    """Name the subreddits of these users' stored posts, each once, without the users' own profiles."""
    if not usernames:
        return []
    names = connection.execute(_SUBREDDITS, {"usernames": list(usernames)}).scalars()
    return sorted(name for name in names if not name.lower().startswith("u_"))
