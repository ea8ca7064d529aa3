"""Bodies of control requests: JSON is read with an explanation of errors, and written."""

from typing import Any

import orjson
from aiohttp import web


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
