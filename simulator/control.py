"""The simulator's control side, under `/_sim/`: the truth, the faults, and changes to the world."""

from collections.abc import AsyncIterator, Awaitable, Callable
from functools import partial

import orjson
from aiohttp import web

from simulator import change_control
from simulator.control_http import BadRequestError, explain_errors, json_answer, number, read_object, unknown_path
from simulator.crawl import crawl_control
from simulator.crawl.things import State
from simulator.faults import FaultError
from simulator.item import Item, Kind
from simulator.rule_keys import RuleError
from simulator.simulation import Simulation
from simulator.world import World

_TRUTH_CHUNK = 500


class Control:
    """The handlers of `/_sim/`."""

    def __init__(self, simulation: Simulation) -> None:
        self._simulation = simulation

    def add_routes(self, app: web.Application) -> None:
        """Add the control routes to a web application."""
        for (method, name), handler in ROUTES.items():
            app.router.add_route(method, f"/_sim/{name}", explain_errors(partial(handler, self)))
        for (method, name), teller in (*crawl_control.ROUTES.items(), *change_control.ROUTES.items()):
            app.router.add_route(method, f"/_sim/{name}", explain_errors(partial(teller, self._simulation)))
        known = ", ".join(sorted({name for _, name in (*ROUTES, *crawl_control.ROUTES, *change_control.ROUTES)}))
        app.router.add_route("*", "/_sim/{unknown:.*}", unknown_path(known))

    async def truth(self, request: web.Request) -> web.StreamResponse:
        """Return every item, when it was visible, and whether it was shown: one JSON object per line."""
        self._simulation.now()
        kind = _kind(request.query["kind"]) if "kind" in request.query else None
        response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
        await response.prepare(request)
        async for chunk in _lines(list(self._simulation.world.truth(kind))):
            await response.write(chunk)
        await response.write_eof()
        return response

    async def stats(self, _: web.Request) -> web.StreamResponse:
        """Return what was requested, and the state of the world."""
        simulation, traffic = self._simulation, self._simulation.traffic
        now = simulation.now()
        world, quota = simulation.world, simulation.reddit.quota
        usages = {client: quota.usage(client, now) for client in quota.clients()}
        return json_answer(
            {
                "uptime_s": round(now - traffic.started, 3),
                "requests": traffic.requests,
                "listing_requests": traffic.listing_requests,
                "by_path": traffic.by_path,
                "by_status": traffic.by_status,
                "by_fault": traffic.by_fault,
                "by_client": traffic.by_client,
                "requests_per_minute_by_client": traffic.last_minute(now),
                "quota": {
                    client: {"used": usage.used, "remaining": usage.remaining, "reset": round(usage.reset, 3)}
                    for client, usage in usages.items()
                },
                "items": {name: world.counts[name] for name in _ITEM_COUNTS} | {"shown": world.counts["shown"]},
                "changes": len(world.log),
                "rates": {kind: arrivals.rate for kind, arrivals in world.arrivals.items()},
                "subreddits": {subreddit.name: subreddit.state for subreddit in world.subreddits.values()},
            }
        )

    async def faults(self, request: web.Request) -> web.StreamResponse:
        """Return, change or clear the faults."""
        now, faults = self._simulation.clock(), self._simulation.faults
        if request.method == "POST":
            try:
                faults.change(await read_object(request), now)
            except FaultError as error:
                raise BadRequestError(str(error)) from error
        elif request.method == "DELETE":
            faults.clear()
        return json_answer(faults.current(now))

    async def rules(self, request: web.Request) -> web.StreamResponse:
        """Return, add or remove rules."""
        now, rules = self._simulation.clock(), self._simulation.rules
        try:
            if request.method == "POST":
                return json_answer({"id": rules.add(await read_object(request), now)})
            if request.method == "DELETE":
                rules.remove(request.query.get("id"))
        except RuleError as error:
            raise BadRequestError(str(error)) from error
        return json_answer({"rules": rules.as_json(now)})

    async def clock(self, request: web.Request) -> web.StreamResponse:
        """Return or set by how much the clock that clients see is ahead."""
        if request.method == "POST":
            offset = (await read_object(request, "offset")).get("offset")
            if isinstance(offset, bool) or not isinstance(offset, int | float):
                raise BadRequestError(f"offset = {offset!r}: give a number of seconds; below 0 the clock is behind")
            self._simulation.clock_offset = float(offset)
        return json_answer({"offset": self._simulation.clock_offset, "time": self._simulation.client_time()})

    async def freeze(self, request: web.Request) -> web.StreamResponse:
        """Accept requests for some seconds without answering; 0 ends it."""
        body = await read_object(request, "seconds")
        if "seconds" not in body:
            raise BadRequestError('give {"seconds": N}')
        self._simulation.freeze(number(body, "seconds"))
        return json_answer({"frozen": self._simulation.frozen})

    async def rates(self, request: web.Request) -> web.StreamResponse:
        """Change the rates, permanently or for some `seconds`."""
        body = await read_object(request, *Kind, "seconds")
        seconds = number(body, "seconds") if "seconds" in body else None
        now = self._simulation.now()
        for kind, arrivals in self._simulation.world.arrivals.items():
            if kind in body:
                arrivals.set(number(body, kind), now, seconds)
        return json_answer({kind: arrivals.rate for kind, arrivals in self._simulation.world.arrivals.items()})

    async def generate(self, request: web.Request) -> web.StreamResponse:
        """Create items now; `age` moves their creation back, as for a late item."""
        body = await read_object(request, *Kind, "subreddit", "age")
        now, world = self._simulation.now(), self._simulation.world
        subreddit = body.get("subreddit")
        if subreddit is not None and str(subreddit).lower() not in world.subreddits:
            raise BadRequestError(f"subreddit = {subreddit!r}: no such subreddit; known are {_names(world)}")
        age = number(body, "age") if "age" in body else 0.0
        made = [
            world.make(kind, now, subreddit=subreddit, age=age).fullname
            for kind in Kind
            for _ in range(int(number(body, kind)) if kind in body else 0)
        ]
        return json_answer({"fullnames": made})

    async def pause(self, request: web.Request) -> web.StreamResponse:
        """Pause or resume the items that appear automatically."""
        now = self._simulation.now()
        for arrivals in self._simulation.world.arrivals.values():
            if request.path.endswith("pause"):
                arrivals.pause(now)
            else:
                arrivals.resume(now)
        return json_answer({kind: arrivals.rate for kind, arrivals in self._simulation.world.arrivals.items()})

    async def subreddits(self, request: web.Request) -> web.StreamResponse:
        """Change the state of a subreddit, or create one."""
        body = await read_object(request, "name", "state")
        name, state = body.get("name"), body.get("state", State.PUBLIC)
        if not isinstance(name, str) or not name or state not in set(State):
            raise BadRequestError(f'give {{"name": …, "state": one of {", ".join(State)}}}')
        now, simulation = self._simulation.now(), self._simulation
        if simulation.crawl.world.generated(name):
            simulation.crawl.world.set_state(name, State(state))
        else:
            simulation.world.set_state(name, State(state), now)
            simulation.crawl.world.add_subreddit(name)
        return json_answer({"name": name, "state": state})

    async def remove(self, request: web.Request) -> web.StreamResponse:
        """Remove one item, as a moderator would."""
        fullname = str((await read_object(request, "fullname")).get("fullname"))
        if not self._simulation.world.remove(fullname, self._simulation.now()):
            raise BadRequestError(f"{fullname}: no such item, or it is removed already")
        return json_answer({"fullname": fullname})

    async def odd(self, request: web.Request) -> web.StreamResponse:
        """Make an item appear with exactly the given fields."""
        body = await read_object(request, "kind", "data", "subreddit")
        data, kind = body.get("data"), _kind(body.get("kind"))
        if not isinstance(data, dict):
            raise BadRequestError('give {"kind": "comments" or "submissions", "data": {…}}')
        now, world = self._simulation.now(), self._simulation.world
        if data.get("name") in world.items:
            raise BadRequestError(f"{data['name']}: this item exists already")
        named = body.get("subreddit", data.get("subreddit"))
        known = isinstance(named, str) and named.lower() in world.subreddits
        item = world.make(kind, now, subreddit=named if known else None, custom=data)
        return json_answer({"fullname": item.fullname, "subreddit": item.subreddit})

    async def expire_tokens(self, _: web.Request) -> web.StreamResponse:
        """Expire every issued token."""
        return json_answer({"expired": self._simulation.reddit.tokens.expire_all()})


#: method and name under /_sim/, and the handler
ROUTES: dict[tuple[str, str], Callable[[Control, web.Request], Awaitable[web.StreamResponse]]] = {
    ("GET", "truth"): Control.truth,
    ("GET", "stats"): Control.stats,
    ("GET", "faults"): Control.faults,
    ("POST", "faults"): Control.faults,
    ("DELETE", "faults"): Control.faults,
    ("GET", "rules"): Control.rules,
    ("POST", "rules"): Control.rules,
    ("DELETE", "rules"): Control.rules,
    ("GET", "clock"): Control.clock,
    ("POST", "clock"): Control.clock,
    ("POST", "freeze"): Control.freeze,
    ("POST", "rates"): Control.rates,
    ("POST", "generate"): Control.generate,
    ("POST", "pause"): Control.pause,
    ("POST", "resume"): Control.pause,
    ("POST", "subreddits"): Control.subreddits,
    ("POST", "remove"): Control.remove,
    ("POST", "odd"): Control.odd,
    ("POST", "expire-tokens"): Control.expire_tokens,
}

_ITEM_COUNTS = (*Kind, "surfaced", "late", "removed", "fell_off", "hidden")


async def _lines(items: list[Item]) -> AsyncIterator[bytes]:
    for start in range(0, len(items), _TRUTH_CHUNK):
        yield b"".join(orjson.dumps(item.truth()) + b"\n" for item in items[start : start + _TRUTH_CHUNK])


def _names(world: World) -> str:
    return ", ".join(subreddit.name for subreddit in world.subreddits.values())


def _kind(name: object) -> Kind:
    if name not in set(Kind):
        raise BadRequestError(f"kind = {name!r}: give submissions or comments")
    return Kind(str(name))
