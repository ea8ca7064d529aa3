"""Trying again: at once where others were in the way, ever slower while the database is away, and told once."""

import sqlite3
from collections.abc import Sequence

import pytest
import structlog

from scraper.store import StoreUnavailable
from scraper.store.connection.outage_retry import OutageRetry
from tests.scraper.store.stage import NOON, play


class _Time:
    def __init__(self) -> None:
        self.now = 0.0
        self.pauses: list[float] = []

    def __call__(self) -> float:
        return self.now

    async def sleep(self, seconds: float) -> None:
        self.pauses.append(seconds)
        self.now += seconds


def _busy() -> sqlite3.OperationalError:
    error = sqlite3.OperationalError("database is locked")
    error.sqlite_errorcode = sqlite3.SQLITE_BUSY
    return error


async def _carry(
    time: _Time, results: Sequence[Exception | None], *, takes: float = 0.0, seconds: float | None = None
) -> tuple[OutageRetry, list[str]]:
    """Let attempts end one after the other as they are told; give what was logged."""
    left = list(results)

    async def attempt() -> None:
        time.now += takes
        error = left.pop(0)
        if error is not None:
            raise error

    patience = OutageRetry("the database", lambda: NOON, monotonic=time, sleep=time.sleep, draw=lambda: 0.5)
    with structlog.testing.capture_logs() as logs:
        try:
            await patience.run(attempt, seconds=seconds)
        finally:
            logged = [str(line["event"]) for line in logs]
    return patience, logged


def test_pauses_grow_to_two_seconds_and_no_further() -> None:
    time = _Time()
    _, logged = play(lambda: _carry(time, [ConnectionRefusedError("refused")] * 9 + [None]))
    assert time.pauses == [0.05, 0.1, 0.2, 0.4, 0.8, 1.6, 2.0, 2.0, 2.0]
    assert logged == ["database_away", "database_back"]


def test_who_is_only_in_the_way_for_a_while_is_no_outage() -> None:
    _, logged = play(lambda: _carry(_Time(), [_busy()] * 4 + [None]))
    assert logged == []


def test_who_is_in_the_way_for_long_is() -> None:
    _, logged = play(lambda: _carry(_Time(), [_busy(), _busy(), None], takes=3.0))
    assert logged == ["database_away", "database_back"]


def test_reading_is_no_sign_that_writing_works_again() -> None:
    async def scenario() -> list[str]:
        patience, _ = await _carry(_Time(), [None])

        async def fails() -> None:
            raise ConnectionRefusedError

        async def answers() -> None:
            pass

        with structlog.testing.capture_logs() as logs:
            with pytest.raises(StoreUnavailable):
                await patience.run(fails, seconds=1.0)
            await patience.run(answers, only_reads=True)
            assert patience.away_since is not None
            await patience.run(answers)
            assert patience.away_since is None
        return [str(line["event"]) for line in logs]

    assert play(scenario) == ["database_away", "database_back"]


def test_asking_ends_with_an_error_that_says_why() -> None:
    time = _Time()
    with pytest.raises(StoreUnavailable, match="the database does not answer: ConnectionRefusedError: refused"):
        play(lambda: _carry(time, [ConnectionRefusedError("refused")] * 99, seconds=2.0))
    assert 2.0 <= time.now < 4.0


def test_what_is_wrong_with_the_rows_is_raised_at_once() -> None:
    time = _Time()
    with pytest.raises(ValueError, match="odd"):
        play(lambda: _carry(time, [ValueError("odd")]))
    assert time.pauses == []
