"""`POST /api/restart`: only where a token is configured, and only for who knows it.

The token comes in a header of its own and never in a cookie, so no other site's page can have a browser send it.
"""

import asyncio
import hmac
import json
from typing import Any

import structlog
from aiohttp import web

from core import control
from core.config import Config
from core.control import ControlError, NotAnsweringError, NotRunningError, UnknownProcessError

TOKEN_HEADER = "X-Monitor-Token"  # noqa: S105 (its name, not the token)


class Restarting:
    """Asks the supervisor to restart a process."""

    def __init__(self, config: Config, log: structlog.stdlib.BoundLogger) -> None:
        self._token = config.monitor.token.encode()
        self._state_dir = config.supervisor.state_dir
        self._log = log

    async def restart(self, request: web.Request) -> web.Response:
        """Restart {"process": NAME}; 202 when the supervisor took it on."""
        if not self._token:
            return _refuse(403, "restarting over HTTP is off: set MONITOR_TOKEN in the environment and start again")
        # a header may hold any bytes, which aiohttp hands over as surrogates
        sent = request.headers.get(TOKEN_HEADER, "").encode(errors="surrogateescape")
        if not hmac.compare_digest(sent, self._token):
            self._log.warning("restart_refused", reason="wrong token", client=request.remote)
            return _refuse(403, f"wrong token: send the value of MONITOR_TOKEN in the header {TOKEN_HEADER}")
        name = await _process_named(request)
        if name is None:
            return _refuse(400, 'send a JSON object: {"process": "comments"}')
        try:
            await asyncio.to_thread(control.ask, self._state_dir, {"command": "restart", "process": name})
        except ControlError as error:
            return _refuse(_status(error), str(error))
        self._log.info("restart_asked", child=name, client=request.remote)
        return web.json_response({"ok": True, "process": name}, status=202)


async def _process_named(request: web.Request) -> str | None:
    try:
        document = json.loads(await request.read())
    except (ValueError, RecursionError, web.RequestPayloadError):
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
