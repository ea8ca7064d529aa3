"""The simulator's network server: receives requests, applies faults, and records which answers were fully written."""

import asyncio
import contextlib
import os
import signal
import ssl
from collections.abc import AsyncIterator, Callable
from typing import Any

from aiohttp import web

from simulator import altered, delivery
from simulator.answer import Answer, faulty_answer
from simulator.control import Control
from simulator.crawl.crawl_paths import CrawlRequest, limit_of, read
from simulator.express import Express
from simulator.faults import DrawnFaults, Endpoint, Fault
from simulator.reddit import endpoint
from simulator.rules import Received
from simulator.settings import Settings
from simulator.simulation import Simulation

_LARGEST_REQUEST = 64 * 1024 * 1024
_LONGEST_LINE = 256 * 1024
_TICK = 0.25
_FROZEN_TICK = 0.05
_PARENT_POLL_INTERVAL_S = 0.5


class Server:
    """One simulation behind one port."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._app = web.Application(client_max_size=_LARGEST_REQUEST)
        self._app.on_response_prepare.append(delivery.hide)
        Control(simulation).add_routes(self._app)
        self._app.router.add_route("*", "/{path:.*}", self._handle)

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Serve while the context is open; yield the address."""
        settings = self._simulation.settings
        runner = web.AppRunner(
            self._app, access_log=None, shutdown_timeout=0.0, handler_cancellation=True,
            max_line_size=_LONGEST_LINE, max_field_size=_LONGEST_LINE,
        )  # fmt: skip
        await runner.setup()
        web_server = runner.server
        assert web_server is not None  # noqa: S101 -- for the type checker: it was set up just now
        clockwork = asyncio.create_task(self._run_world())
        connections: set[Express] = set()
        tls = _tls(settings)
        try:
            server = await asyncio.get_running_loop().create_server(
                lambda: Express(self._simulation, web_server, connections),
                settings.host, settings.port, backlog=512, ssl=tls,
            )  # fmt: skip
            host, port = server.sockets[0].getsockname()[:2]
            yield f"{'https' if tls else 'http'}://{f'[{host}]' if ':' in host else host}:{port}"
            server.close()
        finally:
            clockwork.cancel()
            for connection in list(connections):
                connection.abort()
            await runner.cleanup()

    async def _run_world(self) -> None:
        """Advance the world without requests, so that a request never has to catch up for long."""
        while True:
            self._simulation.now()
            await asyncio.sleep(_TICK)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        simulation, place = self._simulation, endpoint(request.path)
        asked = read(request.path, request.query)
        now = simulation.now()
        headers = request.headers
        simulation.arrived(request.path, asked, headers.get("Authorization"), headers.get("User-Agent", ""), now)
        received, effects = None, {}
        if not simulation.rules.none:
            limit = limit_of(request.query.get("limit"))
            received = Received.read(place, request.path, request.raw_path, request.query, limit)
            effects = simulation.rules.for_request(received, now)
        drawn = simulation.faults.draw(place, now)
        latency = drawn.latency + altered.delay(effects, simulation.rules.dice)
        if asked is not None:
            latency += simulation.latencies.of(asked.address)
        if latency:
            await asyncio.sleep(latency)
        await self._thawed()
        if altered.replaces(effects) and effects.get("edge"):
            return await self._send_altered(request, Answer(), effects)
        fault = None if altered.replaces(effects) else drawn.fault
        answer = await self._answer(request, place, asked, fault)
        if fault is not None:
            simulation.traffic.spoiled(fault)
            return await self._carry_out(request, answer, drawn)
        if received is not None and simulation.rules.of_the_page() and answer.items:
            effects |= await self._effects_of_the_page(request, received, answer)
        if effects and (answer.status not in {401, 429} or not altered.replaces(effects)):
            return await self._send_altered(request, answer, effects)
        return await self._carry_out(request, answer, DrawnFaults())

    async def _thawed(self) -> None:
        """Wait while the server is frozen; the time may change meanwhile."""
        while self._simulation.frozen:  # noqa: ASYNC110 -- the end is a time, not an event
            await asyncio.sleep(_FROZEN_TICK)

    async def _effects_of_the_page(self, request: web.Request, received: Received, answer: Answer) -> dict[str, Any]:
        """Apply the rules that check the page; their delay comes after it was created."""
        simulation = self._simulation
        places = simulation.reddit.places(request.path, answer.items)
        effects = simulation.rules.for_page(received, answer, places, simulation.clock())
        await asyncio.sleep(altered.delay(effects, simulation.rules.dice))
        return effects

    async def _answer(
        self, request: web.Request, place: Endpoint, asked: CrawlRequest | None, fault: Fault | None
    ) -> Answer:
        """Choose the answer: Reddit's, or a fault's instead."""
        now = self._simulation.now()
        settings = self._simulation.faults.current(now)
        stand_in = faulty_answer(fault, settings, now) if fault else None
        if stand_in is not None and fault is not Fault.STATUS_429:
            return stand_in
        reddit, authorization = self._simulation.reddit, request.headers.get("Authorization")
        if place is Endpoint.TOKEN:
            form = await request.post()
            answer = reddit.token(authorization, str(form.get("grant_type", "")), now)
        else:
            fractional = settings["fractional_reset"] is True
            query = dict(request.query)
            if request.method == "POST":
                query |= {name: str(value) for name, value in (await request.post()).items()}
            answer = reddit.data(
                request.path, query, authorization, now,
                asked=asked, remote=request.remote or "", fractional_reset=fractional,
            )  # fmt: skip
        if stand_in is not None:
            return stand_in.with_headers(answer.headers) if answer.status == 200 else answer
        if fault is Fault.EMPTY_PAGE:
            return reddit.empty(answer)
        return answer.truncated() if fault is Fault.TRUNCATED_JSON else answer

    async def _carry_out(self, request: web.Request, answer: Answer, drawn: DrawnFaults) -> web.StreamResponse:
        traffic = self._simulation.traffic
        if drawn.fault is Fault.RESET:
            traffic.answered("reset")
            return await delivery.reset(request, answer if drawn.midway else None)
        if drawn.fault is Fault.HANG:
            traffic.answered("hang")
            response = await delivery.begin(request, answer) if drawn.midway else web.Response()
            seconds = self._simulation.faults.current(self._simulation.clock())["hang_seconds"]
            await asyncio.sleep(seconds if isinstance(seconds, int | float) else 0.0)
            delivery.abort(request)
            return response
        date = self._simulation.date_header()
        if date is not None:
            answer = answer.with_headers({"Date": date})
        outcome = "abandoned"
        try:
            response, whole = await delivery.send(request, answer)
            if whole:
                outcome = str(answer.status)
                self._simulation.written(answer)
        finally:
            traffic.answered(outcome)
        return response

    async def _send_altered(self, request: web.Request, answer: Answer, effects: dict[str, Any]) -> web.StreamResponse:
        """Send the answer after the rules have changed it."""
        simulation = self._simulation
        simulation.traffic.spoiled("rule")
        date = simulation.date_header()
        if date is not None:
            answer = answer.with_headers({"Date": date})
        arguments = (answer, effects, simulation.rules.dice, simulation.client_time())
        # compressing a bomb takes a while, and other requests must not wait for it
        bomb = effects.get("gzip")
        changed = await asyncio.to_thread(altered.alter, *arguments) if bomb else altered.alter(*arguments)
        manner = altered.manner(effects)
        outcome = "hang" if manner.hang is not None else "abandoned" if manner.cut is None else "cut"
        try:
            response, whole = await delivery.send_in(manner, request, changed)
            if whole:
                outcome = str(changed.status)
                simulation.written(changed)
        finally:
            simulation.traffic.answered(outcome)
        return response


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.tls_certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    return context


async def serve(simulation: Simulation, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM, SIGINT, or the death of the parent named in the settings."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, ended.set)
    async with Server(simulation).listening() as address:
        announce(address)
        watch = asyncio.create_task(_wait_for_parent(simulation.settings.parent, ended))
        await ended.wait()
        watch.cancel()


async def _wait_for_parent(parent: int | None, ended: asyncio.Event) -> None:
    """Set the event once the process `parent` has ended; without a parent to watch, return at once."""
    if parent is None:
        return
    ours = os.getppid() == parent
    # Our own parent id is compared, not signalled: a dead parent can remain as a zombie that still accepts signals.
    while os.getppid() == parent if ours else _exists(parent):  # noqa: ASYNC110 -- the kernel sets no event for us
        await asyncio.sleep(_PARENT_POLL_INTERVAL_S)
    ended.set()


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
