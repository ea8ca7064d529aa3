"""The simulator as the transport of `requests`, in one process and on a clock that only waits move.

Answers, rules and truth are the simulator's own; only the network is missing. So thousands of answers a minute go
through the real token, request, judging and decoding code, and timeouts take no time.
"""

import io
from collections.abc import Mapping
from email.utils import formatdate
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter

from simulator import altered
from simulator.answer import Answer
from simulator.crawl.crawl_paths import limit_of, read
from simulator.faults import Endpoint
from simulator.reddit import endpoint
from simulator.rules import Received
from simulator.simulation import Simulation
from streams.reddit.praw_client import Connection
from tests.streams.capture.life import Clock

URL = "http://reddit.test"
#: duration of a good answer, seconds
_USUAL = 0.08


class Transport:
    """Replaces the network adapter in a `streams.reddit.http_client.Client`."""

    def __init__(self, simulation: Simulation, clock: Clock) -> None:
        self._simulation = simulation
        self._adapter = HTTPAdapter()
        self._clock = clock
        self.answers = 0
        #: answers that a rule changed or replaced
        self.bad = 0
        self.last_bad = 0.0
        #: moments of all requests for data
        self.asked: list[float] = []

    def send(self, request: requests.PreparedRequest, *, timeout: object, **_options: Any) -> requests.Response:
        """Answer one request; raise the error of requests when no answer comes in time."""
        split = urlsplit(str(request.url))
        if f"{split.scheme}://{split.netloc}" != URL:
            raise requests.ConnectionError(f"a request went to {split.netloc}")
        query = dict(parse_qsl(split.query))
        place = endpoint(split.path)
        now = self._simulation.now()
        self.answers += 1
        if place is not Endpoint.TOKEN:
            self.asked.append(now)
        target = split.path + ("?" + split.query if split.query else "")
        received = Received.read(place, split.path, target, query, limit_of(query.get("limit")))
        effects = self._simulation.rules.for_request(received, now)
        patience = _patience(timeout)
        self._pass(altered.delay(effects, self._simulation.rules.dice), patience)
        answer = self._answer(request, place, split.path, query)
        if answer.items and self._simulation.rules.of_the_page():
            places = self._simulation.reddit.places(split.path, answer.items)
            effects |= self._simulation.rules.for_page(received, answer, places, now)
        if effects and (answer.status not in {401, 429} or not altered.replaces(effects)):
            answer = self._altered(answer, effects, patience)
        self._simulation.written(answer)
        return self._response(request, answer, altered.manner(effects))

    def _answer(
        self, request: requests.PreparedRequest, place: Endpoint, path: str, query: Mapping[str, str]
    ) -> Answer:
        now, authorization = self._simulation.now(), request.headers.get("Authorization")
        if place is Endpoint.TOKEN:
            return self._simulation.reddit.token(authorization, "client_credentials", now)
        return self._simulation.reddit.data(path, query, authorization, now, asked=read(path, query))

    def _altered(self, answer: Answer, effects: dict[str, Any], patience: float) -> Answer:
        self.bad += 1
        manner = altered.manner(effects)
        try:
            if manner.hang is not None:
                self._pass(manner.hang, patience)
                raise requests.ConnectionError("connection reset")
            changed = altered.alter(answer, effects, self._simulation.rules.dice, self._simulation.client_time())
            if manner.drip is not None:
                # a slow body keeps arriving: no timeout between two pieces ends it
                self._clock.advance(min(len(changed.body) / manner.drip, 20.0))
            if manner.cut is not None:
                raise requests.exceptions.ChunkedEncodingError("connection broken: incomplete read")
            return changed
        finally:
            self.last_bad = self._clock.now

    def _pass(self, seconds: float, patience: float) -> None:
        self._clock.advance(min(max(seconds, _USUAL), patience))
        if seconds > patience:
            self.bad += 1
            self.last_bad = self._clock.now
            raise requests.ReadTimeout("read timed out")

    def attach(self, connection: Connection) -> Connection:
        """Answer this connection from now on; its times come from the clock. There is no other seam below PRAW."""
        client, pace = connection._client, connection._token_rate  # noqa: SLF001
        self._adapter = client._adapter  # noqa: SLF001
        vars(client).update(_adapter=self, _clock=self._clock)
        vars(pace).update(_clock=self._clock, _counted_at=self._clock())
        return connection

    def close(self) -> None:
        """Do nothing: there is no connection."""

    def _response(self, request: requests.PreparedRequest, answer: Answer, manner: altered.Manner) -> requests.Response:
        headers = urllib3.HTTPHeaderDict({"Content-Type": answer.content_type, **answer.headers})
        headers.setdefault("Date", formatdate(self._simulation.client_time(), usegmt=True))
        for name, values in manner.several.items():
            for value in values:
                headers.add(name, value)
        for name in manner.hidden:
            headers.discard(name)
        raw = urllib3.HTTPResponse(
            io.BytesIO(answer.body), headers=headers, status=answer.status, preload_content=False,
            reason="", request_method=request.method, enforce_content_length=False,
        )  # fmt: skip
        return self._adapter.build_response(request, raw)


def _patience(timeout: object) -> float:
    if isinstance(timeout, tuple):
        timeout = timeout[1]
    return float(timeout) if isinstance(timeout, int | float) else 1e9
