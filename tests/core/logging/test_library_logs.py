"""What the libraries log, each one itself: one line of JSON, under the library's name, at a sensible level."""

import asyncio
import gc
import io
import logging
import threading
import time
import warnings
from pathlib import Path
from typing import Any

import aiohttp
import praw
import prawcore
import pytest
from aiohttp import web
from alembic.runtime.migration import MigrationContext
from sqlalchemy import create_engine, text
from sqlalchemy.exc import SAWarning

from core.logging import log_setup
from tests.core.conftest import Lines
from tests.support.ports import free_port

Line = dict[str, Any]


def of(lines: Lines, logger: str) -> list[Line]:
    return [line for line in lines() if line["logger"] == logger]


def only(lines: Lines, logger: str) -> Line:
    (line,) = of(lines, logger)
    assert list(line)[:6] == ["timestamp", "level", "event", "process", "pid", "logger"]
    return line


def reddit(url: str) -> praw.Reddit:
    return praw.Reddit(
        client_id="i",
        client_secret="hunter-22",
        user_agent="test",
        reddit_url=url,
        oauth_url=url,
        check_for_updates=False,
    )


def test_praw_warns(lines: Lines) -> None:
    """It does so when it is used where it blocks an event loop."""

    async def ask() -> None:
        with pytest.raises(prawcore.RequestException):
            reddit(f"http://127.0.0.1:{free_port()}").request(method="GET", path="api/v1/me")

    asyncio.run(ask())
    line = of(lines, "praw")[0]
    assert line["level"] == "warning"
    assert "asynchronous environment" in line["event"]


def test_prawcore_tells_that_it_tries_again_and_urllib3_more_at_debug_and_no_secret(
    lines: Lines, tmp_path: Path
) -> None:
    log_setup.configure("submissions", tmp_path, "json", level="DEBUG", stream=io.StringIO())
    log_setup.hide("hunter-22")
    with pytest.raises(prawcore.RequestException):
        reddit(f"http://127.0.0.1:{free_port()}").request(method="GET", path="api/v1/me")
    retried = [line for line in of(lines, "prawcore") if line["event"].startswith("Retrying due to ConnectionError")]
    assert {line["level"] for line in retried} == {"warning"}
    assert {line["level"] for line in of(lines, "urllib3.connectionpool")} == {"debug"}
    assert "hunter" not in str(lines())


def test_aiohttp_s_server_tells_a_failed_answer_with_its_traceback_and_each_request_where_asked(lines: Lines) -> None:
    async def fail(_request: web.Request) -> web.Response:
        raise RuntimeError("failed on purpose")

    async def serve() -> None:
        app = web.Application()
        app.router.add_get("/", fail)
        runner = web.AppRunner(app)
        await runner.setup()
        port = free_port()
        await web.TCPSite(runner, "127.0.0.1", port).start()
        async with aiohttp.ClientSession() as session, session.get(f"http://127.0.0.1:{port}/?a=%0A") as answer:
            assert answer.status == 500
        await runner.cleanup()

    asyncio.run(serve())
    failed = only(lines, "aiohttp.server")
    assert (failed["level"], failed["exception"].splitlines()[-1]) == ("error", "RuntimeError: failed on purpose")
    access = only(lines, "aiohttp.access")
    assert access["level"] == "info"
    assert "GET /?a=%0A" in access["event"]


def test_aiohttp_s_client_tells_a_session_that_nobody_closed(lines: Lines) -> None:
    async def forget() -> None:
        session = aiohttp.ClientSession()
        session.cookie_jar.clear()
        del session
        gc.collect()

    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)
        asyncio.run(forget())
    line = only(lines, "asyncio")
    assert (line["level"], line["event"].splitlines()[0]) == ("error", "Unclosed client session")


def test_asyncio_tells_an_error_that_nobody_took(lines: Lines) -> None:
    async def fail() -> None:
        raise RuntimeError("failed on purpose")

    async def forget() -> None:
        task = asyncio.create_task(fail())
        await asyncio.wait([task])
        del task
        gc.collect()

    asyncio.run(forget())
    line = only(lines, "asyncio")
    assert (line["level"], line["event"].splitlines()[0]) == ("error", "Task exception was never retrieved")
    assert line["exception"].endswith("RuntimeError: failed on purpose")


def test_asyncio_tells_what_blocks_its_loop_where_asked(lines: Lines) -> None:
    async def block() -> None:
        asyncio.get_running_loop().slow_callback_duration = 0.01
        time.sleep(0.05)  # noqa: ASYNC251  that is the point

    asyncio.run(block(), debug=True)
    line = next(line for line in of(lines, "asyncio") if line["event"].startswith("Executing "))
    assert line["level"] == "warning"


def test_sqlalchemy_is_silent_until_asked_or_in_trouble(lines: Lines) -> None:
    with create_engine("sqlite://").connect() as connection:
        connection.execute(text("SELECT 1"))
    assert lines() == []
    engine = create_engine("sqlite://", echo=True)
    try:
        with engine.connect() as connection:
            connection.execute(text("SELECT 'two\nlines'"))
    finally:
        logging.getLogger("sqlalchemy.engine.Engine").setLevel(logging.NOTSET)
    told = of(lines, "sqlalchemy.engine.Engine")
    assert {line["level"] for line in told} == {"info"}
    assert any(line["event"] == "SELECT 'two\nlines'" for line in told)


def test_alembic_tells_what_it_migrates(lines: Lines) -> None:
    with create_engine("sqlite://").connect() as connection:
        MigrationContext.configure(connection)
    assert {line["level"] for line in of(lines, "alembic.runtime.migration")} == {"info"}
    assert of(lines, "alembic.runtime.migration")[0]["event"].startswith("Context impl SQLiteImpl")


def test_a_warning_of_a_library_is_one_line(lines: Lines) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("always")
        warnings.warn("cartesian product", SAWarning, stacklevel=1)
    line = only(lines, "py.warnings")
    assert line["level"] == "warning"
    assert "SAWarning: cartesian product" in line["event"]


def test_what_a_finalizer_raises_is_told(lines: Lines) -> None:
    class Broken:
        def __del__(self) -> None:
            raise ValueError("failed on purpose")

    thing = Broken()
    del thing
    gc.collect()
    line = only(lines, "uncaught")
    assert (line["level"], line["event"]) == ("error", "unraisable_exception")
    assert "Broken.__del__" in line["where"]
    assert line["exception"].endswith("ValueError: failed on purpose")


def test_what_a_thread_raises_is_told(lines: Lines) -> None:
    def fail() -> None:
        raise ValueError("failed on purpose")

    thread = threading.Thread(target=fail, name="worker")
    thread.start()
    thread.join()
    line = only(lines, "uncaught")
    assert (line["level"], line["event"], line["in_thread"]) == ("critical", "uncaught_exception", "worker")
