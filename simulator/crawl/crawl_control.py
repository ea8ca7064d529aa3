"""The crawl world's control side, under `/_sim/crawl/`: all that exists, and what was requested."""

from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Iterator
from typing import Any

import orjson
from aiohttp import web

from simulator.control_http import BadRequestError, json_answer, read_object
from simulator.crawl.api import CrawlApi
from simulator.crawl.crawl_paths import LatencyError
from simulator.crawl.crawl_render import suspended
from simulator.crawl.things import UserState
from simulator.simulation import Simulation

_CHUNK = 200


class CrawlTruth:
    """Everything that exists, one line of JSON each; only the part being written is in memory."""

    def __init__(self, api: CrawlApi) -> None:
        self._world = api.world
        self._renderer = api.renderer

    def held(self) -> Iterator[bytes]:
        """Yield every subreddit, then every user."""
        for number in self._world.subreddit_numbers():
            yield self._subreddit(number)
        for number in range(self._world.user_count):
            yield self._user(number)

    def held_of(self, subreddits: Iterable[str], users: Iterable[str]) -> Iterator[bytes]:
        """Yield those of these subreddits and users that exist."""
        for number in map(self._world.subreddit_number, subreddits):
            if number is not None:
                yield self._subreddit(number)
        for number in map(self._world.user_number, users):
            if number is not None:
                yield self._user(number)

    def posts_of(self, ids: Iterable[str]) -> Iterator[bytes]:
        """Yield those of these posts that exist."""
        for post in map(self._world.post, ids):
            if post is not None:
                yield self._renderer.post(post)

    def posts(self) -> Iterator[bytes]:
        """Yield every post once: those of the subreddits, then the other posts of users."""
        world, render = self._world, self._renderer.post
        own: set[str] = set()
        for number in world.subreddit_numbers():
            posts = world.subreddit(number).posts
            own.update(post.bare for post in posts)
            yield from map(render, posts)
        for number in range(world.user_count):
            if world.user_state(number) is UserState.ACTIVE:
                yield from (render(post) for post in world.submitted(number) if post.bare not in own)

    def _subreddit(self, number: int) -> bytes:
        subreddit = self._world.subreddit(number)
        return orjson.dumps(
            {
                "kind": "subreddit",
                "name": subreddit.name,
                "state": self._world.state(number),
                "about": self._renderer.subreddit(subreddit),
                "rules": self._renderer.rules(subreddit)["rules"],
                "hot": [subreddit.posts[place].bare for place in subreddit.hot],
                "week": [post.bare for post in subreddit.top(7.0)],
                "year": [post.bare for post in subreddit.top(365.0)],
            }
        )

    def _user(self, number: int) -> bytes:
        world, state, name = self._world, self._world.user_state(number), self._world.names.user(number)
        about, submitted = None, []
        if state is UserState.SUSPENDED:
            about = suspended(name)
        elif state is UserState.ACTIVE:
            about = self._renderer.user(world.user(number))
            submitted = [post.bare for post in world.submitted(number)]
        return orjson.dumps({"kind": "user", "name": name, "state": state, "about": about, "submitted": submitted})


async def held(simulation: Simulation, request: web.Request) -> web.StreamResponse:
    """Return subreddits and users, with what is served of them: all, or the requested ones."""
    truth = CrawlTruth(simulation.crawl)
    if request.method == "GET":
        return await _stream(request, truth.held())
    body = await read_object(request, "subreddits", "users")
    return await _stream(request, truth.held_of(_names(body, "subreddits"), _names(body, "users")))


async def posts(simulation: Simulation, request: web.Request) -> web.StreamResponse:
    """Return posts that can be in a listing: all, or the requested ones."""
    truth = CrawlTruth(simulation.crawl)
    if request.method == "GET":
        return await _stream(request, truth.posts())
    return await _stream(request, truth.posts_of(_names(await read_object(request, "ids"), "ids")))


async def asked(simulation: Simulation, _: web.Request) -> web.StreamResponse:
    """Return the counts of requests and of complete answers."""
    return json_answer(simulation.crawl_traffic.as_json())


async def latencies(simulation: Simulation, request: web.Request) -> web.StreamResponse:
    """Return or change the latency of each address."""
    if request.method == "POST":
        try:
            simulation.latencies.change(await read_object(request))
        except LatencyError as error:
            raise BadRequestError(str(error)) from error
    return json_answer(simulation.latencies.as_json())


def _names(body: dict[str, Any], key: str) -> list[str]:
    names = body.get(key, [])
    if not isinstance(names, list) or not all(isinstance(name, str) for name in names):
        raise BadRequestError(f"{key}: give a list of names")
    return names


async def _stream(request: web.Request, lines: Iterator[bytes]) -> web.StreamResponse:
    response = web.StreamResponse(headers={"Content-Type": "application/x-ndjson"})
    await response.prepare(request)
    async for chunk in _chunks(lines):
        await response.write(chunk)
    await response.write_eof()
    return response


async def _chunks(lines: Iterator[bytes]) -> AsyncIterator[bytes]:
    chunk: list[bytes] = []
    for line in lines:
        chunk += (line, b"\n")
        if len(chunk) >= _CHUNK:
            yield b"".join(chunk)
            chunk.clear()
    yield b"".join(chunk)


#: method and name under /_sim/, and the handler
ROUTES: dict[tuple[str, str], Callable[[Simulation, web.Request], Awaitable[web.StreamResponse]]] = {
    ("GET", "crawl/held"): held,
    ("POST", "crawl/held"): held,
    ("GET", "crawl/posts"): posts,
    ("POST", "crawl/posts"): posts,
    ("GET", "crawl/asked"): asked,
    ("GET", "latencies"): latencies,
    ("POST", "latencies"): latencies,
}
