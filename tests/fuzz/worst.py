"""Random bad answers for the scraper, and the place of each. The same seed gives the same ones. Pure.

Left out, because no client can distinguish it from the truth: an empty listing in place of another one, the rules of
another subreddit on a new connection, a refusal with a reason, a redirect to the search for the very name.
"""

import json
import random
import re
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

from tests.fuzz.badness import BODIES, CONTENT_TYPES, COOKIES, LIFETIMES, LOCATIONS, NUMBERS, STATUSES

MIB = 2**20

_BODIES = tuple(body for body in BODIES if '"private"' not in body)
_EMPTY_LISTING = '{"kind": "Listing", "data": {"after": null, "children": []}}'
_ODD_VALUES: tuple[Any, ...] = (
    None, True, False, 0, -1, 1e308, 10**30, -(2**63), 2**63, 1.5, "", "text", [], [None], {}, {"a": {"b": []}},
    "\u0000", "\ud800", "\u202e\x1b[31m", float("nan"), float("inf"), "x" * 50_000,
)  # fmt: skip
#: Fields that identify a thing: they get no other text, or the answer would be about another one.
_IDENTITY = frozenset({"id", "name", "display_name", "subreddit", "author", "title", "kind"})

_JSON = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"
#: Answers that are not HTTP, or HTTP that contradicts itself.
RAW: tuple[bytes, ...] = (
    b"",
    b"\x00" * 200,
    b"SSH-2.0-OpenSSH_9.6\r\n",
    b"HTTP/1.1 abc\r\n\r\n",
    b"HTTP/9.9 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 200\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.0 200 OK\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 99999 No\r\nContent-Length: 2\r\n\r\n{}",
    b"HTTP/1.1 100 Continue\r\n\r\n",
    b"HTTP/1.1 103 Early Hints\r\nLink: <x>\r\n\r\n" * 50,
    b"HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n\x81\x00",
    b"HTTP/1.1 204 No Content\r\nContent-Length: 5\r\n\r\nhello",
    b"HTTP/1.1 304 Not Modified\r\nContent-Length: 5\r\n\r\nhello",
    _JSON + b"Content-Length: -5\r\n\r\n{}",
    _JSON + b"Content-Length: 2\r\nContent-Length: 7\r\n\r\n{}",
    _JSON + b"Content-Length: 0x2\r\n\r\n{}",
    _JSON + b"Content-Length: 99999999999999999999999\r\n\r\n{}",
    _JSON + b"Content-Length: 2\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    _JSON + b"Transfer-Encoding: chunked\r\n\r\nZZZ\r\n{}",
    _JSON + b"Transfer-Encoding: chunked\r\n\r\n-2\r\n{}\r\n0\r\n\r\n",
    _JSON + b"Transfer-Encoding: chunked\r\n\r\n2;" + b"x" * 20_000 + b"\r\n{}\r\n0\r\n\r\n",
    _JSON + b"Transfer-Encoding: gzip, chunked\r\n\r\n2\r\n{}\r\n0\r\n\r\n",
    _JSON + b"Content-Encoding: gzip\r\nContent-Length: 4\r\n\r\n\x1f\x8b\x08\x00",
    _JSON + b"Content-Encoding: deflate\r\nContent-Length: 4\r\n\r\n\xff\xff\xff\xff",
    _JSON + b"Content-Encoding: br\r\nContent-Length: 4\r\n\r\n\x8b\x8b\x8b\x8b",
    _JSON + b"Content-Encoding: zstd\r\nContent-Length: 4\r\n\r\n\x28\xb5\x2f\xfd",
    _JSON + b"X-Long: " + b"x" * 100_000 + b"\r\nContent-Length: 2\r\n\r\n{}",
    _JSON + b"X-Many: 1\r\n" * 4_000 + b"Content-Length: 2\r\n\r\n{}",
    _JSON + b"X-Nul: \x00\r\nContent-Length: 2\r\n\r\n{}",
    _JSON + b" folded: yes\r\nContent-Length: 2\r\n\r\n{}",
    _JSON + b"No colon here\r\nContent-Length: 2\r\n\r\n{}",
    _JSON + b": no name\r\nContent-Length: 2\r\n\r\n{}",
    _JSON + b"X-Latin: \xff\xfe\xe9\r\nContent-Type: \xff\r\nContent-Length: 2\r\n\r\n{}",
    b"\r\n\r\n\r\n" + _JSON + b"Content-Length: 2\r\n\r\n{}",
)  # fmt: skip

#: Answers of a SOCKS proxy in place of its greeting, and in place of "connected".
GREETINGS = (b"", b"\x05\xff", b"\x05\x02", b"\x04\x5b" + b"\x00" * 6, b"HTTP/1.1 400 Bad Request\r\n\r\n", b"\x00")
REPLIES = (b"", b"\x05\x01\x00\x01" + b"\x00" * 6, b"\x05\x05\x00\x01" + b"\x00" * 6, b"\x05\x00\x00\x09", b"\x05\xff")


@dataclass(slots=True)
class Bad:
    """The faults of an answer; a field that is None or empty changes nothing."""

    family: str
    status: int | None = None
    body: bytes | None = None
    headers: dict[str, str | None] = field(default_factory=dict)
    raw: bytes | None = None  #: in place of the whole answer
    before: bytes = b""
    after: bytes | None = None  #: after the answer, unrequested; b"" means the same answer again
    later: float = 0.0  #: seconds until `after` comes
    cut: float | None = None  #: this share of the body, then the connection is closed
    truncate: float | None = None  #: this share of the body, presented as complete
    length: int = 0  #: added to the true Content-Length
    hang: float | None = None  #: send nothing for these seconds, then close
    reset: bool = False
    delay: float = 0.0
    swap: bool = False  #: the answer to another question
    odd: bool = False  #: the right answer with fields of other types
    bomb: int = 0  #: MiB of spaces, compressed
    fields: dict[str, Any] = field(default_factory=dict)  #: of the token
    without: str | None = None
    greeting: bytes | None = None  #: of a SOCKS proxy
    reply: bytes | None = None

    @property
    def replaces(self) -> bool:
        """Whether nothing of the right answer is left."""
        return self.status is not None or self.body is not None or self.raw is not None or self.swap or bool(self.bomb)


@dataclass(slots=True)
class Trouble:
    """A bad answer, where it occurs, how often and how long."""

    bad: Bad
    ways: frozenset[str]  #: of proxies; empty: everywhere
    path: re.Pattern[str] | None
    on_tokens: bool
    share: float
    left: int
    until: float

    def strikes(self, way: str, path: str, now: float, dice: random.Random, *, is_token: bool) -> bool:
        """Return whether it applies to this request, and count it."""
        if now > self.until or self.left <= 0 or (self.ways and way not in self.ways):
            return False
        if is_token != self.on_tokens and self.bad.family != "proxy":
            return False
        if self.path is not None and not self.path.search(path):
            return False
        if dice.random() >= self.share:
            return False
        self.left -= 1
        return True


def trouble(dice: random.Random, ways: tuple[str, ...], names: list[str], now: float) -> Trouble:
    """Return a random trouble; `names`: paths that may be chosen, such as /r/Bitcoin."""
    maker = dice.choices([maker for maker, _ in _MAKERS], [weight for _, weight in _MAKERS])[0]
    bad = maker(dice)
    is_token = bad.family.startswith("token")
    path = None
    if not is_token and dice.random() < 0.4:
        part = dice.choice(
            (r"/about(\.json)?\?", "/rules", "/hot", "t=week", "t=year", "/submitted", "^/user/", "^/r/")
        )
        path = re.compile(part)
    elif not is_token and names and dice.random() < 0.4:
        path = re.compile(f"^{re.escape(quote(dice.choice(names)))}/", re.IGNORECASE)
    chosen = frozenset(dice.sample(ways, dice.randint(1, len(ways)))) if dice.random() < 0.5 else frozenset[str]()
    few = bad.bomb or bad.hang is not None
    left = dice.randint(1, 4) if few else dice.choice((1, 2, 5, 20, 60))
    return Trouble(bad, chosen, path, is_token, dice.choice((0.2, 0.5, 1.0)), left, now + dice.uniform(0.5, 40.0))


def _status(dice: random.Random) -> Bad:
    bad = Bad("status", status=dice.choice(STATUSES), body=_body(dice))
    if dice.random() < 0.5:
        bad.headers["Content-Type"] = dice.choice(CONTENT_TYPES)
    if bad.status in {429, 503} or dice.random() < 0.2:
        bad.headers["Retry-After"] = dice.choice((None, *NUMBERS))
    if dice.random() < 0.3:
        bad.headers |= _rates(dice)
    return bad


def _refusal(dice: random.Random) -> Bad:
    """Refuse without a reason, as Reddit, a proxy or a firewall does."""
    status = dice.choice((400, 401, 403, 403, 404, 404, 410, 418, 451))
    body = dice.choice((f'{{"message": "no", "error": {status}}}', "{}", "", "<html>no</html>", '{"reason": ""}'))
    return Bad("refusal", status=status, body=body.encode())


def _redirect(dice: random.Random) -> Bad:
    """Redirect elsewhere; {name} is the requested name."""
    places = (
        *LOCATIONS, "/r/Elsewhere/about.json", "/user/Somebody/about", "/r/{name}/about?x=1", "/over18?dest=/r/{name}",
        "/login?dest=https%3A%2F%2Fwww.reddit.com%2Fr%2F{name}", "https://www.reddit.com/r/{name}/about.json",
        "https://www.reddit.com/", "/r/{name}", "/quarantine?dest=%2Fr%2FElsewhere", "\x7f", "/r/%ff%fe/about",
    )  # fmt: skip
    status = dice.choice((300, 301, 302, 303, 307, 308))
    return Bad("redirect", status=status, body=b"", headers={"Location": dice.choice((None, *places))})


def _good_status(dice: random.Random) -> Bad:
    body = dice.choice((_body(dice), _EMPTY_LISTING.encode(), b"", json.dumps(dice.choice(_ODD_VALUES)).encode()))
    return Bad("body", status=200, body=body, headers={"Content-Type": dice.choice((*CONTENT_TYPES, "text/html"))})


def _limits(dice: random.Random) -> Bad:
    headers: dict[str, str | None] = {"Retry-After": dice.choice((None, "0", "1", "3", "-5", "soon", "86400", "1e308"))}
    return Bad("429", status=429, body=b"{}", headers=headers | (_rates(dice) if dice.random() < 0.5 else {}))


def _headers(dice: random.Random) -> Bad:
    """Leave the body unchanged."""
    kinds: tuple[Callable[[], dict[str, str | None]], ...] = (
        lambda: _rates(dice),
        lambda: {"Set-Cookie": str(dice.choice(COOKIES))},
        lambda: {"Content-Type": dice.choice(CONTENT_TYPES)},
        lambda: {"Date": dice.choice((None, *NUMBERS))},
        lambda: {"Retry-After": dice.choice(NUMBERS)},
        lambda: {"Connection": dice.choice(("close", "keep-alive, Upgrade", "x")), "Keep-Alive": "timeout=0"},
        lambda: {"Content-Encoding": dice.choice(("gzip", "deflate", "br", "zstd", "identity", "x"))},
    )
    return Bad("headers", headers=dice.choice(kinds)())


def _raw(dice: random.Random) -> Bad:
    return Bad("raw", raw=dice.choice(RAW) if dice.random() < 0.9 else dice.randbytes(dice.randint(1, 3_000)))


def _framing(dice: random.Random) -> Bad:
    how = dice.randrange(4)
    if how == 0:
        return Bad("framing", before=b"HTTP/1.1 103 Early Hints\r\nLink: </x>\r\n\r\n")
    if how == 1:
        return Bad("framing", length=dice.choice((-1, -50, 1, 5_000)))
    if how == 2:
        return Bad("framing", cut=dice.random())
    return Bad("framing", truncate=dice.random())


def _again(dice: random.Random) -> Bad:
    """Send more than was requested: the same again, or another answer."""
    extra = dice.choice((b"", b"", b"x", b"HTTP/1.1 200 OK\r\nContent-Length: 2\r\n\r\n{}", b"\r\n"))
    return Bad("again", after=extra, later=dice.choice((0.0, 0.0, 0.02, 0.3, 2.0)))


def _swap(_: random.Random) -> Bad:
    return Bad("swap", swap=True)


def _odd(_: random.Random) -> Bad:
    return Bad("odd", odd=True)


def _slow(dice: random.Random) -> Bad:
    how = dice.randrange(3)
    if how == 0:
        return Bad("slow", delay=dice.choice((0.5, 3.0, 10.0, 60.0)))
    return Bad("slow", hang=dice.uniform(0.1, 60.0)) if how == 1 else Bad("slow", reset=True)


def _bomb(dice: random.Random) -> Bad:
    return Bad("bomb", bomb=dice.choice((8, 33, 60)))


def _proxy(dice: random.Random) -> Bad:
    """Return answers of the proxy itself, including those to token requests."""
    how = dice.randrange(5)
    if how == 0:
        return Bad("proxy", status=407, body=b"", headers={"Proxy-Authenticate": 'Basic realm="x"'})
    if how == 1:
        return Bad("proxy", status=dice.choice((400, 403, 500, 502, 503, 504)), body=b"<html>proxy</html>")
    if how == 2:
        return Bad("proxy", status=200, body=b"<html>your plan has expired</html>")
    if how == 3:
        if dice.random() < 0.5:
            return Bad("proxy", greeting=dice.choice(GREETINGS))
        return Bad("proxy", reply=dice.choice(REPLIES))
    return Bad("proxy", reset=True)


def _token(dice: random.Random) -> Bad:
    how = dice.randrange(5)
    if how == 0:
        return Bad("token", fields={"expires_in": dice.choice(LIFETIMES)})
    if how == 1:
        return Bad("token", without=dice.choice(("access_token", "expires_in", "scope", "token_type")))
    if how == 2:
        odd = ("", None, 5, "x", "\u00e9", "a\nb", "x" * 10_000)
        return Bad("token", fields={"access_token": dice.choice(odd)})
    status = dice.choice((400, 401, *STATUSES))
    return Bad("token", status=status, body=_body(dice), headers={"Retry-After": dice.choice((None, *NUMBERS))})


def _rates(dice: random.Random) -> dict[str, str | None]:
    parts = ("X-Ratelimit-Used", "X-Ratelimit-Remaining", "X-Ratelimit-Reset")
    if dice.random() < 0.3:
        spent = (dice.choice(("100", "1e12", "1000000")), dice.choice(("0", "0.0", "1")), dice.choice(("600", "86400")))
        return dict(zip(parts, spent, strict=True))
    return {name: dice.choice((None, *NUMBERS)) for name in parts if dice.random() < 0.7}


def _body(dice: random.Random) -> bytes:
    return dice.randbytes(dice.randint(1, 5_000)) if dice.random() < 0.1 else dice.choice(_BODIES).encode()


_MAKERS: tuple[tuple[Callable[[random.Random], Bad], int], ...] = (
    (_status, 14), (_refusal, 10), (_redirect, 9), (_good_status, 10), (_limits, 4), (_headers, 9), (_raw, 12),
    (_framing, 8), (_again, 8), (_swap, 8), (_odd, 10), (_slow, 7), (_bomb, 1), (_proxy, 8), (_token, 6),
)  # fmt: skip


def with_odd_fields_in(body: bytes, dice: random.Random) -> bytes:
    """Return JSON in which some values have another type; none of them shows that it is about another name."""
    chance = dice.choice((0.01, 0.1, 0.5))

    def change(value: Any, key: str) -> Any:
        if dice.random() < chance and key not in {"data", "children", "rules", ""}:
            odd = dice.choice(_ODD_VALUES)
            return value if key in _IDENTITY and isinstance(odd, str) else odd
        if isinstance(value, dict):
            return {name: change(inner, name) for name, inner in value.items()}
        return [change(inner, "") for inner in value] if isinstance(value, list) else value

    return json.dumps(change(json.loads(body), "")).encode()
