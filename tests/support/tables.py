"""The scraper's database as a person sees it: SQL in, rows out, without the product in between."""

import asyncio
import contextlib
import sqlite3
from typing import Any

import asyncpg


class Tables:
    """One database, SQLite or PostgreSQL; a new connection for every statement, so that none is left open."""

    def __init__(self, url: str) -> None:
        self.url = url

    @property
    def is_sqlite(self) -> bool:
        return self.url.startswith("sqlite:///")

    def rows(self, query: str) -> list[dict[str, Any]]:
        """Return the rows; none if there is no such table, as before the first start."""
        return self._sqlite(query) if self.is_sqlite else asyncio.run(self._postgres(query))

    def value(self, query: str) -> Any:
        """Return the first column of the first row, None if there is no row."""
        rows = self.rows(query)
        return next(iter(rows[0].values())) if rows else None

    def execute(self, statement: str) -> None:
        """Change data, as people do."""
        if self.is_sqlite:
            with contextlib.closing(self.connect()) as connection, connection:
                connection.execute(statement)
        else:
            self.rows(statement)

    def connect(self) -> sqlite3.Connection:
        """Open the SQLite file as another program would."""
        connection = sqlite3.connect(self.url.removeprefix("sqlite:///"), timeout=20.0)
        connection.row_factory = sqlite3.Row
        return connection

    def _sqlite(self, query: str) -> list[dict[str, Any]]:
        try:
            with contextlib.closing(self.connect()) as connection:
                return [dict(row) for row in connection.execute(query)]
        except sqlite3.OperationalError as error:
            if "no such table" in str(error) or "unable to open" in str(error):
                return []
            raise

    async def _postgres(self, query: str) -> list[dict[str, Any]]:
        connection = await asyncpg.connect(self.url)
        try:
            return [dict(row) for row in await connection.fetch(query)]
        except asyncpg.UndefinedTableError:
            return []
        finally:
            await connection.close()
