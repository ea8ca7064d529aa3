"""The HTTP routes of the monitor."""

import time
from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path

import orjson
import structlog
from aiohttp import web

from core.config.slices import MonitorConfig
from supervisor.monitor.metrics.exposition import CONTENT_TYPE, counters_only, readiness_exposition
from supervisor.monitor.snapshot.page_view import readiness_json
from supervisor.monitor.snapshot.sampler import Sampler, run_detached
from supervisor.monitor.snapshot.snapshot_builder import Snapshot
from supervisor.monitor.web.connection_limits import DROP_REASONS
from supervisor.monitor.web.event_stream import EventSubscribers
from supervisor.monitor.web.listener import EVENTS_PATH, Listener
from supervisor.monitor.web.page_guard import add_headers, check_host
from supervisor.monitor.web.restart_request import RestartHandler

_MAX_REQUEST_SIZE = 4096

_FILES = Path(__file__).with_name("static")
_TYPES = {".html": "text/html", ".css": "text/css", ".js": "text/javascript", ".svg": "image/svg+xml"}

#: Metrics of the monitor itself, at the moment of the request.
_OWN_METRICS = """\
# HELP monitor_snapshot_age_seconds Age of the sample that all other metrics come from, in seconds
# TYPE monitor_snapshot_age_seconds gauge
monitor_snapshot_age_seconds {age}
# HELP monitor_look_failures_total Samples of the monitor that failed, over all its restarts
# TYPE monitor_look_failures_total counter
monitor_look_failures_total {failures}
# HELP monitor_listeners Clients that are connected to /api/events
# TYPE monitor_listeners gauge
monitor_listeners {listeners}
"""

#: Metrics of the monitor's clients.
_CLIENT_METRICS = """\
# HELP monitor_connections Open connections to the monitor
# TYPE monitor_connections gauge
monitor_connections {connections}
# HELP monitor_connections_dropped_total Connections that the monitor closed, by reason
# TYPE monitor_connections_dropped_total counter
{dropped}# HELP monitor_wrong_tokens_total Requests with a wrong token, or too early after one
# TYPE monitor_wrong_tokens_total counter
monitor_wrong_tokens_total {wrong_tokens}
"""

_DROPPED = "connections dropped"
_WRONG_TOKENS = ("wrong tokens",)

#: Logs pending counts; called about once a second.
FLUSH: web.AppKey[Callable[[], None]] = web.AppKey("flush", Callable[[], None])  # type: ignore[arg-type]


def client_metrics(connections: int, dropped: Mapping[str, int], wrong_tokens: int) -> str:
    """Format the number of connections and the refusals by reason."""
    name = "monitor_connections_dropped_total"
    lines = "".join(f'{name}{{reason="{reason}"}} {count}\n' for reason, count in dropped.items())
    return _CLIENT_METRICS.format(connections=connections, dropped=lines, wrong_tokens=wrong_tokens)


class Handlers:
    """Answers from the latest snapshot; a request reads nothing."""

    def __init__(
        self, sampler: Sampler, subscribers: EventSubscribers, listener: Listener, restart_handler: RestartHandler
    ) -> None:
        self._sampler = sampler
        self._subscribers = subscribers
        self._listener = listener
        self._restart_handler = restart_handler
        self._source = str(time.time())  # counters of this process started at zero

    async def healthz(self, _request: web.Request) -> web.Response:
        """Answer that this process works."""
        return web.Response(text="ok\n")

    async def readyz(self, _request: web.Request) -> web.Response:
        """Answer whether everything configured works; if not, what is wrong and since when."""
        readiness = self._sampler.readiness()
        document = readiness_json(readiness, self._sampler.builder.mask)
        body = orjson.dumps(document, option=orjson.OPT_INDENT_2) + b"\n"
        return web.Response(status=200 if readiness.ready else 503, body=body, content_type="application/json")

    async def metrics(self, _request: web.Request) -> web.Response:
        """Answer with all metrics in Prometheus' text format; a sample that is too old gives only counters."""
        sampler = self._sampler
        own = _OWN_METRICS.format(
            age=round(sampler.age(), 3),
            failures=sampler.failures,
            listeners=self._subscribers.clients,
        )
        own += self._clients()
        sampled = sampler.latest.metrics if sampler.latest else b""
        if sampler.is_late:
            sampled = counters_only(sampled)
        body = readiness_exposition(sampler.readiness()) + sampled + own.encode()
        return web.Response(body=body, headers={"Content-Type": CONTENT_TYPE})

    def _clients(self) -> str:
        counters = self._sampler.builder.counters
        totals = self._listener.dropped.totals
        counts = {reason: counters.follow((_DROPPED, reason), totals[reason], self._source) for reason in DROP_REASONS}
        wrong = counters.follow(_WRONG_TOKENS, self._restart_handler.refused.totals.total(), self._source)
        return client_metrics(len(self._listener.connections), counts, wrong)

    async def status(self, _request: web.Request) -> web.Response:
        """Answer with the output of `status --json`."""
        return web.Response(body=self._snapshot().status, content_type="application/json")

    async def subreddits(self, request: web.Request) -> web.Response:
        """Answer with the worst subreddits, or with those whose name contains `search`."""
        text = request.query.get("search", "")
        body = await run_detached(partial(self._snapshot().subreddits, text))
        return web.Response(body=body, content_type="application/json")

    def _snapshot(self) -> Snapshot:
        latest = self._sampler.latest
        if latest is None:
            raise web.HTTPServiceUnavailable(text="The first sample is not complete yet: try again in a second.\n")
        return latest


class PageFiles:
    """Serves the page at `/` and its files below `/static/`; they are read once."""

    def __init__(self) -> None:
        self._files = {path.name: path.read_bytes() for path in _FILES.iterdir() if path.suffix in _TYPES}

    async def index(self, _request: web.Request) -> web.Response:
        """Answer with the page itself."""
        return self._answer("index.html")

    async def file(self, request: web.Request) -> web.Response:
        """Answer with one of its files; no other path exists."""
        name = request.match_info["name"]
        if name not in self._files:
            raise web.HTTPNotFound(text="There is no such file.\n")
        return self._answer(name)

    def _answer(self, name: str) -> web.Response:
        kind = _TYPES[Path(name).suffix]
        return web.Response(body=self._files[name], content_type=kind, charset="utf-8")


def make_app(
    config: MonitorConfig,
    sampler: Sampler,
    subscribers: EventSubscribers,
    log: structlog.stdlib.BoundLogger,
    listener: Listener | None = None,
) -> web.Application:
    """Build the application with its routes."""
    listener = listener or Listener(log)
    restart_handler = RestartHandler(config, log)
    middlewares = [listener.middleware(), check_host(config.host)]
    app = web.Application(middlewares=middlewares, client_max_size=_MAX_REQUEST_SIZE)

    def flush() -> None:
        listener.dropped.flush()
        restart_handler.refused.flush()

    app[FLUSH] = flush
    app.on_response_prepare.append(add_headers)
    handlers, pages = Handlers(sampler, subscribers, listener, restart_handler), PageFiles()
    app.router.add_get("/", pages.index)
    app.router.add_get("/static/{name}", pages.file)
    app.router.add_get("/healthz", handlers.healthz)
    app.router.add_get("/readyz", handlers.readyz)
    app.router.add_get("/metrics", handlers.metrics)
    app.router.add_get("/api/status", handlers.status)
    app.router.add_get("/api/subreddits", handlers.subreddits)
    app.router.add_get(EVENTS_PATH, subscribers.serve, allow_head=False)
    app.router.add_post("/api/restart", restart_handler.restart)
    return app
