"""The engine for PostgreSQL: one of several servers, a pool that does not outlive a failover, and poolers.

A pooler such as PgBouncer, in transaction mode, hands each transaction to another connection: a statement prepared on
the previous one is missing there. The process number reveals such a pooler: the serving process is not the one that the
server named when the connection began. Prepared statements have names that no other process uses: otherwise a statement
of another process might run in place of ours.
"""

import asyncio
import time
import uuid
from typing import Any

import structlog
from sqlalchemy import Engine, create_engine, event
from sqlalchemy.engine.interfaces import ExceptionContext
from sqlalchemy.exc import DisconnectionError

from core.config.postgres_url import Host
from core.errors import TransientError
from scraper.store.connection.certificates import check_files, system_context
from scraper.store.connection.database_errors import is_hopeless, loses_the_connection, misses_a_statement, reason
from scraper.store.connection.database_url import PostgresServer

log = structlog.stdlib.get_logger(__name__)

#: A server that is silent for this time is away, seconds; no statement of ours takes a tenth of it.
_COMMAND_TIMEOUT = 30.0

#: Connections of one process: one saves, one reads the frontier.
CONNECTIONS = 2


#: In session mode a pooler lends one server connection for the lifetime of ours. So that all processes get a turn when
#: it has too few, none is kept longer than this, seconds.
KEPT_BEHIND_POOLER = 5.0

#: The first answer on a connection takes a round trip; after this time it is waiting for a free connection, seconds.
_FIRST_ANSWER = 3.0

_SHORT_HINT = (
    "raise default_pool_size of PgBouncer above 2 for each process of Gapless, or set pool_mode = transaction; "
    "until then the processes share the connections in turns, one per process"
)


class PoolerShort(TransientError):
    """A pooler has no free connection: the next attempt waits for one, and this process uses only one from now on."""


class PoolerFound(TransientError):
    """A pooler hands out connections: the next one is opened without prepared statements."""


class Connector:
    """Opens connections to the first writable server."""

    def __init__(self, place: PostgresServer) -> None:
        self._place = place
        self._last_good: Host | None = None
        #: whether a prepared statement is reused over many transactions
        self.prepares = place.arguments.get("prepared_statement_cache_size") != 0
        #: whether a pooler is between us and the database; and whether it has too few connections
        self.is_pooled = False
        self.is_short = False

    def stop_preparing(self, why: str) -> None:
        """Prepare each statement anew from now on."""
        if self.prepares:
            self.prepares = False
            log.info("prepared_statements_off", database=str(self._place), reason=why)

    async def connect(self, **arguments: Any) -> Any:  # noqa: ANN401 (asyncpg has no types)
        """Return asyncpg's connection; SQLAlchemy calls this."""
        check_files(self._place)  # each time: a certificate may be renewed at run time
        if self._place.uses_system_certificates:
            arguments["ssl"] = system_context(self._place)
        failures: list[tuple[Host, Exception]] = []
        for host in self._in_order():
            try:
                connection = await self._connect_to(host, arguments)
            except Exception as error:
                if len(self._place.hosts) == 1 or isinstance(error, TransientError) or is_hopeless(error):
                    raise
                failures.append((host, error))
            else:
                self._last_good = host
                return connection
        raise ConnectionError("; ".join(f"{name}:{port or 5432}: {reason(error)}" for (name, port), error in failures))

    def _in_order(self) -> list[Host]:
        return sorted(self._place.hosts, key=lambda host: host != self._last_good)

    async def _connect_to(self, host: Host, arguments: dict[str, Any]) -> Any:  # noqa: ANN401
        import asyncpg  # noqa: PLC0415 (SQLAlchemy imports it as late)

        name, port = host
        target = self._place.target
        try:
            connection = await asyncpg.connect(host=name, port=port, target_session_attrs=target, **arguments)
        except asyncpg.TargetServerAttributeNotMatched:
            raise ConnectionError(f"the server accepts no writes (target_session_attrs={target})") from None
        if connection.get_server_pid() != await self._first_answer(connection):
            self.is_pooled = True
            if self.prepares:
                await connection.close()
                self.stop_preparing("the connection goes through a pooler such as PgBouncer")
                raise PoolerFound("a pooler hands out the connections")
        return connection

    async def _first_answer(self, connection: Any) -> int:  # noqa: ANN401
        """Return the number of the serving process; a pooler without a free connection delays the answer."""
        try:
            async with asyncio.timeout(None if self.is_short else _FIRST_ANSWER):
                return int(await connection.fetchval("SELECT pg_backend_pid()"))
        except TimeoutError:
            connection.terminate()
            if self.is_short:
                raise
        self.is_short = self.is_pooled = True
        log.warning("database_connections_short", database=str(self._place), hint=_SHORT_HINT)
        raise PoolerShort("the database accepts the login and then does not answer: a pooler has no free connection")


def make_postgres_engine(place: PostgresServer, connector: Connector | None = None) -> Engine:
    """Create the engine; nothing is connected yet. `connector`: opens its connections."""
    for name in place.left_out:
        log.info("database_parameter_left_out", name=name, reason="asyncpg has no such setting and does not need it")
    connector = connector or Connector(place)
    arguments = {"command_timeout": _COMMAND_TIMEOUT, "statement_cache_size": 0, **place.arguments}
    engine = create_engine(
        "postgresql+asyncpg://",
        connect_args={**arguments, "async_creator_fn": connector.connect, "prepared_statement_name_func": _new_name},
        pool_size=CONNECTIONS,
        max_overflow=0,
        hide_parameters=True,
    )

    @event.listens_for(engine, "do_connect")
    def choose_cache(_dialect: object, _record: object, _positional: object, parameters: dict[str, Any]) -> None:
        if not connector.prepares:
            parameters["prepared_statement_cache_size"] = 0

    @event.listens_for(engine, "connect")
    def note_begin(_connection: object, record: Any) -> None:  # noqa: ANN401
        record.info["opened_at"] = time.monotonic()

    @event.listens_for(engine, "checkout")
    def expire_connection(_connection: object, record: Any, _proxy: object) -> None:  # noqa: ANN401
        if connector.is_pooled and time.monotonic() - record.info["opened_at"] > KEPT_BEHIND_POOLER:
            raise DisconnectionError("older than the limit behind a pooler")

    @event.listens_for(engine, "handle_error")
    def discard_pool(context: ExceptionContext) -> None:
        error = context.original_exception
        if misses_a_statement(error):
            connector.stop_preparing(reason(error))
        if context.connection is not None and (misses_a_statement(error) or loses_the_connection(error)):
            context.is_disconnect = True  # this connection, and all that are as old or older

    return engine


def _new_name() -> str:
    return f"gapless_{uuid.uuid4().hex}"
