"""Odd rate headers over real HTTP, through PRAW: what they do to the wait of everybody."""

import json
import threading
import time
from collections import deque
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest

from core.reddit.bounds import FIRST_PROBE, PROBE_INTERVAL
from core.reddit.limiter import Wait
from core.reddit.quota import Priority
from core.reddit.request_errors import RateLimited
from tests.streams.reddit.client_house import House
from tests.support.durations import allowed

LISTING: dict[str, Any] = {"kind": "Listing", "data": {"children": [], "after": None}}
GOOD = {"X-Ratelimit-Used": "5", "X-Ratelimit-Remaining": "995.0", "X-Ratelimit-Reset": "300"}


class Answering(ThreadingHTTPServer):
    """Gives tokens, and to each request for data the next answer of the script, at last good ones."""

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.script: deque[tuple[int, dict[str, str]]] = deque()
        self.token: dict[str, Any] = {"access_token": "x", "token_type": "bearer", "expires_in": 3600, "scope": "*"}
        self.asked = 0

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    server: Answering

    def do_POST(self) -> None:
        self.rfile.read(int(self.headers.get("Content-Length", 0)))
        self._answer(200, {}, self.server.token)

    def do_GET(self) -> None:
        self.server.asked += 1
        status, headers = self.server.script.popleft() if self.server.script else (200, GOOD)
        self._answer(status, headers, LISTING if status == 200 else None)

    def _answer(self, status: int, headers: dict[str, str], payload: object) -> None:
        body = b"" if payload is None else json.dumps(payload).encode()
        self.send_response(status)
        for name, value in headers.items():
            self.send_header(name, value)
        if payload is not None:
            self.send_header("Content-Type", "application/json; charset=UTF-8")
        self.send_header("Content-Length", str(len(body)))
        if self.close_connection:
            self.send_header("Connection", "close")  # as PRAW asks where it fetches a token
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, *_: object) -> None:
        """Say nothing."""


@pytest.fixture
def server() -> Iterator[Answering]:
    with Answering() as answering:
        threading.Thread(target=answering.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()
        yield answering
        answering.shutdown()


@pytest.fixture
def house(tmp_path: Path, server: Answering) -> Iterator[House]:
    house = House(tmp_path, server.url)
    yield house
    house.context.ask_stop()
    house.limiter.close()


def test_a_429_with_a_reset_of_a_second_and_no_retry_after_costs_two_seconds(house: House, server: Answering) -> None:
    """praw#2046, prawcore#112: the headers were there and not used, so that both streams were silent for a minute."""
    refusal = {"X-Ratelimit-Used": "1000", "X-Ratelimit-Remaining": "0.0", "X-Ratelimit-Reset": "1"}
    server.script.append((429, refusal))
    with pytest.raises(RateLimited) as refused:
        house.get()
    assert refused.value.retry_after == pytest.approx(2.0, abs=0.2)
    began = time.monotonic()
    house.get()
    assert 1.5 < time.monotonic() - began < allowed(5.0)
    assert server.asked == 2


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "1e12"}, 600.0),
        ({"Retry-After": "999999999999"}, 600.0),
        ({"Retry-After": "Fri, 31 Dec 9999 23:59:59 GMT"}, 600.0),
        ({"Retry-After": "-5"}, 1.0),
        ({"Retry-After": "0.5"}, 1.0),
        ({"Retry-After": "soon"}, 60.0),
        ({"Retry-After": "nan", "X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": "30"}, 31.0),
        ({"X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": "1e12"}, 600.0),
        ({"X-Ratelimit-Reset": "300"}, 301.0),
        ({"X-Ratelimit-Used": "10", "X-Ratelimit-Remaining": "990", "X-Ratelimit-Reset": "300"}, 60.0),
        ({}, 60.0),
    ],
)
def test_a_429_never_stops_everybody_for_longer_than_a_window(
    house: House, server: Answering, headers: dict[str, str], seconds: float
) -> None:
    server.script.append((429, headers))
    with pytest.raises(RateLimited) as refused:
        house.get()
    assert refused.value.retry_after == pytest.approx(seconds, abs=0.5)
    wait = house.limiter.ask(Priority.STREAM)
    assert isinstance(wait, Wait)
    assert wait.seconds == pytest.approx(min(seconds, PROBE_INTERVAL), abs=0.5)


@pytest.mark.parametrize(
    "odd",
    [
        {"X-Ratelimit-Used": "nan", "X-Ratelimit-Remaining": "inf", "X-Ratelimit-Reset": "-inf"},
        {"X-Ratelimit-Used": "-1", "X-Ratelimit-Remaining": "-1", "X-Ratelimit-Reset": "-1"},
        {"X-Ratelimit-Used": "1e12", "X-Ratelimit-Remaining": "1e12", "X-Ratelimit-Reset": "1e12"},
        {"X-Ratelimit-Used": "0.5", "X-Ratelimit-Remaining": "999.5", "X-Ratelimit-Reset": "0.25"},
        {"X-Ratelimit-Reset": "soon"},
        {"X-Ratelimit-Used": "many"},
        {},
    ],
)
def test_odd_headers_of_good_answers_stop_nothing(house: House, server: Answering, odd: dict[str, str]) -> None:
    server.script.extend([(200, odd)] * 5)
    began = time.monotonic()
    for _ in range(6):
        house.get()
    assert time.monotonic() - began < allowed(5.0)


def test_a_claim_that_nothing_remains_for_ever_is_tested_soon(house: House, server: Answering) -> None:
    server.script.append((200, {"X-Ratelimit-Used": "5", "X-Ratelimit-Remaining": "0", "X-Ratelimit-Reset": "1e12"}))
    house.get()
    wait = house.limiter.ask(Priority.STREAM)
    assert isinstance(wait, Wait)
    assert wait.seconds == pytest.approx(FIRST_PROBE, abs=0.5)
    assert house.limiter.state().reset_at <= time.time() + 600.0
