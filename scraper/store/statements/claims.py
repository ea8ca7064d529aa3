"""Claims of users: a claim holds until its user is stored, it is released, or it expires."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

from sqlalchemy import Connection, Dialect, Text, and_, bindparam, delete, func, select, update
from sqlalchemy.sql.base import Executable

from scraper.reddit.rows import UserState
from scraper.store.batches.name_key import is_among, name_key, names_of
from scraper.store.schema.tables import claims, posts, users
from scraper.store.statements.future_dates import LONGEST_PAUSE
from scraper.store.statements.upsert import insert

#: No user takes this long to fetch, whatever the quota allows.
_LONGEST_CLAIM = timedelta(minutes=15)


@dataclass(frozen=True, slots=True)
class Claims:
    """The outcome of a request to claim users; names in the caller's spelling."""

    mine: tuple[str, ...]  #: to be fetched by the caller
    fresh: tuple[str, ...]  #: saved lately
    elsewhere: tuple[str, ...]  #: being fetched by another process, or by another task of this one


def _claim(dialect: Dialect, holder: str) -> Executable:
    """Claim what has no holder, or whose claim has expired; yields the claimed names."""
    names = ["username", "holder", "claimed_at", "until"]
    moments = (bindparam(name, type_=claims.c[name].type) for name in names[2:])
    rows = names_of(dialect, "keys", bindparam("by", holder, Text()), *moments)
    statement = insert(dialect, claims).from_select(names, rows)
    given = statement.excluded
    taken = statement.on_conflict_do_update(
        index_elements=["username"],
        set_={name: given[name] for name in names[1:]},
        where=claims.c.until <= given.claimed_at,
    )
    return taken.returning(claims.c.username)  # type: ignore[no-any-return]


class ClaimStatements:
    """The statements on claims, for one holder."""

    def __init__(self, dialect: Dialect, holder: str) -> None:
        self._claim = _claim(dialect, holder)
        key = func.lower(users.c.username)
        self._fresh = select(key).where(
            is_among(dialect, key, "keys"),
            users.c.fetched_at > bindparam("since"),
            users.c.fetched_at <= bindparam("latest"),
        )
        self._facts = select(users.c.created_utc, users.c.comment_karma, users.c.link_karma).where(
            is_among(dialect, key, "keys"), users.c.state == UserState.ACTIVE
        )
        self._subreddits = (
            select(posts.c.subreddit_name)
            .distinct()
            .where(
                is_among(dialect, posts.c.author_username, "names"),
                ~posts.c.subreddit_name.istartswith("u_", autoescape=True),
            )
        )
        mine = claims.c.holder == holder
        of_these = is_among(dialect, claims.c.username, "keys")
        self._release = delete(claims).where(mine, of_these)
        self._fulfil = delete(claims).where(of_these)
        self._release_all = delete(claims).where(mine)
        is_held = and_(claims.c.until > bindparam("now"), claims.c.claimed_at > bindparam("oldest"))
        self._renew = update(claims).where(mine, is_held).values(until=bindparam("new_until"))

    def claim(
        self, connection: Connection, usernames: Sequence[str], now: datetime, *, refresh_after: float, seconds: float
    ) -> Claims:
        """Claim the users that nobody has claimed and that are not fresh."""
        asked = {name_key(name): name for name in usernames}
        keys = sorted(asked)
        until = now + timedelta(seconds=seconds)
        # claims first, freshness after: a process that saved a user since then released the claim in the same
        # transaction
        asking = {"keys": keys, "claimed_at": now, "until": until}
        won = set(connection.execute(self._claim, asking).scalars()) if keys else set()
        moments = {"since": now - timedelta(seconds=refresh_after), "latest": now + LONGEST_PAUSE}
        fresh = set(connection.execute(self._fresh, moments | {"keys": keys}).scalars()) if keys else set()
        if won & fresh:
            connection.execute(self._release, {"keys": sorted(won & fresh)})
        return Claims(
            tuple(name for key, name in asked.items() if key in won and key not in fresh),
            tuple(name for key, name in asked.items() if key in fresh),
            tuple(name for key, name in asked.items() if key not in won and key not in fresh),
        )

    def facts(
        self, connection: Connection, usernames: Sequence[str]
    ) -> list[tuple[datetime | None, int | None, int | None]]:
        """Return creation, comment karma and link karma of those of these users that are saved and active."""
        keys = sorted({name_key(name) for name in usernames})
        rows = connection.execute(self._facts, {"keys": keys}) if keys else ()
        return [(row.created_utc, row.comment_karma, row.link_karma) for row in rows]

    def subreddits(self, connection: Connection, usernames: Sequence[str]) -> list[str]:
        """Return the subreddits that contain saved posts of these users; profiles (u_…) are left out."""
        names = sorted(set(usernames))
        return list(connection.execute(self._subreddits, {"names": names}).scalars()) if names else []

    def renew(self, connection: Connection, now: datetime, seconds: float) -> None:
        """Renew all our claims; a claim that a task forgot to release expires after a while."""
        asked = {"now": now, "oldest": now - _LONGEST_CLAIM, "new_until": now + timedelta(seconds=seconds)}
        connection.execute(self._renew, asked)

    def release(self, connection: Connection, keys: Sequence[str]) -> None:
        """Release these claims of ours."""
        connection.execute(self._release, {"keys": keys})

    def fulfil(self, connection: Connection, keys: Sequence[str]) -> None:
        """Drop the claims of users that are saved now, of any process."""
        connection.execute(self._fulfil, {"keys": keys})

    def release_all(self, connection: Connection) -> int:
        """Release all claims of this holder."""
        return connection.execute(self._release_all).rowcount
