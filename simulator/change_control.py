"""The control side of changes and hidden items, under `/_sim/`."""

from collections.abc import Awaitable, Callable
from typing import Any

import orjson
from aiohttp import web

from simulator.change_log import Change
from simulator.changes import ChangeError, Op
from simulator.control_http import BadRequestError, json_answer, read_object
from simulator.hiding import HideError, listings_of
from simulator.item import Item
from simulator.simulation import Simulation

_CHUNK = 500


async def change(simulation: Simulation, request: web.Request) -> web.StreamResponse:
    """Change one item now; return the line of the truth."""
    body = await read_object(request, "op", "fullname", "by", "text", "score")
    if body.get("op") not in set(Op):
        raise BadRequestError(f"op = {body.get('op')!r}: give one of {', '.join(Op)}")
    now = simulation.now()
    try:
        made = _apply(simulation, Op(body["op"]), _item(simulation, body.get("fullname")), now, body)
    except ChangeError as error:
        raise BadRequestError(str(error)) from error
    return json_answer(made.truth())


async def truth(simulation: Simulation, request: web.Request) -> web.StreamResponse:
    """Return every change in order, one JSON object per line; `since`: only those after this number."""
    simulation.now()
    since = request.query.get("since", "0")
    if not since.isdecimal():
        raise BadRequestError(f"since = {since!r}: give the number of a change")
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)
    lines: list[bytes] = []
    for one in simulation.world.log.since(int(since)):
        lines.append(orjson.dumps(one.truth()) + b"\n")
        if len(lines) >= _CHUNK:
            await response.write(b"".join(lines))
            lines.clear()
    await response.write(b"".join(lines))
    await response.write_eof()
    return response


async def hide(simulation: Simulation, request: web.Request) -> web.StreamResponse:
    """Hide items by name, or by a rule; return the rules in force."""
    now, hiding = simulation.now(), simulation.hiding
    if request.method == "DELETE":
        hiding.clear()
    elif request.method == "POST":
        body = await read_object(request)
        try:
            if "fullnames" in body:
                _hide_by_name(simulation, body, now)
            else:
                hiding.add(body, now)
        except HideError as error:
            raise BadRequestError(str(error)) from error
    return json_answer({"rules": [rule.as_json() for rule in hiding.rules]})


def _hide_by_name(simulation: Simulation, body: dict[str, Any], now: float) -> None:
    names = body["fullnames"]
    if not isinstance(names, list) or set(body) - {"fullnames", "listings"}:
        raise BadRequestError('give {"fullnames": […], "listings": "combined", "own" or "all"}')
    listings = listings_of(body)
    for item in [_item(simulation, name) for name in names]:
        simulation.world.hide(item, listings, now)


def _apply(simulation: Simulation, op: Op, item: Item, now: float, body: dict[str, Any]) -> Change:
    changes = simulation.changes
    match op:
        case Op.EDIT:
            text = body.get("text")
            if not isinstance(text, str):
                raise BadRequestError("text: give the new text")
            return changes.edit(item, now, text)
        case Op.SCORE:
            score = body.get("score")
            if isinstance(score, bool) or not isinstance(score, int):
                raise BadRequestError("score: give a whole number")
            return changes.score(item, now, score)
        case Op.REMOVE:
            return changes.remove(item, now, str(body.get("by", "moderator")))
        case Op.DELETE:
            return changes.delete(item, now)
        case Op.DELETE_ACCOUNT:
            return changes.delete_account(item, now)
        case Op.RESTORE:
            return changes.restore(item, now)
        case Op.VANISH:
            return changes.vanish(item, now)


def _item(simulation: Simulation, fullname: object) -> Item:
    item = simulation.world.items.get(str(fullname))
    if item is None:
        raise BadRequestError(f"{fullname}: no such item")
    return item


#: method and name under /_sim/, and the handler
ROUTES: dict[tuple[str, str], Callable[[Simulation, web.Request], Awaitable[web.StreamResponse]]] = {
    ("POST", "change"): change,
    ("GET", "truth/changes"): truth,
    ("GET", "hide"): hide,
    ("POST", "hide"): hide,
    ("DELETE", "hide"): hide,
}
