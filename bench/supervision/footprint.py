"""Memory of the whole process tree, against interpreters that only import the same libraries."""

import contextlib
import os
import sys
from collections.abc import Iterator, Mapping

import psutil

from bench.figure import Figure, at_most, pss_mib
from bench.supervision.whole import ENTRIES, Whole
from tests.support.server import ServerProcess
from tests.support.waiting import wait_until

_LIMIT = 256
#: The libraries that each process requires.
_LIBRARIES = {
    "submissions": "praw, orjson, sqlite3, structlog",
    "comments": "praw, orjson, sqlite3, structlog",
    "publisher": "confluent_kafka, orjson, sqlite3, structlog",
    "scraper-direct": "aiohttp, uvloop, sqlalchemy, msgspec, orjson, structlog",
    "monitor": "aiohttp.web, uvloop, prometheus_client, orjson, sqlite3, structlog",
    "supervisor": "multiprocessing.connection, structlog",
}


def measure(system: Whole) -> list[Figure]:
    names = {system.pid(name): name for name in ENTRIES}
    top = psutil.Process(system.system.server.pid)
    names[top.pid] = "supervisor"
    tree = [top, *top.children(recursive=True)]  # multiprocessing's resource tracker too
    sizes = {names.get(one.pid, "resource tracker"): pss_mib(one.pid) for one in tree}
    with _interpreters(system) as pids:
        bare = {name: pss_mib(pid) for name, pid in pids.items()}
    return [
        *(Figure(f"PSS of {name} ({_alone(bare, name)})", size, "MiB") for name, size in sizes.items()),
        Figure(f"baseline: {len(bare)} interpreters with the libraries alone", sum(bare.values()), "MiB"),
        at_most("PSS of the whole tree, after a minute of load", sum(sizes.values()), _LIMIT, "MiB"),
    ]


def _alone(bare: Mapping[str, float], name: str) -> str:
    return f"its libraries alone: {bare[name]:.0f}" if name in bare else "multiprocessing's own"


@contextlib.contextmanager
def _interpreters(system: Whole) -> Iterator[dict[str, int]]:
    """Run them all at once, so that shared pages count as shared."""
    code = "import {}; print('there', flush=True); import time; time.sleep(3600)"
    environment = {**os.environ, "PYTHONPATH": system.path}
    servers = {
        name: ServerProcess(
            [sys.executable, "-c", code.format(libraries)], system.directory / f"bare-{name}.out", env=environment
        )
        for name, libraries in _LIBRARIES.items()
    }
    try:
        for server in servers.values():
            server.start()
        for name, server in servers.items():
            wait_until(lambda server=server: server.output.read_text(), 30.0, f"the libraries of {name}")  # type: ignore[misc]
        yield {name: server.pid for name, server in servers.items()}
    finally:
        for server in servers.values():
            server.kill()
