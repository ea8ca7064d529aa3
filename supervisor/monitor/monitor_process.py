"""The monitor process: samples and serves until a stop is requested."""

import asyncio
import os
import random
import sys
import time
from collections.abc import Callable

import structlog
import uvloop
from aiohttp import web

from core.backoff import Backoff
from core.child import ChildContext
from core.config.slices import MonitorConfig
from supervisor.monitor.sampling.monotonic_counters import CounterFile
from supervisor.monitor.sampling.proof_copies import ProofCopies
from supervisor.monitor.snapshot.sampler import Sampler
from supervisor.monitor.web.event_stream import EventSubscribers
from supervisor.monitor.web.listen_address import Address, address_path, listen_hint, wanted_ports, write_address
from supervisor.monitor.web.listener import Listener, ServerErrorLog
from supervisor.monitor.web.routes import FLUSH, make_app

_ADDRESS_CHECK_INTERVAL_S = 2.0  # checks that the file with the address still exists
_HEARTBEAT_INTERVAL_S = 1.0  # each heartbeat wakes the supervisor: most of its CPU time when idle

#: Pauses before a port in use is tried again, the first and the longest, seconds.
_LISTEN_BACKOFF = Backoff(first=1.0, longest=15.0)

#: Switch interval of the interpreter, seconds: the sampling thread yields to a request after it.
_SWITCH_INTERVAL_S = 0.001

#: Seconds that open connections have at a stop to read their answers.
_SHUTDOWN_TIMEOUT_S = 0.5

#: Seconds that a connection is kept for another request, and that an unread body is drained.
_KEEP_ALIVE_S = 75.0
_LINGER_S = 2.0


def run(context: ChildContext, config: MonitorConfig) -> None:
    """Serve the page, the metrics and the health checks until a stop is requested."""
    sys.setswitchinterval(_SWITCH_INTERVAL_S)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(serve(context, config))


async def serve(context: ChildContext, config: MonitorConfig) -> None:
    """Serve in a running event loop."""
    loop, stop = asyncio.get_running_loop(), asyncio.Event()

    def request_stop() -> None:
        loop.call_soon_threadsafe(stop.set)

    context.on_stop(request_stop)
    subscribers = EventSubscribers(context.log)
    counter_file = CounterFile(config.state_dir, context.log)
    proofs = ProofCopies(config.state_dir, context.log)
    sampler = Sampler(config, context.log, subscribers.publish, counter_file=counter_file, proofs=proofs)
    listener = Listener(context.log)
    app = make_app(config, sampler, subscribers, context.log, listener)
    runner = web.AppRunner(
        app,
        access_log=None,
        shutdown_timeout=_SHUTDOWN_TIMEOUT_S,
        handle_signals=False,
        keepalive_timeout=_KEEP_ALIVE_S,
        lingering_time=_LINGER_S,
        logger=ServerErrorLog(listener.dropped),
    )
    await runner.setup()
    tasks = [asyncio.create_task(_beat(context, app[FLUSH]))]
    try:
        await sampler.once()
        tasks.append(asyncio.create_task(sampler.run()))
        address = await _listen(context, config, runner, listener, stop)
        if address is not None:
            tasks.append(asyncio.create_task(_keep_address(config, address, context.log)))
        await stop.wait()
    finally:
        for task in tasks:
            task.cancel()
        proofs.keep(time.time(), at_once=True)
        subscribers.close()
        listener.close()
        await runner.cleanup()


async def _listen(
    context: ChildContext, config: MonitorConfig, runner: web.AppRunner, listener: Listener, stop: asyncio.Event
) -> Address | None:
    """Open the port; wait while it is in use, since a restart would not free it. None: a stop was requested."""
    failures = 0
    while not stop.is_set():
        try:
            address = await _bind(config, runner, listener)
        except OSError as error:
            failures += 1
            seconds = _LISTEN_BACKOFF.pause(failures, random.random)
            hint = listen_hint(error, config.host, config.port)
            context.log.error(  # noqa: TRY400 (a port in use needs no traceback)
                "monitor_cannot_listen", port=config.port, error=str(error), hint=hint, retry_in_s=round(seconds, 1)
            )
            context.ready()  # alive and waiting: a restart would not help
            await _pause(stop, seconds)
        else:
            context.log.info("monitor_listens", url=address.url, host=address.host, port=address.port)
            _record_address(config, address, context.log)
            context.ready()
            return address
    return None


async def _bind(config: MonitorConfig, runner: web.AppRunner, listener: Listener) -> Address:
    """Listen on the first free port. Raises OSError when there is none."""
    host = config.host
    assert runner.server is not None  # noqa: S101 - the runner is set up
    ports = wanted_ports(config.state_dir, host, config.port)
    for port in ports:
        try:
            await listener.listen(runner.server, host, port)
        except OSError:
            if port == ports[-1]:
                raise
        else:
            return Address(host, port, os.getpid())
    raise AssertionError("unreachable")


def _record_address(config: MonitorConfig, address: Address, log: structlog.stdlib.BoundLogger) -> None:
    try:
        write_address(config.state_dir, address)
    except OSError as error:
        log.warning("address_not_written", error=str(error), hint="other commands cannot print the address of the page")


async def _keep_address(config: MonitorConfig, address: Address, log: structlog.stdlib.BoundLogger) -> None:
    """Write the file again when it or its directory was removed."""
    while True:
        await asyncio.sleep(_ADDRESS_CHECK_INTERVAL_S)
        if not address_path(config.state_dir).exists() and config.state_dir.is_dir():
            _record_address(config, address, log)


async def _pause(stop: asyncio.Event, seconds: float) -> None:
    try:
        async with asyncio.timeout(seconds):
            await stop.wait()
    except TimeoutError:
        return


async def _beat(context: ChildContext, flush: Callable[[], None]) -> None:
    while True:
        context.beat()
        flush()
        await asyncio.sleep(_HEARTBEAT_INTERVAL_S)
