"""`POST /api/restart`: enabled by a configured token, which the client must send.

The token comes in a header and never in a cookie, so another site's page cannot make a browser send it.
"""

import asyncio
import hmac
import json
import math
import time
from typing import Any

import structlog
from aiohttp import web

from core import control_client
from core.config.slices import MonitorConfig
from core.control_client import ControlError, NotAnsweringError, NotRunningError, UnknownProcessError
from supervisor.monitor.web.connection_limits import origin_of
from supervisor.monitor.web.counted_log import ThrottledCountLog
from supervisor.monitor.web.token_throttle import TokenThrottle

TOKEN_HEADER = "X-Monitor-Token"  # noqa: S105 (its name, not the token)

#: Seconds to receive the small body.
_BODY_TIMEOUT_S = 5.0

#: The answer to an early try is delayed for at most this time (seconds), for at most this many clients at once.
_MAX_DELAY_S = 1.0
_MAX_DELAYED = 16


class RestartHandler:
    """Sends the supervisor a request to restart a process."""

    def __init__(self, config: MonitorConfig, log: structlog.stdlib.BoundLogger) -> None:
        self._token = config.token.encode()
        self._state_dir = config.state_dir
        self._log = log
        self._throttle = TokenThrottle()
        self._delayed = 0
        hint = "clients send wrong tokens; their next requests are delayed"
        self.refused = ThrottledCountLog(log, "restart_refused", hint)

    async def restart(self, request: web.Request) -> web.Response:
        """Restart {"process": NAME}; 202 when the supervisor accepted it."""
        if not self._token:
            return _refuse(
                403, "restart over HTTP is disabled: set MONITOR_TOKEN in the environment and start Gapless again"
            )
        origin = origin_of((request.remote,))
        early = self._throttle.wait(origin, time.monotonic())
        if early > 0:
            return await self._refuse_early(origin, early)
        # a header may hold any bytes; aiohttp passes them as surrogates
        sent = request.headers.get(TOKEN_HEADER, "").encode(errors="surrogateescape")
        if not hmac.compare_digest(sent, self._token):
            self._throttle.failed(origin, time.monotonic())
            self.refused.add("wrong token", origin)
            return _refuse(403, f"wrong token: send the value of MONITOR_TOKEN in the header {TOKEN_HEADER}")
        self._throttle.succeeded(origin)
        name = await _process_named(request)
        if name is None:
            return _refuse(400, 'send a JSON object: {"process": "comments"}')
        try:
            await asyncio.to_thread(control_client.ask, self._state_dir, {"command": "restart", "process": name})
        except ControlError as error:
            return _refuse(_status(error), str(error))
        self._log.info("restart_asked", child=name, client=request.remote)
        return web.json_response({"ok": True, "process": name}, status=202)

    async def _refuse_early(self, origin: str, seconds: float) -> web.Response:
        """Refuse a try after a delay, without checking its token: it slows down repeated tries."""
        self.refused.add("too early", origin)
        if self._delayed < _MAX_DELAYED:
            self._delayed += 1
            try:
                await asyncio.sleep(min(seconds, _MAX_DELAY_S))
            finally:
                self._delayed -= 1
        answer = _refuse(429, f"too many wrong tokens: try again in {seconds:.0f} s")
        answer.headers["Retry-After"] = str(math.ceil(seconds))
        return answer


async def _process_named(request: web.Request) -> str | None:
    try:
        async with asyncio.timeout(_BODY_TIMEOUT_S):
            body = await request.read()
    except (TimeoutError, ConnectionError, RuntimeError, web.RequestPayloadError):  # RuntimeError: it is closed
        return None
    try:
        document = json.loads(body)
    except (ValueError, RecursionError):
        return None
    name: Any = document.get("process") if isinstance(document, dict) else None
    return name if isinstance(name, str) and name else None


def _status(error: ControlError) -> int:
    match error:
        case UnknownProcessError():
            return 404
        case NotRunningError() | NotAnsweringError():
            return 503
        case _:
            return 409


def _refuse(status: int, reason: str) -> web.Response:
    return web.json_response({"ok": False, "error": reason}, status=status)
