"""Typed reading of an object's fields: a value of an unexpected type counts as missing.

A row is read with a table of (key, kind), one step per field: each of a crawl's hundred thousand posts has two dozen.
"""

import math
from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any, TypeAlias

from scraper.reddit.payload import Object

#: (key, kind): str, bool, int, float, or datetime for seconds since 1970.
Field: TypeAlias = tuple[str, type]


def read(data: Object, fields: Iterable[Field]) -> list[Any]:
    """Return the values of the fields in their order, each of its kind or None."""
    get = data.get
    return [
        value if type(value := get(key)) is kind else None if value is None else _CONVERT[kind](value)
        for key, kind in fields
    ]


def text(data: Object, key: str) -> str | None:
    """Return a text that is neither missing nor empty, else None."""
    value = data.get(key)
    return value if type(value) is str and value else None


def own_id(data: Object, prefix: str) -> str | None:
    """Return the id without its prefix: `id`, or what follows the prefix in the fullname."""
    plain = text(data, "id")
    if plain is not None:
        return plain
    fullname = text(data, "name") or ""
    return fullname.removeprefix(prefix) or None if fullname.startswith(prefix) else None


def moment(value: object) -> datetime | None:
    """Return the time of seconds since 1970; None for anything that is not such a number."""
    if type(value) is float or type(value) is int:
        try:
            return datetime.fromtimestamp(value, UTC)
        except (ValueError, OverflowError, OSError):  # NaN, infinite, or beyond the years 1 to 9999
            return None
    return None


def _whole(value: object) -> int | None:
    return int(value) if type(value) is float and math.isfinite(value) else None


def _number(value: object) -> float | None:
    try:
        return float(value) if type(value) is int else None
    except OverflowError:  # hundreds of digits
        return None


def _nothing(_value: object) -> None:
    return None


#: Converters for values of an unexpected type.
_CONVERT: dict[type, Callable[[object], Any]] = {
    datetime: moment,
    int: _whole,
    float: _number,
    str: _nothing,
    bool: _nothing,
}
