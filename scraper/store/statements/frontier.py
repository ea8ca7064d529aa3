"""The frontier: the due subreddits, and the leases on them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, TypeAlias

from sqlalchemy import (
    Boolean,
    ColumnElement,
    Connection,
    Dialect,
    FromClause,
    Integer,
    Row,
    Select,
    and_,
    bindparam,
    case,
    exists,
    false,
    func,
    or_,
    select,
    true,
    update,
)
from sqlalchemy.sql.base import Executable

from scraper.store.batches.batch import Found, Lease, Progress, RemainingWork, SaveOutcome
from scraper.store.batches.name_key import is_among, name_key
from scraper.store.schema.skip_triggers import SKIP
from scraper.store.schema.tables import frontier, subreddits
from scraper.store.statements.bulk_statement import Write, rowset
from scraper.store.statements.upsert import insert

_REVIEW = func.lower(func.trim(subreddits.c.review))

# the name is already in lower case; for a bare column SQLite would not use the index on lower(name)
WITH_REVIEW = frontier.outerjoin(subreddits, func.lower(subreddits.c.name) == func.lower(frontier.c.name))
NOT_SKIPPED = func.coalesce(_REVIEW, "") != SKIP


_DueRow: TypeAlias = Row[tuple[str, str, int, int, str | None, str | None, str | None, str | None]]


def _due(holder: str) -> Select[tuple[str, str, int, int, str | None, str | None, str | None, str | None]]:
    """Select the due rows of one depth, the oldest first."""
    now: ColumnElement[Any] = bindparam("now", type_=frontier.c.avoided_until.type)
    return (
        select(
            frontier.c.name,
            frontier.c.spelling,
            frontier.c.depth,
            frontier.c.attempts,
            frontier.c.todo,
            frontier.c.doubts,
            subreddits.c.name.label("known_as"),
            _REVIEW.label("review"),
        )
        .select_from(WITH_REVIEW)
        .where(
            frontier.c.skipped == false(),
            frontier.c.settled == bindparam("settled"),
            frontier.c.depth == bindparam("at_depth"),
            frontier.c.due_at <= bindparam("before"),
            NOT_SKIPPED,
            # another process may get what this process was refused
            or_(frontier.c.avoided_by.is_(None), frontier.c.avoided_by != holder, frontier.c.avoided_until <= now),
        )
        .order_by(frontier.c.due_at, frontier.c.name)
        .limit(bindparam("most", type_=Integer))
        .with_for_update(of=frontier, skip_locked=True)
    )


def _enter(dialect: Dialect) -> Write:
    """Add new rows; for known ones only a smaller depth counts.

    A subreddit finished at a larger depth gets one more turn: its authors, which are in its todo, may lead on now.
    """
    names = ["name", "spelling", "depth", "found_in", "due_at", "entered_at"]
    known = frontier.alias("known")

    def make(fresh: FromClause) -> Executable:
        # the same names are found again and again: rows that need no change are not locked, otherwise processes that
        # find each other's leased subreddits would block each other
        needless = select(known.c.name).where(known.c.name == fresh.c.name, known.c.depth <= fresh.c.depth).exists()
        rows = select(*(fresh.c[name] for name in names)).where(~needless).order_by(fresh.c.name)
        statement = insert(dialect, frontier).from_select(names, rows)
        shallower = {
            "depth": statement.excluded.depth,
            "found_in": statement.excluded.found_in,
            "due_at": case((frontier.c.settled, statement.excluded.due_at), else_=frontier.c.due_at),
            "settled": false(),  # as text: the only parameter is the rows
        }
        return statement.on_conflict_do_update(  # type: ignore[no-any-return]
            index_elements=["name"], set_=shallower, where=statement.excluded.depth < frontier.c.depth
        )

    return rowset(dialect, [frontier.c[name] for name in names]).statement(make)


# A new row is due at once, even if a clock is wrong or the clock of a new primary is behind; among new rows the older
# come first.
_LONG_AGO = timedelta(days=365 * 50)

_NAMED = frontier.c.name == bindparam("key")

# The state of a row after its lease ends
_FREE: dict[str, Any] = {"leased_by": None, "leased_until": None}
_GIVEN_BACK = _FREE | {"settled": False, "due_at": bindparam("now")}
_OUTCOME_VALUES: dict[str, ColumnElement[Any]] = {
    "state": bindparam("new_state"),
    "error": bindparam("new_error"),
    "due_at": bindparam("new_due_at"),
    "doubts": bindparam("new_doubts"),
    "avoided_by": bindparam("new_avoided_by"),
    "avoided_until": bindparam("new_avoided_until"),
}
_FAILED = _FREE | _OUTCOME_VALUES | {"settled": False, "attempts": frontier.c.attempts + 1}
_FINISHED = (
    _FREE
    | _OUTCOME_VALUES
    | {
        # found at a smaller depth meanwhile: its authors may lead on, so it is fetched once more
        "settled": and_(bindparam("new_settled"), frontier.c.depth >= bindparam("at_depth")),
        "done_at": bindparam("now"),
        "todo": case((bindparam("keeps_todo", type_=Boolean), frontier.c.todo), else_=None),
        "attempts": 0,
    }
)


class FrontierStatements:
    """The statements on the frontier, for one holder."""

    def __init__(self, dialect: Dialect, holder: str) -> None:
        self._holder = holder
        self._due = _due(holder)
        self._deepest = select(func.max(frontier.c.depth)).where(
            frontier.c.skipped == false(), frontier.c.settled == bindparam("settled")
        )
        self._enter = _enter(dialect)
        held = frontier.c.leased_by == holder
        of_these = is_among(dialect, frontier.c.name, "keys")
        self._take = (
            update(frontier)
            .where(of_these)
            .values(leased_by=holder, leased_until=bindparam("until"), due_at=bindparam("until"), settled=False)
        )
        self._take_afresh = self._take.values(todo=None)
        self._renew = (
            update(frontier)
            .where(held, of_these)
            .values(leased_until=bindparam("until"), due_at=bindparam("until"))
            .returning(frontier.c.name)
        )
        self._progress = update(frontier).where(_NAMED, held).values(todo=bindparam("new_todo"))
        self._finish = update(frontier).where(_NAMED, held).values(_FINISHED)
        self._fail = update(frontier).where(_NAMED, held).values(_FAILED)
        self._give_back = update(frontier).where(_NAMED, held).values(_GIVEN_BACK)
        self._give_all_back = update(frontier).where(held).values(_GIVEN_BACK)
        skips = func.lower(subreddits.c.name) == func.lower(frontier.c.name)
        self._correct = (
            update(frontier)
            .where(frontier.c.skipped == true(), ~exists().where(skips, _REVIEW == SKIP))
            .values(skipped=false())
        )

    def enter(self, connection: Connection, found: Sequence[Found], now: datetime) -> None:
        """Add subreddits that are new."""
        due_at = now - _LONG_AGO
        rows = [(name_key(item.name), item.name, item.depth, item.found_in, due_at, now) for item in found]
        self._enter(connection, rows)

    def correct_skipped(self, connection: Connection) -> None:
        """Clear flags that no `review` justifies: a change of `review` may have coincided with the entry of its row."""
        connection.execute(self._correct)

    def lease(
        self, connection: Connection, limit: int, now: datetime, *, max_depth: int, refresh_after: float, seconds: float
    ) -> list[Lease]:
        """Lease due rows: first those never done or to be retried, then old ones; smaller depths first."""
        until = now + timedelta(seconds=seconds)
        leases: list[Lease] = []
        for settled, before in ((False, now), (True, now - timedelta(seconds=refresh_after))):
            if len(leases) == limit:
                break
            deepest = connection.execute(self._deepest, {"settled": settled}).scalar()
            rows: list[_DueRow] = []
            for depth in range(min(max_depth, -1 if deepest is None else deepest) + 1):
                if (most := limit - len(leases) - len(rows)) > 0:
                    asked = {"settled": settled, "at_depth": depth, "before": before, "most": most, "now": now}
                    rows += connection.execute(self._due, asked).all()
            if rows:
                keys = sorted(row.name for row in rows)
                connection.execute(self._take_afresh if settled else self._take, {"keys": keys, "until": until})
                leases += [_lease(row, until, afresh=settled) for row in rows]
        return leases

    def renew(self, connection: Connection, keys: Sequence[str], now: datetime, seconds: float) -> frozenset[str]:
        """Renew leases; return those that are still held."""
        until = now + timedelta(seconds=seconds)
        return (
            frozenset(connection.execute(self._renew, {"keys": keys, "until": until}).scalars())
            if keys
            else frozenset()
        )

    def progress(self, connection: Connection, items: Sequence[Progress]) -> None:
        """Record the remaining work."""
        rows = [{"key": name_key(item.name), "new_todo": item.todo.dump() if item.todo else None} for item in items]
        connection.execute(self._progress, rows)

    def outcomes(self, connection: Connection, items: Sequence[SaveOutcome], now: datetime) -> None:
        """End leases."""
        for statement, finished in ((self._finish, True), (self._fail, False)):
            rows = [self._outcome_parameters(item, now) for item in items if item.finished is finished]
            if rows:
                connection.execute(statement, rows)

    def _outcome_parameters(self, item: SaveOutcome, now: datetime) -> dict[str, object]:
        parameters: dict[str, object] = {
            "key": name_key(item.name),
            "new_state": item.state,
            "new_error": item.error,
            "new_due_at": item.due_at or now,
            "new_doubts": item.doubts,
            "new_avoided_by": self._holder if item.avoid_until is not None else None,
            "new_avoided_until": item.avoid_until,
        }
        if item.finished:
            settled = item.due_at is None
            parameters |= {"new_settled": settled, "keeps_todo": settled or item.pending, "at_depth": item.depth}
            parameters["now"] = now
        return parameters

    def give_back(self, connection: Connection, keys: Sequence[str], now: datetime) -> None:
        """End leases as if they had never begun: the rows are due at once."""
        connection.execute(self._give_back, [{"key": each, "now": now} for each in keys])

    def give_all_back(self, connection: Connection, now: datetime) -> int:
        """End every lease of this holder."""
        return connection.execute(self._give_all_back, {"now": now}).rowcount


def _lease(row: _DueRow, until: datetime, *, afresh: bool) -> Lease:
    todo = RemainingWork.load(row.todo)
    return Lease(
        name=row.known_as or row.spelling,
        depth=row.depth,
        attempts=row.attempts,
        review=row.review or None,
        todo=None if afresh else todo,
        leased_until=until,
        tries=todo.tries if todo is not None else {},
        doubts=row.doubts,
    )
