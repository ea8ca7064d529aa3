"""One request at a time, over real HTTP, against a simulated Reddit that does everything wrong."""

import gc
import socket
import threading
import time
import weakref
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from core.errors import GaplessError
from core.reddit.limiter import Limiter, Wait, read_requests
from core.reddit.quota import Priority
from core.reddit.request_errors import (
    BadAnswer,
    CredentialsRejected,
    NetworkBlocked,
    QuotaShort,
    RateLimited,
    ServerTrouble,
    Stopped,
    Unavailable,
    Unreachable,
)
from tests.streams.reddit.client_house import SECRETS, House
from tests.support.durations import allowed
from tests.support.simulator import Simulator
from tests.support.waiting import wait_until

QUIET: dict[str, Any] = {
    "submissions_per_second": 0, "comments_per_second": 0, "backlog": 150, "late_share": 0, "removed_share": 0,
}  # fmt: skip


@pytest.fixture(scope="module")
def reddit(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    simulator = Simulator(tmp_path_factory.mktemp("reddit"), **SECRETS, **QUIET)
    simulator.start()
    yield simulator
    simulator.stop()


@pytest.fixture(autouse=True)
def _good_again(reddit: Simulator) -> Iterator[None]:
    yield
    reddit.clear_faults()
    for name in reddit.subreddits:
        reddit.subreddit(name, "public")


@pytest.fixture
def house(tmp_path: Path, reddit: Simulator) -> House:
    return House(tmp_path, reddit.url)


def test_a_page(house: House) -> None:
    assert house.names()
    state = house.limiter.state()
    assert state.outstanding == 0
    assert state.used >= 1


def test_an_expired_token_is_renewed_at_once(house: House, reddit: Simulator, tmp_path: Path) -> None:
    house.get()
    tokens = reddit.requests("access_token")
    reddit.expire_tokens()
    assert house.names()
    assert reddit.requests("access_token") == tokens + 1
    assert house.log.events("token_renewed")
    assert read_requests(tmp_path) == {("comments", "200"): 2, ("comments", "401"): 1}


@pytest.mark.parametrize("bare", [True, False])
def test_a_401_without_end_is_an_error_that_passes(house: House, reddit: Simulator, *, bare: bool) -> None:
    house.get()
    reddit.faults(token_401=1.0, token_401_bare=bare)
    with pytest.raises(GaplessError, match="token"):
        house.get()
    reddit.clear_faults()
    assert house.names()


@pytest.mark.parametrize(
    ("fault", "expected"),
    [
        ("status_500", ServerTrouble),
        ("status_503", ServerTrouble),
        ("html", BadAnswer),
        ("html_403", NetworkBlocked),
        ("truncated_json", BadAnswer),
        ("redirect_without_location", BadAnswer),
        ("reset", Unreachable),
    ],
)
def test_a_fault_is_told_and_passes(house: House, reddit: Simulator, fault: str, expected: type[GaplessError]) -> None:
    house.get()
    reddit.faults(**{fault: 1.0})
    began = time.monotonic()
    with pytest.raises(expected):
        house.get()
    assert time.monotonic() - began < allowed(2.0), "PRAW slept or tried again by itself"
    reddit.clear_faults()
    assert house.names()
    assert house.limiter.state().outstanding == 0


@pytest.mark.parametrize("fault", ["status_503", "reset", "html", "truncated_json"])
def test_a_fault_at_the_token_endpoint_passes_and_moves_no_window(house: House, reddit: Simulator, fault: str) -> None:
    house.get()
    window = house.limiter.state().reset_at
    reddit.expire_tokens()
    reddit.faults(**{fault: 1.0})
    with pytest.raises(GaplessError):
        house.get()
    reddit.clear_faults()
    assert house.names()
    assert house.limiter.state().reset_at == pytest.approx(window, abs=2.0)


@pytest.mark.parametrize(
    ("retry_after", "low", "high"), [(7, 6.0, 7.0), (2.5, 1.5, 2.5), ("date", 28.0, 31.0), (None, 59.0, 60.0)]
)
def test_429_says_how_long_to_wait(
    house: House, reddit: Simulator, retry_after: object, low: float, high: float
) -> None:
    """In both forms of Retry-After, and by the ladder where there is none; everybody waits, without another request."""
    house.get()
    reddit.faults(status_429=1.0, retry_after=retry_after, retry_after_seconds=30)
    with pytest.raises(RateLimited) as refusal:
        house.get()
    assert refusal.value.retry_after is not None
    assert low <= refusal.value.retry_after <= high
    asked = reddit.requests("/comments")
    assert isinstance(house.limiter.ask(Priority.STREAM), Wait)
    with pytest.raises(QuotaShort):
        house.get(Priority.LATE_SCAN)
    assert reddit.requests("/comments") == asked


def test_a_fractional_reset_is_understood(house: House, reddit: Simulator) -> None:
    reddit.faults(fractional_reset=True)
    assert house.names()
    assert house.names()


@pytest.mark.parametrize("state", ["private", "banned", "quarantined", "missing"])
def test_a_subreddit_that_cannot_be_read_says_why(house: House, reddit: Simulator, state: str) -> None:
    reddit.subreddit("ethereum", state)
    with pytest.raises(Unavailable) as error:
        house.get()
    assert error.value.reason == state


def test_a_hang_is_abandoned_and_the_next_request_works(tmp_path: Path, reddit: Simulator) -> None:
    house = House(tmp_path, reddit.url, deadline=1.0)
    house.get()
    threads = _reddit_threads()
    reddit.faults(hang=1.0, hang_seconds=3)
    began = time.monotonic()
    with pytest.raises(Unreachable, match="within 1 s"):
        house.get()
    assert time.monotonic() - began < allowed(2.0)
    reddit.clear_faults()
    assert house.names()
    wait_until(lambda: _reddit_threads() <= threads, what="the abandoned thread to end")


def _reddit_threads() -> int:
    return sum(thread.name == "reddit" for thread in threading.enumerate())


def test_stop_ends_a_hanging_request_at_once(house: House, reddit: Simulator) -> None:
    house.get()
    reddit.faults(hang=1.0, hang_seconds=3)
    stopped: list[float] = []

    def ask() -> None:
        with pytest.raises(Stopped):
            house.get()
        stopped.append(time.monotonic())

    before = reddit.stats()
    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    wait_until(lambda: reddit.stats() != before, what="the request to hang")
    asked = time.monotonic()
    house.context.ask_stop()
    thread.join(5.0)
    assert stopped
    assert stopped[0] - asked < allowed(0.6)


def test_after_a_stop_nothing_is_asked(house: House, reddit: Simulator) -> None:
    house.context.ask_stop()
    asked = reddit.requests()
    with pytest.raises(Stopped):
        house.get()
    assert reddit.requests() == asked


def test_stop_ends_the_wait_for_quota(house: House, reddit: Simulator) -> None:
    house.limiter.refused(_granted(house.limiter), 300.0)
    timer = threading.Timer(0.2, house.context.ask_stop)
    timer.start()
    began = time.monotonic()
    with pytest.raises(Stopped):
        house.get()
    assert time.monotonic() - began < allowed(0.8)
    del reddit


def _granted(limiter: Limiter) -> Any:
    grant = limiter.ask(Priority.STREAM)
    assert not isinstance(grant, Wait)
    return grant


def test_wrong_credentials_are_believed_after_several_tries(tmp_path: Path, reddit: Simulator) -> None:
    """At least four of them, over eight seconds; meanwhile tokens are asked for in pauses."""
    house = House(tmp_path, reddit.url, client_secret="wrong")
    before, began = reddit.requests("access_token"), time.monotonic()
    errors: list[GaplessError] = []

    def parked() -> bool:
        try:
            house.get()
        except GaplessError as error:
            errors.append(error)
        return isinstance(errors[-1], CredentialsRejected)

    wait_until(parked, 30.0, "the credentials to be given up")
    assert time.monotonic() - began >= 8.0
    assert "REDDIT_CLIENT_SECRET" in str(errors[-1])
    assert all(isinstance(error, Unreachable) for error in errors[:-1])
    assert 4 <= reddit.requests("access_token") - before <= 8


def test_a_rejection_while_a_token_is_renewed_is_doubted_too(
    house: House, reddit: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """A single odd answer of the token endpoint, after hours of work, must not park the stream."""
    house.get()
    reddit.expire_tokens()
    monkeypatch.setattr("streams.reddit.checked_requestor.classify_token", lambda *_: CredentialsRejected("no"))
    with pytest.raises(Unreachable):
        house.get()
    monkeypatch.undo()
    assert house.names()


def test_nobody_listens(tmp_path: Path) -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        url = f"http://127.0.0.1:{closed.getsockname()[1]}"
        with pytest.raises(Unreachable, match="Connection refused"):
            House(tmp_path, url).get()


def test_the_quota_is_shared(tmp_path: Path, reddit: Simulator) -> None:
    """What one process uses is gone for the other: neither meets a 429."""
    streams = [House(tmp_path, reddit.url, name=name, requests_per_minute=1) for name in ("submissions", "comments")]
    for house in streams:
        house.limiter.state()
    done = 0
    while not isinstance(answer := streams[done % 2].limiter.ask(Priority.STREAM), Wait):
        streams[done % 2].limiter.failed(answer, "none")
        done += 1
    assert done == 10, "one request a minute, over a window of ten minutes, for both together"
    for house in streams:
        assert isinstance(house.limiter.ask(Priority.STREAM), Wait)
        with pytest.raises(QuotaShort):
            house.get(Priority.LATE_SCAN)


def _tried(house: House) -> GaplessError | None:
    try:
        house.get(Priority.LATE_SCAN)
    except GaplessError as error:
        return error
    return None


def test_the_servers_count_holds_for_all(tmp_path_factory: pytest.TempPathFactory, tmp_path: Path) -> None:
    """Headers that one process reads keep the other from asking too much."""
    simulator = Simulator(tmp_path_factory.mktemp("strict"), quota=12, window=600, **QUIET)
    simulator.start()
    try:
        houses = [House(tmp_path, simulator.url, name=name) for name in ("submissions", "comments")]
        houses[0].get()
        assert houses[1].limiter.state().limit == 12
        for turn in range(20):
            if isinstance(_tried(houses[turn % 2]), QuotaShort):
                break
        else:
            pytest.fail("twenty requests within a quota of twelve")
        assert simulator.requests("/comments") <= 12
        statuses = {status for _, status in read_requests(tmp_path)}
        assert statuses == {"200"}
    finally:
        simulator.stop()


def test_an_error_and_the_answer_it_came_from_are_freed_at_once(house: House, reddit: Simulator) -> None:
    """The collector of cycles looks rarely in a stream: a body of megabytes must not wait for it."""
    house.get()  # there is a token now
    reddit.faults(html=1.0)
    try:
        with pytest.raises(BadAnswer) as caught:
            house.get()
        error = weakref.ref(caught.value)
    finally:
        reddit.clear_faults()
    house.get()  # the thread has the next request in hand
    gc.disable()
    try:
        del caught
        assert error() is None
    finally:
        gc.enable()
