"""HTTP of the control side: JSON bodies in and out, and errors that say what is valid."""

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web

Handler = Callable[[web.Request], Awaitable[web.StreamResponse]]


class BadRequestError(ValueError):
    """An invalid request to the control side; the message says what is valid."""


async def read_object(request: web.Request, *keys: str) -> dict[str, Any]:
    """Read the body: a JSON object with known keys only."""
    try:
        body = orjson.loads(await request.read() or b"{}")
    except orjson.JSONDecodeError as error:
        raise BadRequestError(f"the body is not JSON: {error}") from error
    if not isinstance(body, dict):
        raise BadRequestError("the body must be a JSON object")
    for key in body:
        if keys and key not in keys:
            raise BadRequestError(f"no such key: {key}; known are {', '.join(keys)}")
    return body


def number(body: dict[str, Any], name: str) -> float:
    """Return the number of that name, 0 or more."""
    value = body[name]
    if isinstance(value, bool) or not isinstance(value, int | float) or value < 0:
        raise BadRequestError(f"{name} = {value!r}: give a number, 0 or more")
    return float(value)


def json_answer(content: object, status: int = 200) -> web.Response:
    """Write an answer."""
    return web.Response(
        status=status,
        body=orjson.dumps(content, option=orjson.OPT_NON_STR_KEYS) + b"\n",
        content_type="application/json",
    )


def explain_errors(handler: Handler) -> Handler:
    """Answer an invalid request with 400 and the message of its error."""

    async def handle(request: web.Request) -> web.StreamResponse:
        try:
            return await handler(request)
        except BadRequestError as error:
            return json_answer({"error": str(error)}, status=400)

    return handle


def unknown_path(known: str) -> Handler:
    """Answer 404 with the names that exist."""

    async def handle(request: web.Request) -> web.StreamResponse:
        return json_answer(
            {"error": f"{request.method} {request.path}: no such path; under /_sim/ there are {known}"}, status=404
        )

    return handle
