"""Many rows in one statement.

A statement for each row costs Python time for each row, and on SQLite more than that: the driver's thread lets go of
the interpreter at every step and waits for a busy event loop to have it again, 1,200 rows a second measured. So SQLite
gets many rows as the VALUES of one statement, and PostgreSQL one JSON text that it takes apart itself, which costs
this process a third of what arrays do.
"""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import Column, ColumnElement, Connection, Dialect, FromClause, Row, literal_column, select, text
from sqlalchemy.sql.base import Executable

from core.outside import outside
from scraper.store.clean import Unholdable
from scraper.store.tables import UtcDateTime

Write = Callable[[Connection, Iterable[Sequence[Any]]], None]
Ask = Callable[[Connection, Iterable[Sequence[Any]]], list[Row[Any]]]

#: SQLite: so many rows a statement, the rest in smaller ones. 64 posts are 1,728 variables of 32,766.
_BLOCKS = (64, 8, 1)

#: Stands in the compiled statement for the rows' places, until it is known how many they are.
_ROWS = "<rows>"


class Rowset(ABC):
    """Rows with these columns, on their way into a statement that selects from them."""

    def __init__(self, dialect: Dialect, columns: Sequence[Column[Any]]) -> None:
        self._dialect = dialect
        self._columns = columns

    def statement(self, make: Callable[[FromClause], Executable]) -> Write:
        """Prepare what `make` makes of the rows; the result takes a connection and rows. Compiled when first used."""
        compiled = self._compiler(make)

        def write(connection: Connection, rows: Iterable[Sequence[Any]]) -> None:
            for sql, packages in self._pack(compiled(), rows):
                connection.exec_driver_sql(sql, packages[0] if len(packages) == 1 else packages)

        return write

    def returning(self, make: Callable[[FromClause], Executable]) -> Ask:
        """Prepare a statement that gives rows back."""
        compiled = self._compiler(make)

        def ask(connection: Connection, rows: Iterable[Sequence[Any]]) -> list[Row[Any]]:
            packed = self._pack(compiled(), rows)
            calls = ((sql, package) for sql, packages in packed for package in packages)
            return [row for sql, package in calls for row in connection.exec_driver_sql(sql, package)]

        return ask

    def _compiler(self, make: Callable[[FromClause], Executable]) -> Callable[[], str]:
        return functools.cache(lambda: str(make(self._source()).compile(dialect=self._dialect)))  # type: ignore[attr-defined]

    @abstractmethod
    def _source(self) -> FromClause:
        """Give the rows as something to select from."""

    @abstractmethod
    def _pack(self, sql: str, rows: Iterable[Sequence[Any]]) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
        """Give statements, and for each the parameters of one run after the other."""


def rowset(dialect: Dialect, columns: Sequence[Column[Any]]) -> Rowset:
    """Choose the way of the database."""
    return SqliteRowset(dialect, columns) if dialect.name == "sqlite" else PostgresRowset(dialect, columns)


class SqliteRowset(Rowset):
    """Rows as VALUES, in blocks."""

    def _source(self) -> FromClause:
        fields: list[ColumnElement[Any]] = [
            literal_column(f"column{at}").label(column.name) for at, column in enumerate(self._columns, start=1)
        ]
        return select(*fields).select_from(text(f"(VALUES {_ROWS})")).subquery("fresh")

    def _pack(self, sql: str, rows: Iterable[Sequence[Any]]) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
        values = self._flat(rows)
        row = f"({', '.join('?' * len(self._columns))})"
        at = 0
        for size in _BLOCKS:
            width = size * len(self._columns)
            blocks = [tuple(values[start : start + width]) for start in range(at, len(values) - width + 1, width)]
            if blocks:
                yield sql.replace(_ROWS, ", ".join([row] * size)), blocks
                at += width * len(blocks)

    def _flat(self, rows: Iterable[Sequence[Any]]) -> list[Any]:
        """Give all values in a row, times as text; raises Unholdable for what PostgreSQL would refuse."""
        flat: list[Any] = []
        for row in rows:
            flat += row
        for position, column in enumerate(self._columns):
            if isinstance(column.type, UtcDateTime):
                flat[position :: len(self._columns)] = _as_texts(flat[position :: len(self._columns)])
        try:
            packed = orjson.dumps(flat)  # the quickest look at all texts at once
        except TypeError as error:  # half surrogates, integers beyond 64 bits
            raise Unholdable(outside(error)) from error
        if b"\\u0000" in packed and any("\0" in value for value in flat if isinstance(value, str)):
            raise Unholdable("a text with a NUL in it")
        return flat


def _as_texts(moments: list[datetime | None]) -> list[str | None]:
    """Write moments, in UTC, as SQLAlchemy's DateTime does on SQLite; the texts sort as the moments do."""
    last, shown = None, None  # rows of one answer have one moment
    texts: list[str | None] = []
    for moment in moments:
        if moment is not last:
            last, shown = moment, None if moment is None else _as_text(moment)
        texts.append(shown)
    return texts


def _as_text(moment: datetime) -> str:
    if moment.tzinfo is not UTC and moment.tzinfo is not None:
        moment = moment.astimezone(UTC)
    return moment.isoformat(" ", "microseconds")[:26]


class PostgresRowset(Rowset):
    """Rows as one JSON text."""

    def _source(self) -> FromClause:
        fields: list[ColumnElement[Any]] = []
        for at, column in enumerate(self._columns):
            kind = column.type.compile(dialect=self._dialect)
            field = f"row ->> {at}" if kind == "TEXT" else f"(row ->> {at})::{kind}"
            fields.append(literal_column(field).label(column.name))
        # by way of text: asyncpg would want to encode the JSON itself
        rows = text("jsonb_array_elements(($1::text)::jsonb) AS given(row)")
        return select(*fields).select_from(rows).subquery("fresh")

    def _pack(self, sql: str, rows: Iterable[Sequence[Any]]) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
        try:
            packed = orjson.dumps([tuple(row) for row in rows])
        except TypeError as error:  # half surrogates, integers beyond 64 bits
            raise Unholdable(outside(error)) from error
        yield sql, [(packed.decode(),)]
