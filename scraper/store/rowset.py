"""Many rows as one parameter of one statement: the database unpacks them, not Python.

A statement for each row would cost Python time for each row, and on SQLite the interpreter's lock as well: the
driver's thread gives it back at every step and waits for a busy event loop to get it again.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Any

import orjson
from sqlalchemy import Column, ColumnElement, Connection, Dialect, FromClause, literal_column, select, text, true
from sqlalchemy.sql.base import Executable

from scraper.store.clean import Unholdable, is_integer
from scraper.store.tables import UtcDateTime


class Rowset(ABC):
    """Rows with these columns, on their way into a statement."""

    def __init__(self, dialect: Dialect, columns: Sequence[Column[Any]]) -> None:
        self._dialect = dialect
        self._columns = columns
        #: what a statement selects from; its columns have the names of the columns
        self.source = self._source()

    @abstractmethod
    def _source(self) -> FromClause:
        """Give the rows as something to select from."""

    @abstractmethod
    def _parameters(self, rows: Iterable[Sequence[Any]]) -> tuple[Any, ...]:
        """Pack the rows for the driver."""

    def statement(
        self, make: Callable[[FromClause], Executable]
    ) -> Callable[[Connection, Iterable[Sequence[Any]]], int]:
        """Compile a statement over these rows once; it takes a connection and rows, and gives the count of rows hit."""
        compiled = make(self.source).compile(dialect=self._dialect)  # type: ignore[attr-defined]
        sql = str(compiled)

        def execute(connection: Connection, rows: Iterable[Sequence[Any]]) -> int:
            return connection.exec_driver_sql(sql, self._parameters(rows)).rowcount

        return execute


def rowset(dialect: Dialect, columns: Sequence[Column[Any]]) -> Rowset:
    """Choose the way of the database."""
    return SqliteRowset(dialect, columns) if dialect.name == "sqlite" else PostgresRowset(dialect, columns)


class SqliteRowset(Rowset):
    """One JSON text, read by json_each."""

    def __init__(self, dialect: Dialect, columns: Sequence[Column[Any]]) -> None:
        super().__init__(dialect, columns)
        self._times = [at for at, column in enumerate(columns) if isinstance(column.type, UtcDateTime)]

    def _source(self) -> FromClause:
        fields: list[ColumnElement[Any]] = [
            literal_column(f"json_extract(value, '$[{at}]')").label(column.name)
            for at, column in enumerate(self._columns)
        ]
        return select(*fields).select_from(text("json_each(?)")).where(true()).subquery("fresh")

    def _parameters(self, rows: Iterable[Sequence[Any]]) -> tuple[Any, ...]:
        values = list(map(list, rows))
        for position in self._times:
            for row in values:
                moment = row[position]
                if moment is not None:
                    row[position] = as_text(moment)
        try:
            packed = orjson.dumps(values, option=orjson.OPT_STRICT_INTEGER)
        except TypeError as error:
            packed = _pack_large(values, error)
        if b"\\u0000" in packed and any("\0" in value for row in values for value in row if isinstance(value, str)):
            raise Unholdable("a text with a NUL in it")
        return (packed.decode(),)


def _pack_large(values: list[list[Any]], error: TypeError) -> bytes:
    """Pack integers beyond 53 bits too, as long as they have no more than 64 with their sign."""
    if any(isinstance(value, int) and not is_integer(value) for row in values for value in row):
        raise Unholdable("an integer beyond 64 bits") from error
    try:
        return orjson.dumps(values)
    except TypeError as again:
        raise Unholdable(str(again)) from again


def as_text(moment: datetime) -> str:
    """Write a UTC moment as SQLAlchemy's DateTime does on SQLite; texts sort as the moments do."""
    return moment.isoformat(" ", "microseconds")[:26]


class PostgresRowset(Rowset):
    """One array a column, read by unnest."""

    def _source(self) -> FromClause:
        kinds = [column.type.compile(dialect=self._dialect) for column in self._columns]
        arrays = ", ".join(f"${at}::{kind}[]" for at, kind in enumerate(kinds, start=1))
        names = ", ".join(f'"{column.name}"' for column in self._columns)
        rows = text(f"SELECT * FROM unnest({arrays}) AS given({names})")  # noqa: S608 (our own names and types)
        return rows.columns(*(Column(column.name, column.type) for column in self._columns)).subquery("fresh")

    def _parameters(self, rows: Iterable[Sequence[Any]]) -> tuple[Any, ...]:
        return tuple(map(list, zip(*rows, strict=True)))
