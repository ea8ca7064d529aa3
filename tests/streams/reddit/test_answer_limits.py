"""An answer is bounded in size, in memory and in time; what is given up stops reading, and the server sees it."""

import gzip
import json
import socket
import subprocess
import sys
import threading
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import suppress
from functools import cache
from pathlib import Path
from types import SimpleNamespace

import pytest

from core.errors import GaplessError
from core.reddit.request_errors import BadAnswer, NetworkBlocked, ServerTrouble, Stopped, TooLarge, TooSlow, Unreachable
from streams.reddit.http_client import _Sockets
from tests.streams.reddit.client_house import House
from tests.support.durations import allowed
from tests.support.raw_reddit import LISTING, RawReddit, Send, once, respond, token
from tests.support.soaking import SOAK
from tests.support.waiting import wait_until

MIB = 1024**2
ROOT = Path(__file__).parents[3]


@pytest.fixture
def server() -> Iterator[RawReddit]:
    with RawReddit() as made:
        yield made


def _chunked(*headers: str) -> bytes:
    lines = ["HTTP/1.1 200 OK", "Content-Type: application/json", "Transfer-Encoding: chunked", *headers, "", ""]
    return "\r\n".join(lines).encode()


def endless(send: Send) -> None:
    send(_chunked())
    while True:
        send(b"10000\r\n" + b" " * 65536 + b"\r\n")


def endless_close_delimited(send: Send) -> None:
    send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n\r\n")
    while True:
        send(b" " * 65536)


def tiny_chunks(send: Send) -> None:
    send(_chunked())
    while True:
        send(b"2\r\n  \r\n" * 10000)


def declared(send: Send) -> None:
    send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99999999999999999999\r\n\r\n[")


@cache
def _bomb(window_bits: int) -> bytes:
    """Return 200 MiB of spaces in the format that zlib knows by these bits: 31 gzip, 15 deflate, -15 raw deflate."""
    made = zlib.compressobj(9, zlib.DEFLATED, window_bits)
    return made.compress(b" " * (200 * MIB)) + made.flush()


def gzip_bomb(send: Send) -> None:
    send(respond(_bomb(31), "Content-Encoding: gzip"))


def deflate_bomb(send: Send) -> None:
    send(respond(_bomb(15), "Content-Encoding: deflate"))


def raw_deflate_bomb(send: Send) -> None:
    send(respond(_bomb(-15), "Content-Encoding: deflate"))


def twofold_bomb(send: Send) -> None:
    send(respond(gzip.compress(_bomb(31), 9), "Content-Encoding: gzip, gzip"))


def other_compression(send: Send) -> None:
    send(respond(b"\x28\xb5\x2f\xfd" * 100, "Content-Encoding: zstd"))


def chunked_gzip_bomb(send: Send) -> None:
    body = _bomb(31)
    send(_chunked("Content-Encoding: gzip") + f"{len(body):x}\r\n".encode() + body + b"\r\n0\r\n\r\n")


def members(send: Send) -> None:
    body = gzip.compress(b" " * MIB, 9) * 64
    send(respond(body, "Content-Encoding: gzip"))


def empty_objects(send: Send) -> None:
    send(respond(b"[" + b"{}," * 3_000_000 + b"{}]"))


def small_objects(send: Send) -> None:
    send(respond(b"[" + b'{"a":1},' * 2_000_000 + b"{}]"))


def wide_text(send: Send) -> None:
    send(respond(b'["' + b"a" * (20 * MIB) + "😀".encode() + b'"]'))


def nested(send: Send) -> None:
    send(respond(b"[" * 3_000_000))


TOO_LARGE = [
    endless, endless_close_delimited, declared, gzip_bomb, deflate_bomb, raw_deflate_bomb,
    chunked_gzip_bomb, members, empty_objects, small_objects, wide_text, nested,
]  # fmt: skip
OTHER = [twofold_bomb, other_compression]


@pytest.mark.parametrize("script", TOO_LARGE)
def test_an_answer_that_is_too_large_is_refused_and_the_next_one_works(
    server: RawReddit, tmp_path: Path, script: Callable[[Send], None]
) -> None:
    house = House(tmp_path, server.url, deadline=120.0)
    house.get()
    server.script = script
    with pytest.raises(TooLarge, match=r"32 MB|64 MiB"):
        house.get()
    server.script = once(respond(LISTING))
    house.get()


def refused_endlessly(send: Send) -> None:
    send(_chunked().replace(b"200 OK", b"503 Busy"))
    while True:
        send(b"10000\r\n" + b"{},[]" * 13107 + b" \r\n")


def refused_with_objects(send: Send) -> None:
    send(respond(b"[" + b"{}," * 3_000_000 + b"{}]", status="403 Forbidden"))


@pytest.mark.parametrize(
    ("script", "expected"), [(refused_endlessly, ServerTrouble), (refused_with_objects, NetworkBlocked)]
)
def test_an_error_counts_by_its_status_however_long_it_is(
    server: RawReddit, tmp_path: Path, script: Callable[[Send], None], expected: type[GaplessError]
) -> None:
    house = House(tmp_path, server.url)
    house.get()
    server.script, closed = script, len(server.closed)
    with pytest.raises(expected):
        house.get()
    wait_until(lambda: len(server.closed) > closed, what="the server to see the close")
    server.script = once(respond(LISTING))
    house.get()


@pytest.mark.parametrize("script", OTHER)
def test_a_compression_that_was_not_asked_for_is_not_unfolded(
    server: RawReddit, tmp_path: Path, script: Callable[[Send], None]
) -> None:
    house = House(tmp_path, server.url)
    server.script = script
    with pytest.raises(BadAnswer, match="Content-Encoding"):
        house.get()


@pytest.mark.parametrize(
    "broken", [b"no gzip at all", gzip.compress(LISTING, mtime=0)[:-30]], ids=["no gzip", "cut off"]
)
def test_a_body_that_cannot_be_unfolded_is_a_bad_answer(server: RawReddit, tmp_path: Path, broken: bytes) -> None:
    house = House(tmp_path, server.url)
    server.script = once(respond(broken, "Content-Encoding: gzip"))
    with pytest.raises(BadAnswer):
        house.get()
    server.script = once(respond(gzip.compress(LISTING), "Content-Encoding: gzip"))
    house.get()


def test_a_token_of_megabytes_is_not_read(server: RawReddit, tmp_path: Path) -> None:
    server.token = token(more="x" * 100_000)
    with pytest.raises(TooLarge, match="64 KB"):
        House(tmp_path, server.url).get()


def test_a_large_page_is_read(server: RawReddit, tmp_path: Path) -> None:
    """A hundred posts of 40,000 characters, with their HTML, commas and emoji."""
    text = "a, b, 😀, " * 4_000
    posts = [{"kind": "t3", "data": {"id": str(n), "selftext": text, "selftext_html": text}} for n in range(100)]
    server.script = once(respond(json.dumps({"data": {"children": posts}}, ensure_ascii=False).encode()))
    answer = House(tmp_path, server.url, deadline=30.0).get()
    assert isinstance(answer, dict)
    assert len(answer["data"]["children"]) == 100


def test_many_or_large_headers_are_refused(server: RawReddit, tmp_path: Path) -> None:
    house = House(tmp_path, server.url)
    for headers in (["X-A: b"] * 200, ["X-A: " + "b" * 70_000]):
        server.script = once(respond(LISTING, *headers))
        with pytest.raises(GaplessError):
            house.get()


# Time


def drip_body(send: Send) -> None:
    send(b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 1000\r\n\r\n")
    _drip(send)


def drip_chunks(send: Send) -> None:
    send(_chunked())
    while True:
        send(b"1\r\n \r\n")
        threading.Event().wait(0.2)


def drip_status(send: Send) -> None:
    send(b"HTTP/1.1 200 ")
    _drip(send)


def drip_header(send: Send) -> None:
    send(b"HTTP/1.1 200 OK\r\nX-A: ")
    _drip(send)


def continues(send: Send) -> None:
    while True:
        send(b"HTTP/1.1 100 Continue\r\n\r\n")
        threading.Event().wait(0.05)


def silence(send: Send) -> None:
    del send
    threading.Event().wait(30)


def _drip(send: Send) -> None:
    while True:
        send(b" ")
        threading.Event().wait(0.2)


SLOW = [drip_body, drip_chunks, drip_status, drip_header, continues, tiny_chunks]


@pytest.mark.parametrize("script", [*SLOW, silence])
def test_a_request_that_is_too_slow_is_ended_and_its_thread_goes_on(
    server: RawReddit, tmp_path: Path, script: Callable[[Send], None]
) -> None:
    """The server sees the close at once, no thread is left behind, and the token is kept."""
    house = House(tmp_path, server.url, deadline=0.6)
    house.get()
    threads = _reddit_threads()
    server.script, closed = script, len(server.closed)
    with pytest.raises(TooSlow, match=r"within 0\.6 s"):
        house.get()
    ended = time.monotonic()
    if script is not silence:  # a server that only waits does not look
        wait_until(lambda: len(server.closed) > closed, what="the server to see the close")
        assert server.closed[closed] - ended < 5.0
    server.script = once(respond(LISTING))
    house.get()
    assert _reddit_threads() == threads
    assert len(server.asked("access_token")) == 1


def test_a_server_that_waits_for_room_sees_the_end_of_an_aborted_request() -> None:
    """After SHUT_RD the kernel announces no room any more: where everything was read, only a reset ends the wait."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        client = socket.create_connection(listener.getsockname())
        server, _ = listener.accept()
    owner, sockets, ended = SimpleNamespace(sock=client), _Sockets(), threading.Event()
    sockets.add(owner, client)
    server.settimeout(0.0)
    with suppress(BlockingIOError):
        while True:
            server.send(b"x" * 65_536)
    server.settimeout(None)

    def send() -> None:
        with suppress(OSError):
            while True:
                server.sendall(b"x" * 65_536)
        ended.set()

    threading.Thread(target=send, daemon=True).start()
    sockets.abort()
    while client.recv(1 << 20):
        pass
    client.close()
    owner.sock = None
    sockets.close_unused()
    assert ended.wait(allowed(5.0))
    server.close()


def test_a_stop_closes_the_connection(server: RawReddit, tmp_path: Path) -> None:
    house = House(tmp_path, server.url)
    house.get()
    server.script, closed, heads = drip_body, len(server.closed), len(server.heads)
    stopped: list[float] = []

    def ask() -> None:
        with pytest.raises(Stopped):
            house.get()
        stopped.append(time.monotonic())

    thread = threading.Thread(target=ask, daemon=True)
    thread.start()
    wait_until(lambda: len(server.heads) > heads, what="the request")
    house.context.ask_stop()
    thread.join(5.0)
    assert stopped
    wait_until(lambda: len(server.closed) > closed, what="the server to see the close")


def test_a_silent_server_is_too_slow_for_a_connection_of_its_own(
    server: RawReddit, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Between two pieces of an answer a time limit of its own holds."""
    monkeypatch.setattr("streams.reddit.http_client.TIMEOUT", (1.0, 0.3))
    server.script = silence
    with pytest.raises(TooSlow):
        House(tmp_path, server.url).get()


def test_a_close_in_the_middle_is_no_whole_answer(server: RawReddit, tmp_path: Path) -> None:
    house = House(tmp_path, server.url)

    def cut(send: Send) -> None:
        send(respond(LISTING)[:-10])
        raise OSError

    server.script = cut
    with pytest.raises(Unreachable):
        house.get()


def _reddit_threads() -> int:
    return sum(thread.name == "reddit" for thread in threading.enumerate())


# Memory

_PROBE = """
import sys
from pathlib import Path
from core.errors import GaplessError
from tests.streams.reddit import test_answer_limits as scripts
from tests.streams.reddit.client_house import House
house = House(Path(sys.argv[1]), sys.argv[2], deadline=120.0)
for _ in range(6):
    try:
        house.get()
    except GaplessError as error:
        print(type(error).__name__)
status = Path("/proc/self/status").read_text()
print(status.split("VmHWM:")[1].split()[0], status.split("VmRSS:")[1].split()[0])
"""


@pytest.mark.parametrize(
    "script",
    [endless, small_objects, *(pytest.param(one, marks=SOAK) for one in (gzip_bomb, chunked_gzip_bomb, wide_text))],
)
def test_memory_stays_below_256_mib(server: RawReddit, tmp_path: Path, script: Callable[[Send], None]) -> None:
    server.script = script
    ran = subprocess.run(
        [sys.executable, "-c", _PROBE, str(tmp_path), server.url],
        cwd=ROOT, capture_output=True, text=True, check=True, timeout=300,
    )  # fmt: skip
    *errors, peak, kept = ran.stdout.split()
    assert errors == ["TooLarge"] * 6
    assert int(peak) < 200 * 1024, "KiB"
    assert int(kept) < 100 * 1024, "an answer is kept by the error that it caused"
