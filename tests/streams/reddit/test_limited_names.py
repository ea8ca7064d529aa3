"""A 429 for one subreddit does not stop the others, and one that is about the quota still stops everybody."""

import json
import threading
import time
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from core.reddit.limiter import Grant, Wait
from core.reddit.quota import Priority
from core.reddit.request_errors import RateLimited
from streams.reddit.limited_names import LimitedNames, RequestLimited
from tests.streams.reddit.client_house import House

ALL = "/r/Alpha+Beta+Gamma/comments"
TOKEN = {"access_token": "x", "token_type": "bearer", "expires_in": 3600, "scope": "*"}


class Limiting(ThreadingHTTPServer):
    """Answers 429 to every path that contains one of these texts."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.limited: tuple[str, ...] = ()
        self.headers: dict[str, str] = {}
        self.asked: list[str] = []

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    server: Limiting

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(200, TOKEN)

    def do_GET(self) -> None:
        self.server.asked.append(self.path)
        is_limited = any(text in self.path for text in self.server.limited)
        self._answer(429 if is_limited else 200, {"kind": "Listing", "data": {"children": [], "after": None}})

    def _answer(self, status: int, payload: dict[str, Any]) -> None:
        body = json.dumps(payload).encode()
        self.send_response(status)
        for name, value in self.server.headers.items() if status == 429 else ():
            self.send_header(name, value)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_arguments: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Limiting]:
    server = Limiting()
    threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()
    yield server
    server.shutdown()
    server.server_close()


class Passing:
    """A clock that is put forward where everybody has to wait."""

    def __init__(self) -> None:
        self.ahead = 0.0

    def __call__(self) -> float:
        return time.time() + self.ahead


def refusals(house: House, clock: Passing, path: str, most: int) -> tuple[int, float]:
    """Request this until it is refused for its own sake; return how often everybody had to wait, and how long."""
    began = clock.ahead
    for count in range(most + 1):
        try:
            house.get(path=path)
        except RequestLimited:
            return count, clock.ahead - began
        except RateLimited:
            # whoever asks next is the test
            answer = house.limiter.ask(Priority.STREAM)
            assert isinstance(answer, Wait)
            clock.ahead += answer.seconds + 0.1
    raise AssertionError(f"still taken for the quota after {most} refusals")


@pytest.mark.parametrize(
    "headers", [{}, {"Retry-After": "60"}, {"X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": "300"}]
)
def test_a_429_for_one_name_is_recognised_and_stops_nobody_then(
    tmp_path: Path, server: Limiting, headers: dict[str, str]
) -> None:
    clock = Passing()
    house = House(tmp_path, server.url, clock=clock)
    server.limited, server.headers = ("Beta", "beta"), headers
    count, seconds = refusals(house, clock, ALL, 6)
    assert count >= 1, "the first one may be about the quota"
    assert seconds <= 250
    house.get(path="/r/Alpha+Gamma/comments")
    for path in ("/r/Beta/comments", "/r/Gamma+Beta/comments", ALL):
        with pytest.raises(RequestLimited):
            house.get(path=path)
    grant = house.limiter.ask(Priority.STREAM)
    assert isinstance(grant, Grant), "nobody waits"
    listed = [path for path in server.asked if "comments" not in path]
    assert all("/about" in path for path in listed), "a control shows no item"


def test_a_429_for_everything_is_about_the_quota(tmp_path: Path, server: Limiting) -> None:
    clock = Passing()
    house = House(tmp_path, server.url, clock=clock)
    house.get(path=ALL)
    server.limited = ("/r/",)
    with pytest.raises(AssertionError, match="still taken for the quota"):
        refusals(house, clock, ALL, 6)
    server.limited = ()
    clock.ahead += 700
    house.get(path=ALL)


def test_the_quota_runs_out_now_and_then_and_nothing_is_served_in_between() -> None:
    limited, now = LimitedNames(), 0.0
    for _ in range(20):
        for path in (ALL, "/r/Delta/comments"):
            limited.served(path, now)
        now += 300
        assert not limited.refused(ALL, now, has_delay=False)
        assert limited.control(ALL) is not None
        now += 60


def test_a_name_that_is_served_again_is_no_suspect() -> None:
    limited = LimitedNames()
    for now in (1.0, 3.0):
        is_own = limited.refused(ALL, now, has_delay=False)
        limited.served("/r/Alpha/about", now + 1)
    assert is_own
    assert limited.refused("/r/Beta/comments", 5.0, has_delay=False)
    limited.served("/r/Beta/comments", 6.0)
    limited.served("/r/Gamma/comments", 6.0)
    assert not limited.refused("/r/Beta/comments", 7.0, has_delay=False)
