"""The simulator on the network: takes requests, spoils some answers, and notes which were written whole."""

import asyncio
import contextlib
import signal
import socket
import ssl
import struct
from collections.abc import AsyncIterator, Callable

from aiohttp import web

from simulator.answer import Answer, spoiled
from simulator.control import Control
from simulator.crawl.address import Asked, read
from simulator.express import Express
from simulator.faults import Endpoint, Fault, Verdict
from simulator.parent import gone
from simulator.reddit import endpoint
from simulator.settings import Settings
from simulator.simulation import Simulation

_LARGEST_REQUEST = 64 * 1024 * 1024
_TICK = 0.25
_WRITE_PAUSE = 0.005
_LINGER_NOT = struct.pack("ii", 1, 0)


class Server:
    """One simulation behind one port."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation
        self._app = web.Application(client_max_size=_LARGEST_REQUEST)
        Control(simulation).add_routes(self._app)
        self._app.router.add_route("*", "/{path:.*}", self._handle)

    @contextlib.asynccontextmanager
    async def listening(self) -> AsyncIterator[str]:
        """Serve for as long as the context lasts; yields the address."""
        settings = self._simulation.settings
        runner = web.AppRunner(self._app, access_log=None, shutdown_timeout=0.0, handler_cancellation=True)
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
        """Move the world on when nobody asks, so that a request never has to make up for long."""
        while True:
            self._simulation.now()
            await asyncio.sleep(_TICK)

    async def _handle(self, request: web.Request) -> web.StreamResponse:
        simulation, place = self._simulation, endpoint(request.path)
        asked = read(request.path, request.query)
        now = simulation.now()
        headers = request.headers
        simulation.arrived(request.path, asked, headers.get("Authorization"), headers.get("User-Agent", ""), now)
        verdict = simulation.faults.judge(place, now)
        latency = verdict.latency
        if asked is not None:
            latency += simulation.latencies.of(asked.address)
        if latency:
            await asyncio.sleep(latency)
        answer = await self._answer(request, place, asked, verdict.fault)
        if verdict.fault is not None:
            simulation.traffic.spoiled(verdict.fault)
        return await self._carry_out(request, answer, verdict)

    async def _answer(self, request: web.Request, place: Endpoint, asked: Asked | None, fault: Fault | None) -> Answer:
        """Decide what to say: Reddit's answer, or a fault's in its stead."""
        now = self._simulation.now()
        settings = self._simulation.faults.current(now)
        stand_in = spoiled(fault, settings, now) if fault else None
        if stand_in is not None and fault is not Fault.STATUS_429:
            return stand_in
        reddit, authorization = self._simulation.reddit, request.headers.get("Authorization")
        if place is Endpoint.TOKEN:
            form = await request.post()
            answer = reddit.token(authorization, str(form.get("grant_type", "")), now)
        else:
            fractional = settings["fractional_reset"] is True
            answer = reddit.data(
                request.path, request.query, authorization, now,
                asked=asked, remote=request.remote or "", fractional_reset=fractional,
            )  # fmt: skip
        if stand_in is not None:
            return stand_in.with_headers(answer.headers) if answer.status == 200 else answer
        if fault is Fault.EMPTY_PAGE:
            return reddit.empty(answer)
        return answer.truncated() if fault is Fault.TRUNCATED_JSON else answer

    async def _carry_out(self, request: web.Request, answer: Answer, verdict: Verdict) -> web.StreamResponse:
        traffic = self._simulation.traffic
        if verdict.fault is Fault.RESET:
            traffic.answered("reset")
            return await _cut(request, answer if verdict.midway else None)
        if verdict.fault is Fault.HANG:
            traffic.answered("hang")
            response = await _begin(request, answer) if verdict.midway else web.Response()
            seconds = self._simulation.faults.current(self._simulation.clock())["hang_seconds"]
            await asyncio.sleep(seconds if isinstance(seconds, int | float) else 0.0)
            _abort(request)
            return response
        outcome = "abandoned"
        try:
            response = web.Response(status=answer.status, body=answer.body, headers=_headers(answer))
            if await _write(request, response):
                outcome = str(answer.status)
                self._simulation.written(answer)
        finally:
            traffic.answered(outcome)
        return response


def _tls(settings: Settings) -> ssl.SSLContext | None:
    if settings.tls_certificate is None:
        return None
    context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
    context.load_cert_chain(settings.tls_certificate, settings.tls_key)
    return context


async def _write(request: web.Request, response: web.Response) -> bool:
    """Write the whole answer; say whether its last byte has left for the client."""
    await response.prepare(request)
    await response.write_eof()
    transport = request.transport
    while transport is not None and not transport.is_closing():
        if not transport.get_write_buffer_size():
            return True
        await asyncio.sleep(_WRITE_PAUSE)
        transport = request.transport
    return False


def _headers(answer: Answer) -> dict[str, str]:
    return {"Server": "snooserv", "Content-Type": answer.content_type, **answer.headers}


async def _begin(request: web.Request, answer: Answer) -> web.StreamResponse:
    """Write the head of the answer and half of its body, promising all of it."""
    length = {"Content-Length": str(max(len(answer.body), 2))}
    response = web.StreamResponse(status=answer.status, headers=_headers(answer) | length)
    await response.prepare(request)
    await response.write(answer.body[: len(answer.body) // 2] or b"{")
    return response


async def _cut(request: web.Request, answer: Answer | None) -> web.StreamResponse:
    """Reset the connection: in the middle of an answer, or instead of one."""
    response = await _begin(request, answer) if answer else web.Response()
    _abort(request)
    return response


def _abort(request: web.Request) -> None:
    transport = request.transport
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    transport.abort()


async def serve(simulation: Simulation, announce: Callable[[str], None]) -> None:
    """Serve until SIGTERM, SIGINT, or the death of the parent that the settings name."""
    ended = asyncio.Event()
    loop = asyncio.get_running_loop()
    for signum in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(signum, ended.set)
    async with Server(simulation).listening() as address:
        announce(address)
        watch = asyncio.create_task(gone(simulation.settings.parent, ended))
        await ended.wait()
        watch.cancel()
