"""The background audit as a thread: at most one request per interval, and capture never waits for it."""

import threading
import time
from collections.abc import Iterator
from itertools import pairwise
from typing import Any

import pytest

from core.child import ChildContext
from core.reddit.request_errors import QuotaShort, Stopped, Unreachable
from streams.audit.background import EVERY_S, run_background
from streams.audit.runner import AuditRunner
from tests.streams.audit.stage import AGES, Stage, settings
from tests.streams.capture.life import Notes
from tests.support.waiting import wait_until

EMPTY = {"kind": "Listing", "data": {"children": []}}


@pytest.fixture(scope="module")
def stage(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Stage]:
    stage = Stage(tmp_path_factory.mktemp("state"), settings())
    stage.run(900.0)
    yield stage
    for stream in stage.streams.values():
        stream.kill()


class Background:
    """The thread, with a `get` that the test controls."""

    def __init__(self, stage: Stage, get: Any, every: float) -> None:
        log: Any = Notes()
        self.notes = log
        self.context = ChildContext("submissions", log)
        self.ended = threading.Event()
        clock = stage.clock

        def run() -> None:
            runner = AuditRunner(stage.streams["submissions"].config, get, log, AGES, lambda: clock.now)
            run_background(runner, self.context, every=every)
            runner.close()
            self.ended.set()

        threading.Thread(target=run, daemon=True).start()

    def stop(self) -> None:
        self.context.ask_stop()
        assert self.ended.wait(10.0)


def test_two_streams_send_at_most_two_requests_a_minute() -> None:
    assert EVERY_S >= 60.0


def test_it_sends_one_request_per_interval(stage: Stage) -> None:
    moments: list[float] = []

    def get(_path: str, _params: dict[str, str | int]) -> object:
        moments.append(time.monotonic())
        return EMPTY

    background = Background(stage, get, every=0.2)
    wait_until(lambda: len(moments) >= 4, what="four requests")
    background.stop()
    assert all(later - earlier >= 0.19 for earlier, later in pairwise(moments))


def test_polls_do_not_wait_for_an_answer_of_the_audit(stage: Stage) -> None:
    asked, release = threading.Event(), threading.Event()

    def get(_path: str, _params: dict[str, str | int]) -> object:
        asked.set()
        assert release.wait(30.0)
        return EMPTY

    background = Background(stage, get, every=0.01)
    assert asked.wait(10.0)
    before = stage.streams["comments"].writer.last_seq()
    stage.run(300.0)
    assert stage.streams["comments"].writer.last_seq() > before
    assert stage.streams["submissions"].coverage.proven_until["alpha"] >= stage.clock.now - 120.0
    release.set()
    background.stop()


def test_a_request_that_the_quota_did_not_allow_is_sent_later(stage: Stage) -> None:
    paths: list[tuple[str, Any]] = []

    def get(path: str, params: dict[str, str | int]) -> object:
        paths.append((path, params))
        if len(paths) < 3:
            raise QuotaShort("reserved")
        return EMPTY

    background = Background(stage, get, every=0.01)
    wait_until(lambda: len(paths) >= 3, what="three attempts")
    background.stop()
    assert paths[0] == paths[1] == paths[2]


def test_errors_do_not_end_it(stage: Stage) -> None:
    errors: list[Exception] = [Unreachable("reset"), RuntimeError("a bug"), OSError("disk full")]
    calls: list[str] = []

    def get(path: str, _params: dict[str, str | int]) -> object:
        calls.append(path)
        if errors:
            raise errors.pop(0)
        return EMPTY

    background = Background(stage, get, every=0.01)
    wait_until(lambda: len(calls) >= 5, what="requests after the errors")
    background.stop()
    assert len(background.notes.events("audit_delayed")) == 2
    assert len(background.notes.events("audit_step_failed")) == 1


def test_a_stop_ends_it(stage: Stage) -> None:
    def get(_path: str, _params: dict[str, str | int]) -> object:
        raise Stopped

    background = Background(stage, get, every=60.0)
    assert background.ended.wait(10.0)
