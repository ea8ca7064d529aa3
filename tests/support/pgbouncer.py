"""PgBouncer in front of a test's PostgreSQL, if the program is installed."""

import asyncio
import shutil
import tempfile
from pathlib import Path

import asyncpg

from tests.support.ports import free_port
from tests.support.postgres import PASSWORD, USER, PostgresServer
from tests.support.server import ServerProcess
from tests.support.waiting import wait_until

_SETTINGS = """\
[databases]
{name} = host=127.0.0.1 port={server} dbname={name} user={user} password='{password}'
[pgbouncer]
listen_addr = 127.0.0.1
listen_port = {port}
unix_socket_dir =
auth_type = any
pool_mode = {mode}
default_pool_size = {size}
logfile = {directory}/pgbouncer.log
"""


def program() -> str | None:
    """Return the path of the program; Debian puts it where only root looks."""
    return shutil.which("pgbouncer") or shutil.which("pgbouncer", path="/usr/sbin:/usr/local/sbin")


class PgBouncer:
    """One pooler for one database, with a given number of connections to the server."""

    def __init__(self, postgres: PostgresServer, name: str, *, mode: str = "transaction", size: int = 4) -> None:
        self._name = name
        self.port = free_port()
        self._directory = Path(tempfile.mkdtemp(prefix="gapless-pgbouncer-"))
        settings = self._directory / "pgbouncer.ini"
        settings.write_text(
            _SETTINGS.format(
                name=name,
                server=postgres.port,
                user=USER,
                password=PASSWORD,
                port=self.port,
                directory=self._directory,
                mode=mode,
                size=size,
            )
        )
        postgres.give(self._directory)
        command = [*postgres.as_user, str(program()), str(settings)]
        self._server = ServerProcess(command, self._directory / "out.log", cwd=self._directory)

    @property
    def url(self) -> str:
        """The database URL through the pooler."""
        return f"postgresql://{USER}:any@127.0.0.1:{self.port}/{self._name}"

    def start(self) -> None:
        """Start it and return when it answers."""
        self._server.start()
        wait_until(self._answers, what="PgBouncer to answer")

    def _answers(self) -> bool:
        assert self._server.running, f"PgBouncer ended:\n{self._server.tail()}"
        try:
            asyncio.run(self._ask())
        except OSError:
            return False
        return True

    async def _ask(self) -> None:
        connection = await asyncpg.connect(self.url, statement_cache_size=0, timeout=5.0)
        await connection.close()

    def dispose(self) -> None:
        """End it and remove its files."""
        self._server.kill()
        shutil.rmtree(self._directory, ignore_errors=True)
