"""The HTTP client below PRAW: one request at a time, no files or cookies, every body bounded.

It replaces `requests.Session`, which reads ~/.netrc, keeps cookies and follows redirects. Of the environment it uses
only the variables of proxies and certificates (see core.config.network_variables and docs/configuration.md). Another
thread can end a request at any time: `abort` shuts its sockets down.
"""

import socket
import struct
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from typing import Any, cast
from urllib.parse import urlsplit

import requests
import urllib3
from requests.adapters import HTTPAdapter
from requests.structures import CaseInsensitiveDict
from requests.utils import default_headers, get_environ_proxies

from core.masking.external import outside
from core.reddit.json_body import ERROR_BODY, MAX_BODY, decode, too_large
from core.reddit.request_errors import BadAnswer

#: Timeout in seconds to connect, and between two pieces of an answer.
TIMEOUT = (5.0, 10.0)

_CHUNK = 256 * 1024
_GOOD = 200
_RESET = struct.pack("ii", 1, 0)  # SO_LINGER: on, 0 seconds
_DIGITS = 15  # of a plausible Content-Length
_ENCODINGS = ("gzip", "deflate")  # what `urllib3` decompresses in bounded steps, whatever else is installed


class Answer(requests.Response):
    """A response whose body has been read; its times are epoch seconds of this machine's clock."""

    sent_at: float = 0.0
    arrived_at: float = 0.0

    def json(self, **_options: Any) -> Any:  # noqa: ANN401 (as requests has it)
        """Decode the body, once and fast."""
        return decode(self.content)


class HttpClient:
    """Sends requests over persistent connections. Used from one thread, except for `abort`."""

    def __init__(self, ca_bundle: str | None = None, clock: Callable[[], float] = time.time) -> None:
        self.headers = default_headers()
        self.headers["Accept-Encoding"] = ", ".join(_ENCODINGS)
        self._sockets = _Sockets()
        self._adapter = _Adapter(self._sockets)
        self._verify: str | bool = ca_bundle or True
        self._proxies: dict[str, dict[str, str]] = {}
        self._clock = clock

    def request(
        self,
        method: str,
        url: str,
        *,
        params: Any = None,  # noqa: ANN401 (what requests takes)
        data: Any = None,  # noqa: ANN401
        headers: Mapping[str, str] | None = None,
        auth: tuple[str, str] | None = None,
        limit: int = MAX_BODY,
    ) -> Answer:
        """Send one request and read the whole answer; follow no redirect.

        Raises TooLarge, BadAnswer (unknown compression), and the errors of requests and urllib3.
        """
        prepared = requests.PreparedRequest()
        merged = CaseInsensitiveDict({**self.headers, **(headers or {})})
        prepared.prepare(method=method.upper(), url=url, headers=merged, params=params, data=data, auth=auth)
        proxies = self._proxies_for(url)
        try:
            sent_at = self._clock()
            # no redirect, retry, cookie or file: all of these belong to Session
            answer = cast(
                Answer,
                self._adapter.send(prepared, stream=True, timeout=TIMEOUT, verify=self._verify, proxies=proxies),
            )
            answer.sent_at, answer.arrived_at = sent_at, self._clock()
            read_body(answer, limit, self._sockets.check)
        finally:
            self._sockets.close_unused()
        return answer

    def _proxies_for(self, url: str) -> dict[str, str]:
        parts = urlsplit(url)
        origin = f"{parts.scheme}://{parts.netloc}"
        if origin not in self._proxies:
            self._proxies[origin] = dict(get_environ_proxies(origin, no_proxy=None))
        return self._proxies[origin]

    def abort(self) -> None:
        """End the request in progress, from another thread; later requests fail until `revive`."""
        self._sockets.abort()

    def revive(self) -> None:
        """Allow requests again, after the aborted one has ended."""
        self._sockets.revive()

    def close(self) -> None:
        """Close the persistent connections."""
        self._adapter.close()
        self._sockets.close()


def read_body(answer: requests.Response, limit: int, check: Callable[[], None]) -> None:
    """Read the body into the response, decompressed in small steps; `check` raises if the request was aborted.

    Raises TooLarge above `limit` bytes.
    """
    try:
        answer._content = _read(answer, limit, check)  # noqa: SLF001
    except urllib3.exceptions.DecodeError as error:
        answer.raw.close()
        raise BadAnswer("the body cannot be decompressed") from error
    except BaseException:
        answer.raw.close()  # the rest is not read: this connection cannot be reused
        raise
    answer.raw.release_conn()
    answer._content_consumed = True  # type: ignore[attr-defined]  # noqa: SLF001


def _read(answer: requests.Response, limit: int, check: Callable[[], None]) -> bytes:
    encoding = answer.headers.get("content-encoding", "identity").strip().lower()
    if encoding not in {*_ENCODINGS, "x-gzip", "identity", ""}:
        raise BadAnswer(f"a compression that was not requested: Content-Encoding: {outside(encoding, 40)!r}")
    if answer.status_code != _GOOD:
        return _read_error_body(answer, check)
    length = answer.headers.get("content-length", "")
    if length.isascii() and length.isdigit() and (len(length) > _DIGITS or int(length) > limit):
        raise too_large(limit)
    body = bytearray()  # not a list of pieces: a piece may be one or two bytes, and each would be an object
    try:
        _gather(answer, limit, check, body)
    except BaseException:
        body.clear()  # the error's traceback would keep it in memory
        raise
    check()  # a body without a length ends where its connection does
    return bytes(body)


def _gather(answer: requests.Response, limit: int, check: Callable[[], None], body: bytearray) -> None:
    for piece in answer.raw.stream(_CHUNK, decode_content=True):
        check()  # data that has arrived can still be read from a socket that is shut down
        body += piece
        if len(body) > limit:
            raise too_large(limit)


def _read_error_body(answer: requests.Response, check: Callable[[], None]) -> bytes:
    """Read the body of an error answer: its status counts, whatever the body's length."""
    body = bytearray()
    for piece in answer.raw.stream(ERROR_BODY, decode_content=True):
        check()
        body += piece
        if len(body) >= ERROR_BODY:
            answer.raw.close()
            break
    return bytes(body[:ERROR_BODY])


class _Adapter(HTTPAdapter):
    """The adapter from requests to urllib3, without cookies, with connections that can be shut down."""

    def __init__(self, sockets: "_Sockets") -> None:
        self._sockets = sockets
        super().__init__(pool_connections=4, pool_maxsize=1)

    def init_poolmanager(self, *args: Any, **kwargs: Any) -> None:  # noqa: ANN401
        super().init_poolmanager(*args, **kwargs)
        self._watch(self.poolmanager)

    def proxy_manager_for(self, proxy: Any, **kwargs: Any) -> Any:  # noqa: ANN401
        known = proxy in self.proxy_manager
        manager = super().proxy_manager_for(proxy, **kwargs)
        if not known:
            self._watch(manager)
        return manager

    def _watch(self, manager: Any) -> None:  # noqa: ANN401
        pools = manager.pool_classes_by_scheme
        manager.pool_classes_by_scheme = {scheme: _watched(pool, self._sockets) for scheme, pool in pools.items()}

    def build_response(self, req: requests.PreparedRequest, resp: Any) -> Answer:  # noqa: ANN401
        answer = Answer()
        answer.status_code = resp.status
        answer.headers = CaseInsensitiveDict(resp.headers)
        answer.raw = resp
        answer.reason = resp.reason
        answer.url = str(req.url)
        answer.request = req
        answer.connection = self
        return answer


def _watched(pool: Any, sockets: "_Sockets") -> Any:  # noqa: ANN401
    """Derive a class of connection pool whose connections register their sockets."""
    plain = pool.ConnectionCls

    def new_connection(connection: Any) -> socket.socket:  # noqa: ANN401
        made: socket.socket = plain._new_conn(connection)  # noqa: SLF001
        try:
            sockets.add(connection, made)
        except BaseException:
            made.close()
            raise
        return made

    watched = type(plain.__name__, (plain,), {"_new_conn": new_connection})
    return type(pool.__name__, (pool,), {"ConnectionCls": watched})


class _Sockets:
    """A second handle of each open connection, for the thread that ends another thread's wait.

    The handle is a duplicate of the descriptor, since TLS takes over the first one. It must be closed with its
    connection (`close_unused`), otherwise the server never sees the end.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._open: list[tuple[Any, socket.socket]] = []
        self._aborted = False

    def add(self, connection: Any, made: socket.socket) -> None:  # noqa: ANN401
        with self._lock:
            if self._aborted:
                raise ConnectionAbortedError("aborted while connecting")
            self._open.append((connection, socket.socket.dup(made)))

    def check(self) -> None:
        if self._aborted:
            raise ConnectionAbortedError("aborted")

    def abort(self) -> None:
        with self._lock:
            self._aborted = True
            for _, handle in self._open:
                with suppress(OSError):
                    # the close sends a reset: a server that waits for room in our buffer would see no other end
                    handle.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                    handle.shutdown(socket.SHUT_RDWR)

    def revive(self) -> None:
        self._aborted = False

    def close_unused(self) -> None:
        """Close the handles of connections that are closed."""
        with self._lock:
            for _, handle in [one for one in self._open if one[0].sock is None]:
                handle.close()
            self._open = [one for one in self._open if one[0].sock is not None]

    def close(self) -> None:
        with self._lock:
            for _, handle in self._open:
                handle.close()
            self._open = []
