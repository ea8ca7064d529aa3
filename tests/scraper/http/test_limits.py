"""Whatever the size of an answer, its headers or its objects: memory stays bounded, and other work goes on."""

import asyncio
import gc
import json
import subprocess
import sys

import pytest
import uvloop

from core.errors import TransientError
from core.reddit.json_body import ERROR_BODY
from core.reddit.request_errors import ServerTrouble, TooLarge, Unavailable
from scraper.http.transport import body_reader
from scraper.http.transport.body_reader import BodyReader
from scraper.http.transport.route import Route
from scraper.http.transport.session import Answer, Session
from scraper.reddit.question import Kind, Question
from tests.scraper.http.bombs import BOMBS, Bomber
from tests.scraper.http.clients import running
from tests.scraper.http.script import Reply, Script
from tests.support.simulator import ROOT

#: MiB: what the deployments allow one process.
MOST = 256.0


def test_a_process_stays_small_whatever_the_answers_and_others_are_answered() -> None:
    """Three bombs of each kind at once, and good answers beside them, through one client."""
    command = [sys.executable, "-m", "tests.scraper.http.bombs", "3", *BOMBS]
    ran = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=True, timeout=120)
    met = json.loads(ran.stdout.splitlines()[-1])
    assert met["peak"] < MOST
    assert met["outcomes"].pop("good") == ["answered"]
    assert set(met["outcomes"]) == set(BOMBS)
    assert [kind for kind, outcomes in met["outcomes"].items() if "answered" in outcomes] == []


@pytest.mark.parametrize("kind", ["gzip", "length", "endless"])
def test_an_answer_that_is_too_large_costs_its_connection(kind: str) -> None:
    async def scenario() -> None:
        async with Bomber() as bomber, running(f"http://127.0.0.1:{bomber.port}", max_retries=0) as client:
            with pytest.raises(TooLarge, match="32 MB"):
                await client.get(f"/{kind}", {})
            assert isinstance(await client.get("/good", {}), dict)
            assert client.in_flight == 0

    uvloop.run(scenario())


def test_the_largest_body_is_given_up_when_all_together_are_too_large() -> None:
    async def scenario() -> None:
        bodies = BodyReader(most_each=8_000_000, most_together=1_000_000)
        async with Bomber() as bomber:
            url = f"http://127.0.0.1:{bomber.port}"
            async with running(url) as client:
                session = client._session  # noqa: SLF001
                session._bodies = bodies  # noqa: SLF001
                paths = ["endless", "endless", "endless", "good"]
                requests = (session.get(f"{url}/{path}", {}) for path in paths)
                *errors, answer = await asyncio.gather(*requests, return_exceptions=True)
                assert isinstance(answer, Answer)
                assert {type(error) for error in errors} == {TooLarge}
        assert bodies.together == 0

    uvloop.run(scenario())


@pytest.mark.parametrize("text", ['{"a": [' + "[]," * 900_000 + "[]]}", '{"a": ', "[]"])
def test_an_error_keeps_no_body_alive(text: str) -> None:
    """Python's collector looks rarely here: an error that held its own frame would keep megabytes."""

    async def scenario() -> None:
        async with Script(otherwise=Reply(200, text)) as script, running(script.url, max_retries=0) as client:
            kept = []
            for name in ("alpha", "beta"):
                with pytest.raises(TransientError) as failure:
                    await client.ask(Question(Kind.ABOUT, name))
                kept.append(failure.value.with_traceback(None))
                del failure
            assert [one for one in gc.get_objects() if isinstance(one, Answer)] == []
            assert [error.__context__ for error in kept] == [None, None]

    gc.collect()
    gc.disable()
    try:
        uvloop.run(scenario())
    finally:
        gc.enable()


def test_the_reason_of_an_error_counts_whatever_its_length() -> None:
    async def scenario() -> None:
        told = Reply(403, {"reason": "private"})
        long = Reply(503, "x" * 10 * ERROR_BODY)
        async with Script(told, long) as script, running(script.url, max_retries=0) as client:
            with pytest.raises(Unavailable):
                await client.get("/r/a/about", {})
            with pytest.raises(ServerTrouble):
                await client.get("/r/b/about", {})

    uvloop.run(scenario())


@pytest.mark.parametrize("kind", list(BOMBS))
def test_a_token_that_is_no_token_however_large_is_a_passing_error(kind: str) -> None:
    async def scenario() -> None:
        async with Bomber() as bomber:
            url = f"http://127.0.0.1:{bomber.port}"
            async with running(url) as client:
                session: Session = client._session  # noqa: SLF001
                try:
                    answer = await session.post(f"{url}/{kind.replace(' ', '_')}", {}, {"grant_type": "x"})
                except TransientError:
                    return
                assert answer.status != 200 or len(answer.body) <= body_reader.TOKEN_BODY

    uvloop.run(scenario())


def test_a_switch_to_another_protocol_gives_its_connection_back() -> None:
    """Nobody ends such an answer: while it is held, its connection must not be missing in the pool."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
        writer.close()

    async def scenario() -> None:
        server = await asyncio.start_server(serve, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"
        route, clock = Route(), asyncio.get_running_loop().time
        async with server, Session(route, 2.0, connections=1, clock=clock, encrypted=False) as session:
            answers = [await session.get(url, {}) for _ in range(6)]
        assert [answer.status for answer in answers] == [101] * 6

    uvloop.run(scenario())
