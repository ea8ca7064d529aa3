"""Applies the effects of rules to an answer."""

import base64
import random
import zlib
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from email.utils import formatdate
from typing import Any

import orjson

from simulator.answer import Answer

_CHUNK = 1 << 20
_LARGEST_PLAIN = 256 * _CHUNK
#: Most bytes that a compressed body may expand to: two rules together may ask for hundreds of gigabytes.
_LARGEST_PACKED = 1_000_000_000
#: a client may discard a good body that comes with one of these headers: it does not count as shown
_DECISIVE = frozenset({"content-type", "content-encoding", "content-length", "transfer-encoding", "location"})
_REPLACING = frozenset({"status", "body", "body_base64", "garbage"})
_SPOILING = frozenset({"truncate", "cut", "hang", "fields", "without"})


@dataclass(frozen=True, slots=True)
class Manner:
    """How an answer is sent."""

    #: bytes per second; None: as fast as possible
    drip: float | None = None
    #: the share of the body after which the connection is closed
    cut: float | None = None
    #: seconds of silence before the connection is closed
    hang: float | None = None
    #: lower-case names of headers that are left out, even if the web server would add them
    hidden: frozenset[str] = frozenset()
    #: headers that are sent several times
    several: Mapping[str, list[str]] = field(default_factory=dict)


def replaces(effects: Mapping[str, Any]) -> bool:
    """Return whether the effects keep nothing of the good answer except its rate headers."""
    return not _REPLACING.isdisjoint(effects)


def delay(effects: Mapping[str, Any], dice: random.Random) -> float:
    """Return the delay of the answer, seconds; drawn from a range with each order of magnitude equally likely."""
    span = effects.get("delay", 0.0)
    if not isinstance(span, list):
        return float(span)
    low, high = span
    return float(low * (high / low) ** dice.random())


def manner(effects: Mapping[str, Any]) -> Manner:
    """Return how the answer is sent."""
    headers: Mapping[str, Any] = effects.get("headers", {})
    return Manner(
        effects.get("drip"),
        effects.get("cut"),
        effects.get("hang"),
        frozenset(name.lower() for name, value in headers.items() if value is None),
        {name: value for name, value in headers.items() if isinstance(value, list)},
    )


def alter(answer: Answer, effects: Mapping[str, Any], dice: random.Random, now: float) -> Answer:
    """Apply the effects. `now` is the time on which the `Date` header is based."""
    if replaces(effects):
        answer = _replaced(answer, effects, dice)
    elif effects.get("children"):
        answer = replace(answer, body=_with_children(answer.body, effects["children"], effects.get("at", 0)))
    if "fields" in effects or "without" in effects:
        answer = replace(answer, body=_with_fields(answer.body, effects))
    body = answer.body * effects.get("repeat", 1) if not effects.get("gzip") else answer.body
    if "truncate" in effects:
        body = body[: int(len(body) * effects["truncate"])]
    headers = dict(answer.headers)
    if effects.get("gzip"):
        body = _compressed(body, effects.get("repeat", 1))
        headers["Content-Encoding"] = "gzip"
    if "date_shift" in effects:
        headers["Date"] = formatdate(now + effects["date_shift"], usegmt=True)
    given = {name: value for name, value in effects.get("headers", {}).items() if isinstance(value, str)}
    named = {name.lower() for name in effects.get("headers", {})}
    headers = {name: value for name, value in headers.items() if name.lower() not in named} | given
    shown = _SPOILING.isdisjoint(effects) and _DECISIVE.isdisjoint(named) and "repeat" not in effects
    kind = headers.pop(next((name for name in headers if name.lower() == "content-type"), ""), answer.content_type)
    return Answer(
        answer.status, body, kind, headers, answer.items if shown else (), answer.asked if shown else None
    )  # fmt: skip


def _replaced(answer: Answer, effects: Mapping[str, Any], dice: random.Random) -> Answer:
    body = effects.get("body", "").encode()
    if "body_base64" in effects:
        body = base64.b64decode(effects["body_base64"])
    if "garbage" in effects:
        body = dice.randbytes(effects["garbage"])
    if len(body) * effects.get("repeat", 1) > _LARGEST_PLAIN and not effects.get("gzip"):
        body = body[: _LARGEST_PLAIN // effects.get("repeat", 1)]
    kept = {name: value for name, value in answer.headers.items() if name.lower().startswith("x-ratelimit")}
    return Answer(effects.get("status", 200), body, headers=kept)


def _with_children(body: bytes, children: list[Any], at: int) -> bytes:
    try:
        document = orjson.loads(body)
        listed = document["data"]["children"]
    except (orjson.JSONDecodeError, TypeError, KeyError):
        return body
    listed[at:at] = children
    document["data"]["dist"] = len(listed)
    return orjson.dumps(document)


def _with_fields(body: bytes, effects: Mapping[str, Any]) -> bytes:
    """Change the outermost object of a JSON answer."""
    try:
        document = orjson.loads(body)
    except orjson.JSONDecodeError:
        return body
    if not isinstance(document, dict):
        return body
    left_out = set(effects.get("without", ()))
    document = {name: value for name, value in document.items() if name not in left_out}
    return orjson.dumps(document | effects.get("fields", {}))


def _compressed(body: bytes, repeat: int) -> bytes:
    """Compress the body, repeated as requested, without ever holding it whole."""
    repeat = min(repeat, max(1, _LARGEST_PACKED // max(1, len(body))))
    packer = zlib.compressobj(1, zlib.DEFLATED, 31)
    times = max(1, _CHUNK // max(1, len(body)))
    piece, rest = body * times, body * (repeat % times)
    parts = [packer.compress(piece) for _ in range(repeat // times)]
    return b"".join([*parts, packer.compress(rest), packer.flush()])
