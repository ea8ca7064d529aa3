"""Latency of `/metrics` and `/api/status` under load, against a bare aiohttp server that sends the same bytes.

The load is open: a request leaves at its planned time, whatever happened before, and its latency counts from that
time. So a server that stalls for a second is charged for every request of that second.
"""

import asyncio
import sys
import tempfile
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from urllib.request import urlopen

import aiohttp
import uvloop

from bench.figure import Figure, at_most, percentile
from bench.supervision.whole import Whole
from tests.support.server import ServerProcess
from tests.support.simulator import ROOT
from tests.support.waiting import wait_until

PATHS = ("/metrics", "/api/status")
_PER_SECOND = 50.0  #: of each path, both at once
_SECONDS = 20.0
_LIMIT = 20.0  # ms
_PATIENCE = 10.0


@dataclass(slots=True)
class Times:
    """The results of one load."""

    seconds: dict[str, list[float]] = field(default_factory=lambda: {path: [] for path in PATHS})
    failed: int = 0

    def figure(self, path: str, share: float) -> float:
        """Return a percentile in milliseconds."""
        return percentile(self.seconds[path], share) * 1000


def measure(system: Whole) -> list[Figure]:
    ours = _load(system.address)
    bodies = {path: urlopen(f"{system.address}{path}", timeout=_PATIENCE).read() for path in PATHS}
    theirs = _load_bare(bodies)
    figures = []
    for path in PATHS:
        what = f"{path}, {len(bodies[path]):,} bytes, {_PER_SECOND:g} a second"
        for share in (0.50, 0.99):
            bare = f"baseline, bare aiohttp: {theirs.figure(path, share):.1f}"
            text, value = f"{what}, p{share * 100:.0f} ({bare})", ours.figure(path, share)
            figures.append(
                at_most(text, value, _LIMIT, "ms", digits=1) if share > 0.5 else Figure(text, value, "ms", digits=1)
            )
    return [*figures, at_most("requests of these without an answer of 200", ours.failed, 0)]


def _load_bare(bodies: Mapping[str, bytes]) -> Times:
    with tempfile.TemporaryDirectory(prefix="gapless-bench-") as name:
        directory = Path(name)
        for path, body in bodies.items():
            (directory / Path(path).name).write_bytes(body)
        command = [sys.executable, "-m", "bench.supervision.bare_server", name, *PATHS]
        server = ServerProcess(command, directory / "out", cwd=ROOT)
        server.start()
        try:
            wait_until(lambda: server.output.read_text().endswith("\n"), 20.0, "the bare server's address")
            return _load(server.output.read_text().strip())
        finally:
            server.kill()


def _load(address: str) -> Times:
    return uvloop.run(_ask_all(address))


async def _ask_all(address: str) -> Times:
    times, total = Times(), int(_SECONDS * _PER_SECOND)
    timeout = aiohttp.ClientTimeout(total=_PATIENCE)
    connector = aiohttp.TCPConnector(limit=0)
    async with aiohttp.ClientSession(connector=connector, timeout=timeout) as session, asyncio.TaskGroup() as group:
        began = time.monotonic() + 0.5
        for number in range(total):
            for place, path in enumerate(PATHS):
                planned = began + (number + place / len(PATHS)) / _PER_SECOND
                await asyncio.sleep(planned - time.monotonic())
                group.create_task(_ask(session, address, path, planned, times))
    return times


async def _ask(session: aiohttp.ClientSession, address: str, path: str, planned: float, times: Times) -> None:
    try:
        async with session.get(f"{address}{path}") as answer:
            await answer.read()
            times.failed += answer.status != 200
    except (aiohttp.ClientError, TimeoutError):
        times.failed += 1
    times.seconds[path].append(time.monotonic() - planned)  # one that failed took as long as we waited
