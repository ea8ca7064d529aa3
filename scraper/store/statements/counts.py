"""Counts stored rows and due work."""

from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import ColumnElement, Connection, and_, bindparam, func, not_, or_, select

from scraper.reddit.rows import SubredditState
from scraper.store.schema.tables import frontier, posts, rules, subreddits, users
from scraper.store.statements.frontier import NOT_SKIPPED, WITH_REVIEW

_REFUSED = [str(state) for state in SubredditState if state is not SubredditState.OPEN]


@dataclass(frozen=True, slots=True)
class Counts:
    """Saved rows, and subreddits of the frontier by their next step."""

    subreddits: int  #: with fetched facts; rows that only a person entered do not count
    users: int
    posts: int
    rules: int
    waiting: int  #: due now, and not leased
    leased: int  #: being fetched
    later: int  #: failed, with a retry in the future
    done: int  #: finished, and not yet due again
    refused: int  #: of `later`: unreadable, and requested again in days
    growing: int  #: of waiting, leased and failed: those that may lead to others, as they are not at the last depth


def _saved() -> dict[str, object]:
    return {
        "subreddits": select(func.count()).where(subreddits.c.fetched_at.is_not(None)).scalar_subquery(),
        "users": select(func.count()).select_from(users).scalar_subquery(),
        "posts": select(func.count()).select_from(posts).scalar_subquery(),
        "rules": select(func.count()).select_from(rules).scalar_subquery(),
    }


class CountStatements:
    """The statements that count rows."""

    def __init__(self) -> None:
        self._saved = select(*(query.label(name) for name, query in _saved().items()))  # type: ignore[attr-defined]
        now: ColumnElement[Any] = bindparam("now")
        since: ColumnElement[Any] = bindparam("since")
        leased = and_(frontier.c.leased_until.is_not(None), frontier.c.leased_until > now)
        due = or_(
            and_(not_(frontier.c.settled), frontier.c.due_at <= now),
            and_(frontier.c.settled, frontier.c.due_at <= since),
        )
        idle = and_(not_(leased), not_(due))
        refused = func.coalesce(frontier.c.state, "").in_(_REFUSED)
        finished = and_(frontier.c.done_at.is_not(None), frontier.c.attempts == 0, not_(refused))
        done, later = and_(idle, finished), and_(idle, not_(finished), NOT_SKIPPED)
        shallow = frontier.c.depth < bindparam("max_depth")
        self._frontier = (
            select(
                func.count().filter(not_(leased), due, NOT_SKIPPED).label("waiting"),
                func.count().filter(leased).label("leased"),
                func.count().filter(later).label("later"),
                func.count().filter(done).label("done"),
                func.count().filter(later, refused).label("refused"),
                func.count().filter(shallow, not_(done), not_(and_(later, refused)), NOT_SKIPPED).label("growing"),
            )
            .select_from(WITH_REVIEW)
            .where(frontier.c.depth <= bindparam("max_depth"))
        )

    def count(self, connection: Connection, now: datetime, *, max_depth: int, refresh_after: float) -> Counts:
        """Count everything at one moment."""
        saved = connection.execute(self._saved).mappings().one()
        asked = {"now": now, "since": now - timedelta(seconds=refresh_after), "max_depth": max_depth}
        return Counts(**saved, **connection.execute(self._frontier, asked).mappings().one())
