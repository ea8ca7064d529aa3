"""Statements that take many rows at once.

A statement for each row costs Python time for each row, and on SQLite more than that: the driver's thread releases the
interpreter lock at every step and waits for a busy event loop to get it back, 1,200 rows a second measured. So SQLite
gets many rows as the VALUES of one statement, and PostgreSQL one JSON text that it parses itself, which costs this
process a third of what arrays do.
"""

import functools
from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from typing import Any

import orjson
from sqlalchemy import Column, ColumnElement, Connection, Dialect, FromClause, literal_column, select, text
from sqlalchemy.sql.base import Executable

from core.masking.external import outside
from scraper.store.batches.unstorable import UnstorableValue
from scraper.store.schema.tables import UtcDateTime

Write = Callable[[Connection, Iterable[Sequence[Any]]], None]

#: SQLite: rows per statement, the rest in smaller ones. 32 posts are 864 variables; the driver keeps the statement and
#: their values.
_BLOCKS = (32, 4, 1)

#: Marks the rows' places in the compiled statement, until their number is known.
_ROWS = "<rows>"


class BulkStatement(ABC):
    """Rows with these columns, as the source of a statement that selects from them."""

    def __init__(self, dialect: Dialect, columns: Sequence[Column[Any]]) -> None:
        self._dialect = dialect
        self._columns = columns

    def statement(self, make: Callable[[FromClause], Executable]) -> Write:
        """Return a function of a connection and rows; the statement that `make` builds is compiled at first use."""
        compiled = self._compiler(make)

        def write(connection: Connection, rows: Iterable[Sequence[Any]]) -> None:
            for sql, packages in self._pack(compiled(), rows):
                connection.exec_driver_sql(sql, packages[0] if len(packages) == 1 else packages)

        return write

    def _compiler(self, make: Callable[[FromClause], Executable]) -> Callable[[], str]:
        return functools.cache(lambda: str(make(self._source()).compile(dialect=self._dialect)))  # type: ignore[attr-defined]

    @abstractmethod
    def _source(self) -> FromClause:
        """Return the rows as a source to select from."""

    @abstractmethod
    def _pack(self, sql: str, rows: Iterable[Sequence[Any]]) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
        """Yield statements, each with the parameters of its runs, one run after the other."""


def rowset(dialect: Dialect, columns: Sequence[Column[Any]]) -> BulkStatement:
    """Return the form for the database."""
    return (
        SqliteBulkStatement(dialect, columns) if dialect.name == "sqlite" else PostgresBulkStatement(dialect, columns)
    )


class SqliteBulkStatement(BulkStatement):
    """Rows as VALUES, in blocks."""

    def _source(self) -> FromClause:
        fields: list[ColumnElement[Any]] = [
            literal_column(f"column{at}").label(column.name) for at, column in enumerate(self._columns, start=1)
        ]
        return select(*fields).select_from(text(f"(VALUES {_ROWS})")).subquery("fresh")

    def _pack(self, sql: str, rows: Iterable[Sequence[Any]]) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
        values = self._flat(rows)
        at = 0
        for size in _BLOCKS:
            width = size * len(self._columns)
            blocks = [tuple(values[start : start + width]) for start in range(at, len(values) - width + 1, width)]
            if blocks:
                yield _with_places(sql, len(self._columns), size), blocks
                at += width * len(blocks)

    def _flat(self, rows: Iterable[Sequence[Any]]) -> list[Any]:
        """Return all values as a flat list, times as text; raises UnstorableValue for what PostgreSQL would refuse."""
        flat: list[Any] = []
        for row in rows:
            flat += row
        for position, column in enumerate(self._columns):
            if isinstance(column.type, UtcDateTime):
                flat[position :: len(self._columns)] = as_texts(flat[position :: len(self._columns)])
        try:
            packed = orjson.dumps(flat)  # the quickest check of all texts at once
        except TypeError as error:  # lone surrogates, integers beyond 64 bits
            raise UnstorableValue(outside(error)) from error
        # the shorter text is found faster, and is as rare
        if b"\\u00" in packed and any("\0" in value for value in flat if isinstance(value, str)):
            raise UnstorableValue("a text that contains NUL")
        return flat


@functools.cache
def _with_places(sql: str, columns: int, rows: int) -> str:
    """Return the statement with places for this number of rows; always the same text, which the driver caches."""
    row = f"({', '.join('?' * columns)})"
    return sql.replace(_ROWS, ", ".join([row] * rows))


def as_texts(moments: list[datetime | None]) -> list[str | None]:
    """Format moments as SQLAlchemy's DateTime does on SQLite, in UTC; the texts sort as the moments do.

    orjson formats a whole column in a tenth of the time that `isoformat` takes. A moment without a zone is in UTC.
    """
    first = moments[0] if moments else None
    if all(moment is first for moment in moments):  # the rows of one answer share one moment
        return [None if first is None else _as_text(first)] * len(moments)
    packed = orjson.dumps(moments, option=orjson.OPT_NAIVE_UTC)
    if packed.count(_UTC) + moments.count(None) != len(moments):
        return [None if moment is None else _as_text(moment) for moment in moments]
    # orjson writes a fraction only if it is not 0: a text that is too long has two fractions
    texts: list[str | None] = orjson.loads(packed.replace(_UTC, b'.000000"').replace(b"T", b" "))
    return [text and text[:_LENGTH] for text in texts]


#: The end of orjson's UTC moments; and the length of a moment as text.
_UTC, _LENGTH = b'+00:00"', 26


def _as_text(moment: datetime) -> str:
    if moment.tzinfo is not UTC and moment.tzinfo is not None:
        moment = moment.astimezone(UTC)
    return moment.isoformat(" ", "microseconds")[:_LENGTH]


class PostgresBulkStatement(BulkStatement):
    """Rows as one JSON text."""

    def _source(self) -> FromClause:
        fields: list[ColumnElement[Any]] = []
        for at, column in enumerate(self._columns):
            kind = column.type.compile(dialect=self._dialect)
            field = f"row ->> {at}" if kind == "TEXT" else f"(row ->> {at})::{kind}"
            fields.append(literal_column(field).label(column.name))
        # as text: asyncpg would encode the JSON itself
        rows = text("jsonb_array_elements(($1::text)::jsonb) AS given(row)")
        return select(*fields).select_from(rows).subquery("fresh")

    def _pack(self, sql: str, rows: Iterable[Sequence[Any]]) -> Iterator[tuple[str, list[tuple[Any, ...]]]]:
        try:
            packed = orjson.dumps([tuple(row) for row in rows])
        except TypeError as error:  # lone surrogates, integers beyond 64 bits
            raise UnstorableValue(outside(error)) from error
        yield sql, [(packed.decode(),)]
