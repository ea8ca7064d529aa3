"""A hostile Reddit with the simulator's answers on raw sockets: direct, as an HTTP proxy and as a SOCKS5 proxy.

Each way is a port of its own. A trouble (tests.fuzz.worst) affects single answers; what was served is recorded.
"""

import asyncio
import json
import random
import ssl
import zlib
from collections import Counter, deque
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from email.utils import formatdate
from urllib.parse import parse_qsl, urlsplit

from simulator.answer import Answer
from simulator.crawl.crawl_paths import Address, CrawlRequest, read
from simulator.simulation import Simulation
from tests.fuzz.worst import MIB, Bad, Trouble, with_odd_fields_in

_TOKEN_PATH = "/api/v1/access_token"
#: Duration of a good answer, seconds.
_LATENCY = (0.03, 0.2)
_NAMELESS = frozenset({Address.RULES})
_BOMBS: dict[int, bytes] = {}


@dataclass(frozen=True, slots=True)
class Served:
    """One answer about a name."""

    at: float
    way: str
    asked: CrawlRequest
    family: str  #: of the trouble; empty for a good answer
    status: int


class HostileReddit:
    """Serves each way on a port of its own; `ways`: direct, http…, socks… by name."""

    def __init__(
        self,
        simulation: Simulation,
        now: Callable[[], float],
        dice: random.Random,
        ways: tuple[str, ...],
        tls: ssl.SSLContext | None = None,
    ) -> None:
        self.simulation = simulation
        self.troubles: list[Trouble] = []
        self.ports: dict[str, int] = {}
        self.served: list[Served] = []
        #: moments of all requests, including those for tokens
        self.requests: list[float] = []
        self.asked: dict[tuple[str, str], deque[float]] = {}
        self.tokens: list[tuple[float, str]] = []
        self.families: Counter[str] = Counter()
        #: names and posts that were served with fields of odd types, in lower case
        self.tampered: set[str] = set()
        self.errors: list[str] = []
        self.disconnects = 0  #: clients disconnect at any time
        self._now = now
        self._dice = dice
        self._ways = ways
        self._tls = tls
        self._recent: deque[tuple[str, CrawlRequest]] = deque(maxlen=60)
        self._servers: list[asyncio.Server] = []
        self._tasks: set[asyncio.Task[None]] = set()

    async def start(self) -> None:
        """Listen on every way."""
        for way in self._ways:
            tls = self._tls if way == "direct" else None
            server = await asyncio.start_server(self._accept(way), "127.0.0.1", 0, ssl=tls, limit=2**18)
            self.ports[way] = server.sockets[0].getsockname()[1]
            self._servers.append(server)

    async def close(self) -> None:
        """Close everything."""
        for server in self._servers:
            server.close()
        for task in [*self._tasks]:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    @property
    def bad(self) -> int:
        """Return the number of bad answers."""
        return sum(self.families.values())

    def _accept(self, way: str) -> Callable[[asyncio.StreamReader, asyncio.StreamWriter], None]:
        def accept(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.ensure_future(self._serve(way, reader, writer))
            self._tasks.add(task)
            task.add_done_callback(self._tasks.discard)

        return accept

    async def _serve(self, way: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            if way.startswith("socks") and not await self._greet(way, reader, writer):
                return
            await _Line(self, way, reader, writer).serve()
        except (OSError, asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            self.disconnects += 1
        except Exception as error:  # noqa: BLE001 -- an error of the test's own: the round fails with it
            self.errors.append(f"the server failed: {type(error).__name__}: {error}")
        finally:
            writer.transport.abort() if self._tls else writer.close()

    async def _greet(self, way: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        """Run the SOCKS5 handshake; return whether it succeeded."""
        bad = next((one.bad for one in self.troubles if self._is_handshake(one, way)), None)
        _, methods = await reader.readexactly(2)
        await reader.readexactly(methods)
        if bad is not None and bad.greeting is not None:
            self.families["proxy"] += 1
            writer.write(bad.greeting)
            await asyncio.sleep(0.05)
            return False
        writer.write(b"\x05\x00")
        _, _, _, kind = await reader.readexactly(4)
        length = (await reader.readexactly(1))[0] if kind == 3 else 4 if kind == 1 else 16
        await reader.readexactly(length + 2)
        if bad is not None and bad.reply is not None:
            self.families["proxy"] += 1
            writer.write(bad.reply)
            await asyncio.sleep(0.05)
            return False
        writer.write(b"\x05\x00\x00\x01\x7f\x00\x00\x01\x00\x00")
        await writer.drain()
        await self.secure(writer)
        return True

    def _is_handshake(self, one: Trouble, way: str) -> bool:
        is_one = one.bad.greeting is not None or one.bad.reply is not None
        return is_one and one.strikes(way, "", self._now(), self._dice, is_token=False)

    async def secure(self, writer: asyncio.StreamWriter) -> None:
        """Start TLS if Reddit's URL requires it."""
        if self._tls is not None:
            await writer.start_tls(self._tls, ssl_handshake_timeout=10.0)

    def choose(self, way: str, path: str, *, is_token: bool) -> Bad | None:
        """Return the fault of the answer to this request."""
        now = self._now()
        self.troubles = [one for one in self.troubles if one.until >= now and one.left > 0]
        for one in self.troubles:
            if one.bad.greeting is not None or one.bad.reply is not None:
                continue
            if one.strikes(way, path, now, self._dice, is_token=is_token):
                return one.bad
        return None

    def good(
        self, path: str, query: Mapping[str, str], authorization: str | None, asked: CrawlRequest | None
    ) -> Answer:
        """Return the correct answer."""
        now = self.simulation.now()
        if path == _TOKEN_PATH:
            return self.simulation.reddit.token(authorization, "client_credentials", now)
        return self.simulation.reddit.data(path, query, authorization, now, asked=asked)

    def another(self, asked: CrawlRequest | None) -> Answer | None:
        """Return the answer to another question that any client can distinguish from the correct one."""
        others = [one for _, one in self._recent if _differ(one, asked)]
        if asked is None or not others:
            return None
        answer = self.simulation.crawl.answer(self._dice.choice(others))
        is_listing = b'"children":[]' in answer.body[-60:] or b'"children": []' in answer.body
        return None if answer.status != 200 or is_listing else answer

    def note(self, way: str, target: str, asked: CrawlRequest | None, bad: Bad | None, status: int) -> None:
        """Record what was served."""
        now = self._now()
        self.requests.append(now)
        self.asked.setdefault((way, target), deque(maxlen=200)).append(now)
        if bad is not None:
            self.families[bad.family] += 1
        if asked is None:
            self.tokens.append((now, way))
            return
        self._recent.append((target, asked))
        self.served.append(Served(now, way, asked, bad.family if bad is not None else "", status))

    def odd(self, answer: Answer, asked: CrawlRequest | None) -> Answer:
        """Return the answer with some fields of other types."""
        document = json.loads(answer.body)
        if asked is not None:
            self.tampered.add(asked.name.lower())
        for child in (document.get("data") or {}).get("children") or []:
            self.tampered.add(str(child["data"].get("id")).lower())
        return Answer(answer.status, with_odd_fields_in(answer.body, self._dice), headers=answer.headers)


class _Line:
    """Serve one connection, from its first request on."""

    def __init__(
        self, world: HostileReddit, way: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._world = world
        self._way = way
        self._reader = reader
        self._writer = writer
        self._dice = world._dice  # noqa: SLF001

    async def serve(self) -> None:
        """Answer one request after the other."""
        while True:
            head = (await self._reader.readuntil(b"\r\n\r\n")).decode("latin-1")
            method, target, _ = head.split("\r\n", 1)[0].split(" ", 2)
            if method == "CONNECT":
                if not await self._connect():
                    return
                continue
            headers = _headers(head)
            await self._reader.readexactly(int(headers.get("content-length", 0)))
            parts = urlsplit(target)
            if not await self._answer(parts.path, parts.query, headers.get("authorization")):
                return

    async def _connect(self) -> bool:
        bad = self._world.choose(self._way, "CONNECT", is_token=False)
        if bad is not None and bad.family == "proxy":
            self._world.families["proxy"] += 1
            self._writer.write(b"HTTP/1.1 %d Refused\r\nContent-Length: 0\r\n\r\n" % (bad.status or 502))
            await self._writer.drain()
            return False
        self._writer.write(b"HTTP/1.1 200 Connection established\r\n\r\n")
        await self._writer.drain()
        await self._world.secure(self._writer)
        return True

    async def _answer(self, path: str, query: str, authorization: str | None) -> bool:
        """Answer one request; return whether the connection is still usable."""
        world, target = self._world, f"{path}?{query}"
        parameters = dict(parse_qsl(query))
        asked = read(path, parameters)
        await asyncio.sleep(self._dice.uniform(*_LATENCY))
        bad = world.choose(self._way, target, is_token=path == _TOKEN_PATH)
        good = world.good(path, parameters, authorization, asked)
        if bad is not None and bad.swap and (other := world.another(asked)) is not None:
            good = other
        elif bad is not None and bad.swap:
            bad = None
        if bad is not None and bad.odd and good.status == 200 and asked is not None:
            good = world.odd(good, asked)
        status = good.status if bad is None or bad.status is None else bad.status
        world.note(self._way, target, asked, bad, status)
        if bad is None:
            self._writer.write(_written(good))
            await self._writer.drain()
            return True
        return await self._spoil(good, bad, asked)

    async def _spoil(self, good: Answer, bad: Bad, asked: CrawlRequest | None) -> bool:
        writer = self._writer
        await asyncio.sleep(bad.delay)
        if bad.hang is not None:
            await asyncio.sleep(bad.hang)
            return False
        if bad.reset:
            writer.transport.abort()
            return False
        if bad.raw is not None:
            writer.write(bad.raw)
            await writer.drain()
            return False if self._dice.random() < 0.5 else await self._until_closed()
        answer = changed(good, bad, asked)
        if bad.cut is not None:
            whole = _written(answer)
            writer.write(whole[: int(len(whole) * bad.cut)])
            await writer.drain()
            return False
        writer.write(bad.before + _written(answer, bad.length))
        if bad.after is not None:
            if bad.later:
                await writer.drain()
                await asyncio.sleep(bad.later)
            writer.write(bad.after or _written(answer))
        await writer.drain()
        return True

    async def _until_closed(self) -> bool:
        """Send nothing more; the client closes it."""
        while await self._reader.read(65536):
            pass
        return False


def _differ(one: CrawlRequest, asked: CrawlRequest | None) -> bool:
    """Return whether the answer to one cannot be taken for the answer to the other."""
    if asked is None or one.name.lower() == asked.name.lower():
        return False
    return not (one.address in _NAMELESS and asked.address in _NAMELESS)


def changed(good: Answer, bad: Bad, asked: CrawlRequest | None) -> Answer:
    """Apply the changes of status, headers and body."""
    headers: dict[str, str | None] = {**good.headers}
    status, body, kind = good.status, good.body, good.content_type
    if bad.status is not None or bad.body is not None:
        status, body = bad.status or 200, bad.body or b""
        headers = {name: value for name, value in headers.items() if name.startswith("X-Ratelimit")}
    if bad.fields or bad.without:
        document = json.loads(good.body)
        document.pop(bad.without, None)
        body = json.dumps(document | bad.fields).encode()
    if bad.bomb:
        body, headers = _bomb(bad.bomb), headers | {"Content-Encoding": "gzip"}
    if bad.truncate is not None:
        body = body[: int(len(body) * bad.truncate)]
    name = asked.name if asked is not None else ""
    given = {key: value.replace("{name}", name) if value is not None else None for key, value in bad.headers.items()}
    if "Content-Type" in given:
        kind = given.pop("Content-Type") or ""
    sent = {key: value for key, value in (headers | given).items() if value is not None}
    return Answer(status, body, kind, sent)


def _written(answer: Answer, lengthened: int = 0) -> bytes:
    headers = {"Date": formatdate(usegmt=True), "Content-Type": answer.content_type, **answer.headers}
    headers["Content-Length"] = str(max(0, len(answer.body) + lengthened))
    lines = [f"HTTP/1.1 {answer.status} Said", *(f"{name}: {value}" for name, value in headers.items()), "", ""]
    return "\r\n".join(lines).encode("utf-8", "surrogateescape") + answer.body


def _headers(head: str) -> dict[str, str]:
    lines = (line.partition(":") for line in head.split("\r\n")[1:])
    return {name.strip().lower(): value.strip() for name, _, value in lines if name}


def _bomb(mib: int) -> bytes:
    """Return this number of MiB of spaces, compressed; made in little memory, and cached."""
    if mib not in _BOMBS:
        packer = zlib.compressobj(9, zlib.DEFLATED, 31)
        _BOMBS[mib] = b"".join([*(packer.compress(b" " * MIB) for _ in range(mib)), packer.flush()])
    return _BOMBS[mib]
