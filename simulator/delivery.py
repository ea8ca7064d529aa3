"""Sends an answer to the client: complete, slowly, in part, or not at all."""

import asyncio
import socket
import struct

from aiohttp import web

from simulator.altered import Manner
from simulator.answer import Answer

_WRITE_PAUSE = 0.005
_DRIP_PAUSE = 0.05
_PIECE = 1 << 16
_LINGER_NOT = struct.pack("ii", 1, 0)
_HIDDEN: web.RequestKey[frozenset[str]] = web.RequestKey("hidden", frozenset)


async def hide(request: web.Request, response: web.StreamResponse) -> None:
    """Remove the headers that the request's rules hide, after the web server has added its own."""
    for name in request.get(_HIDDEN, ()):
        response.headers.popall(name, None)


async def send(request: web.Request, answer: Answer) -> tuple[web.StreamResponse, bool]:
    """Write the whole answer; return whether its last byte was sent to the client."""
    response = web.Response(status=answer.status, body=answer.body, headers=_headers(answer))
    await response.prepare(request)
    await response.write_eof()
    return response, await _drained(request)


async def send_in(manner: Manner, request: web.Request, answer: Answer) -> tuple[web.StreamResponse, bool]:
    """Write the answer in the manner that rules require; return whether the client has all of it."""
    if manner.hang is not None:
        await asyncio.sleep(manner.hang)
        abort(request)
        return web.Response(), False
    request[_HIDDEN] = manner.hidden
    response = web.StreamResponse(status=answer.status, headers=_headers(answer))
    response.headers.setdefault("Content-Length", str(len(answer.body)))
    for name, values in manner.several.items():
        for value in values:
            response.headers.add(name, value)
    await response.prepare(request)
    end = len(answer.body) if manner.cut is None else int(len(answer.body) * manner.cut)
    await _pour(request, response, memoryview(answer.body)[:end], manner.drip)
    if manner.cut is not None:
        await _drained(request)
        if request.transport is not None:
            request.transport.close()
        return response, False
    await response.write_eof()
    return response, await _drained(request)


async def begin(request: web.Request, answer: Answer) -> web.StreamResponse:
    """Write the head of the answer and half of its body, but announce all of it."""
    length = {"Content-Length": str(max(len(answer.body), 2))}
    response = web.StreamResponse(status=answer.status, headers=_headers(answer) | length)
    await response.prepare(request)
    await response.write(answer.body[: len(answer.body) // 2] or b"{")
    return response


async def reset(request: web.Request, answer: Answer | None) -> web.StreamResponse:
    """Reset the connection: in the middle of an answer, or instead of one."""
    response = await begin(request, answer) if answer else web.Response()
    abort(request)
    return response


def abort(request: web.Request) -> None:
    """Close the connection at once, with a reset."""
    transport = request.transport
    if transport is None:
        return
    connection = transport.get_extra_info("socket")
    if connection is not None:
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _LINGER_NOT)
    transport.abort()


async def _pour(request: web.Request, response: web.StreamResponse, body: memoryview, drip: float | None) -> None:
    """Write the body in pieces, at `drip` bytes per second if given, while the client is connected."""
    piece = _PIECE if drip is None else max(1, int(drip * _DRIP_PAUSE))
    pause = 0.0 if drip is None else piece / drip
    for start in range(0, len(body), piece):
        if request.transport is None or request.transport.is_closing():
            return
        await response.write(bytes(body[start : start + piece]))
        if pause:
            await asyncio.sleep(pause)


async def _drained(request: web.Request) -> bool:
    transport = request.transport
    while transport is not None and not transport.is_closing():
        if not transport.get_write_buffer_size():
            return True
        await asyncio.sleep(_WRITE_PAUSE)
        transport = request.transport
    return False


def _headers(answer: Answer) -> dict[str, str]:
    return {"Server": "snooserv", "Content-Type": answer.content_type, **answer.headers}
