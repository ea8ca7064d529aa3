"""Random bad answers, written as the simulator's rules. The same seed gives the same rules. Pure.

Left out: 400 and 401 from the token endpoint, and an "error" in its body. They mean wrong credentials, which parks a
stream on purpose. A lie that is well-formed (an empty listing) is the caller's choice: no client can
distinguish it from the truth.
"""

import base64
import json
import random
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

Rule = dict[str, Any]

STATUSES = (
    201, 202, 204, 206, 226, 300, 301, 302, 303, 304, 305, 307, 308, 400, 402, 403, 404, 405, 406, 408, 409, 410, 411,
    412, 413, 414, 415, 416, 417, 418, 421, 422, 423, 425, 426, 428, 429, 431, 444, 451, 460, 499, 500, 501, 502, 503,
    504, 505, 507, 508, 509, 511, 520, 521, 522, 524, 525, 527, 530, 599, 600, 799, 999,
)  # fmt: skip
BODIES = (
    "", " ", "null", "true", "0", "[]", "{}", '""', "[[[]]]", "NaN", "1e999", '{"kind": "Listing"}',
    '{"kind": "Listing", "data": null}', '{"kind": "Listing", "data": {"children": null}}',
    '{"kind": "Listing", "data": {"children": {}}}', '{"data": []}', '{"kind": "t5", "data": {"name": "t5_x"}}',
    '{"message": "Forbidden", "error": 403}', '{"message": "Not Found", "error": 404}', '{"reason": null}',
    '{"reason": "private", "message": "Forbidden", "error": 403}', '{"reason": {"a": [1]}, "error": "x"}',
    '{"reason": "PARAMETER_REQUIRED", "fields": ["x"]}', '{"jquery": [[0, 1, "call", ["body"]]], "success": false}',
    "<!doctype html><html><body>busy</body></html>", "<html>", "<?xml version='1.0'?><e/>", "error code: 1015",
    "upstream connect error or disconnect/reset before headers", "\ufeff{}", "{'kind': 'Listing'}", "[" * 3_000,
    '{"a":' * 5_000, "1" * 50_000, '"\\ud800"', "\x00\x00", "x" * 100_000,
)  # fmt: skip
NUMBERS = (
    "", "0", "1", "-1", "0.0", "1.5", "1e3", "600", "86400", "1e308", "1e999", "-1e999", "nan", "NaN", "inf", "-inf",
    "0x10", "1,000", "1_000", "\u0665", "999999999999999999999999", "soon", "Wed, 21 Oct 2065 07:28:00 GMT", "null",
    "Thu, 01 Jan 1970 00:00:00 GMT", "Wed, 99 Foo 2015", "2026-01-01T00:00:00Z", "30; 60", "30, 60", " 5 ",
)  # fmt: skip
CONTENT_TYPES = (
    None,
    "",
    "text/html",
    "text/plain",
    "application/octet-stream",
    "x",
    "application/json; charset=utf-7",
)
LOCATIONS = (
    "", "/", "/r/somewhere_else/.json?raw_json=1", "https://oauth.reddit.invalid/r/x/new", "http://127.0.0.1:1/",
    "//127.0.0.1:1/x", "/login", "/subreddits/search?q=x", "javascript:alert(1)", "http://[", "?x=" + "y" * 5_000,
)  # fmt: skip
COOKIES = (["a=1", "b=2; Max-Age=999999"], "session=" + "x" * 3_000, "=", "token=; expires=Thu, 01 Jan 1970", ";;;")
LIFETIMES: tuple[Any, ...] = (0, -1, 1, 5, 1e9, 1e308, "3600", "soon", None, True, [], {}, 3600.5)
FOREIGN: tuple[Any, ...] = (
    {"kind": "more", "data": {"count": 0, "name": "t1__", "id": "_", "parent_id": "t3_abc", "children": ["k1"]}},
    {"kind": "t5", "data": {"id": "2aaaa", "name": "t5_2aaaa", "display_name": "x"}},
    {"kind": "t4", "data": {"id": "m", "name": "t4_m", "body": "hello"}},
    {"kind": "t2", "data": {"id": "u", "name": "t2_u"}},
    {"kind": "LiveUpdate", "data": {"id": "LiveUpdate_x", "name": "LiveUpdate_x"}},
    {"kind": "t5", "data": {}}, {"data": {"a": 1}}, {"kind": None, "data": None}, None, 7, "text", [], {},
)  # fmt: skip


@dataclass(frozen=True, slots=True)
class Scene:
    """The limits of the rules."""

    subreddits: tuple[str, ...]
    #: the longest delay, seconds
    longest: float = 30.0
    #: sizes of bodies that are large, bytes
    sizes: tuple[int, ...] = (100_000, 3_000_000)
    #: whether a listing may come empty although there are items
    lies: bool = False


def rule(dice: random.Random, scene: Scene) -> Rule:
    """Return a random rule that lasts for a number of answers or seconds."""
    maker = dice.choices([maker for maker, _ in _MAKERS], [weight for _, weight in _MAKERS])[0]
    made = maker(dice, scene)
    if scene.lies and dice.random() < 0.03:
        made = {"body": '{"kind": "Listing", "data": {"after": null, "children": []}}'}
    made.setdefault("share", round(dice.choice([0.2, 0.5, 1.0, 1.0]), 2))
    if dice.random() < 0.5:
        made["count"] = dice.randint(1, 6)
    if "count" not in made or dice.random() < 0.5:
        made["seconds"] = round(dice.uniform(0.3, 6.0), 2)
    # the caller removes rules without an end; a rule with a count must not stay forever because no request matches it
    made.setdefault("seconds", 8.0)
    return made


def _status(dice: random.Random, _: Scene) -> Rule:
    made: Rule = {"status": dice.choice(STATUSES), **_body(dice), "edge": dice.random() < 0.3}
    headers: dict[str, Any] = {"Content-Type": dice.choice(CONTENT_TYPES)} if dice.random() < 0.5 else {}
    if made["status"] in range(300, 400):
        headers["Location"] = dice.choice((None, *LOCATIONS))
    if made["status"] in {429, 503} or dice.random() < 0.2:
        headers |= _numbers(dice, "Retry-After")
    if dice.random() < 0.3:
        headers |= _rates(dice)
    return made | {"headers": headers}


def _refusal(dice: random.Random, _: Scene) -> Rule:
    wait = dice.choice((None, "0", "1", "2", "3", "-5", "soon", "86400", "1e308"))
    headers = {"Retry-After": wait, "X-Ratelimit-Reset": dice.choice(("1", "2", "600", "86400"))}
    return {"status": 429, "headers": headers, "count": dice.randint(1, 3)}


def _headers(dice: random.Random, _: Scene) -> Rule:
    """Return the body unchanged."""
    headers = dice.choice((_rates, _rates, _cookies, _content, _dates, lambda one: _numbers(one, "Retry-After")))(dice)
    return {"headers": headers} | ({"date_shift": dice.choice((-86400, -90, 5, 3600, 4e7))} if not headers else {})


def _rates(dice: random.Random) -> dict[str, Any]:
    parts = ("X-Ratelimit-Used", "X-Ratelimit-Remaining", "X-Ratelimit-Reset")
    if dice.random() < 0.3:
        spent = (dice.choice(("100", "1e12", "1000000")), dice.choice(("0", "0.0", "1")), dice.choice(("600", "86400")))
        return dict(zip(parts, spent, strict=True))
    return {name: dice.choice((None, *NUMBERS)) for name in parts if dice.random() < 0.7}


def _numbers(dice: random.Random, name: str) -> dict[str, Any]:
    return {name: dice.choice((None, *NUMBERS))}


def _cookies(dice: random.Random) -> dict[str, Any]:
    return {"Set-Cookie": dice.choice(COOKIES)}


def _content(dice: random.Random) -> dict[str, Any]:
    encodings = ("gzip", "br", "zstd", "deflate", "identity", "x")
    return {
        "Content-Type": dice.choice(CONTENT_TYPES),
        **({"Content-Encoding": dice.choice(encodings)} if dice.random() < 0.5 else {}),
    }


def _dates(dice: random.Random) -> dict[str, Any]:
    return dice.choice(({}, {}, {"Date": None}, {"Date": dice.choice(NUMBERS)}))


def _body(dice: random.Random) -> Rule:
    return {"garbage": dice.randint(1, 5_000)} if dice.random() < 0.1 else {"body": dice.choice(BODIES)}


def _good_status(dice: random.Random, _: Scene) -> Rule:
    return {**_body(dice), "headers": {"Content-Type": dice.choice((*CONTENT_TYPES, "application/json"))}}


def _part(dice: random.Random, _: Scene) -> Rule:
    return {dice.choice(("truncate", "cut")): round(dice.random(), 3)}


def _foreign(dice: random.Random, _: Scene) -> Rule:
    children = [dice.choice(FOREIGN) for _ in range(dice.randint(1, 5))]
    return {"children": children, "at": dice.choice((0, 1, 50, 1000))}


def _odd_frame(dice: random.Random, _: Scene) -> Rule:
    after: Any = dice.choice(("t1_zzz", "", 5, "x" * 3_000, "t3_\ud83d\ude00", ["t1_a"], {}, True))
    data = {"after": after, "children": [dice.choice(FOREIGN)] * dice.randint(1, 3)}
    return {"body": json.dumps({"kind": dice.choice(("Listing", "listing", None, 5)), "data": data})}


def _size(dice: random.Random, scene: Scene) -> Rule:
    piece = dice.choice((" ", '{"kind": "Listing", "data": {"children": [', "[", "\x00", '"'))
    size = dice.choice(scene.sizes)
    return {"body": piece, "repeat": size // len(piece), "gzip": dice.random() < 0.7, "count": 1}


def _slow(dice: random.Random, scene: Scene) -> Rule:
    how = dice.choice(("delay", "delay", "drip", "hang"))
    if how == "delay":
        return {"delay": [0.05, scene.longest], "count": dice.randint(1, 4)}
    if how == "drip":
        return {"drip": dice.choice((100, 5_000, 200_000)), "count": 1}
    return {"hang": round(dice.uniform(0.1, scene.longest), 2), "count": 1}


def _named(dice: random.Random, scene: Scene) -> Rule:
    status = dice.choice((302, 400, 403, 404, 410, 414, 451, 500, 502))
    location = {"Location": dice.choice(LOCATIONS)} if status == 302 else {}
    return {
        "names": [dice.choice(scene.subreddits)],
        "status": status,
        **_body(dice),
        "headers": location,
        "share": 1.0,
    }


def _lower_page(dice: random.Random, _: Scene) -> Rule:
    where: Rule = {"position": dice.randint(1, 300)} if dice.random() < 0.5 else {"anchored": True}
    return {**where, "status": dice.choice((400, 404, 500, 502, 504)), "share": 1.0}


def _token(dice: random.Random, _: Scene) -> Rule:
    made: Rule = {"endpoint": "token"}
    how = dice.randrange(4)
    if how == 0:
        return made | {"fields": {"expires_in": dice.choice(LIFETIMES)}}
    if how == 1:
        return made | {"without": [dice.choice(("access_token", "expires_in", "scope", "token_type"))]}
    if how == 2:
        return made | {"fields": {"access_token": dice.choice(("", None, 5, "x", "\u00e9", "a\nb", "x" * 10_000))}}
    statuses = [status for status in STATUSES if status not in {400, 401}]
    return made | {"status": dice.choice(statuses), **_body(dice), "headers": _numbers(dice, "Retry-After")}


def _unauthorized(dice: random.Random, _: Scene) -> Rule:
    return {"status": 401, "body": dice.choice(BODIES), "count": dice.randint(1, 3)}


_Maker = Callable[[random.Random, Scene], Rule]
_MAKERS: tuple[tuple[_Maker, int], ...] = (
    (_status, 25), (_headers, 20), (_good_status, 12), (_part, 8), (_foreign, 6), (_odd_frame, 6), (_size, 2),
    (_slow, 6), (_named, 5), (_lower_page, 5), (_token, 5), (_unauthorized, 3), (_refusal, 5),
)  # fmt: skip


def encoded(body: bytes) -> Rule:
    """Return a rule that answers with exactly these bytes."""
    return {"body_base64": base64.b64encode(body).decode()}
