"""The keys of a rule, and the valid values of each."""

import base64
import binascii
import difflib
import math
import re
from collections.abc import Callable, Mapping
from typing import Any

from simulator.item import Kind


class RuleError(ValueError):
    """An invalid rule; the message says what is valid."""


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and value >= 0


def _is_share(value: object) -> bool:
    return _is_number(value) and 0 <= float(str(value)) <= 1


def _is_pattern(value: object) -> bool:
    try:
        return isinstance(value, str) and bool(value) and re.compile(value) is not None
    except re.error:
        return False


def _is_texts(value: object) -> bool:
    return isinstance(value, list) and bool(value) and all(isinstance(text, str) for text in value)


def _is_headers(value: object) -> bool:
    return isinstance(value, dict) and all(
        isinstance(one, str) and "\n" not in one and "\r" not in one
        for text in value.values()
        if text is not None
        for one in (text if isinstance(text, list) else [text])
    )


def _is_span(value: object) -> bool:
    if isinstance(value, list):
        return len(value) == 2 and all(_is_number(end) for end in value) and 0 < value[0] <= value[1]
    return _is_number(value)


def _is_base64(value: object) -> bool:
    try:
        return isinstance(value, str) and base64.b64decode(value, validate=True) is not None
    except (binascii.Error, ValueError):
        return False


Check = tuple[Callable[[object], bool], str]

_TEXT: Check = (lambda value: isinstance(value, str), "a text")
_SWITCH: Check = (lambda value: isinstance(value, bool), "true or false")
_COUNT: Check = (_is_count, "a whole number, 0 or more")
_SHARE: Check = (_is_share, "a share from 0 to 1")
_NAMES: Check = (_is_texts, "a list of names")
_ABOVE_0: Check = (lambda value: _is_number(value) and value != 0, "a number above 0")

#: which requests a rule applies to
CONDITIONS: dict[str, Check] = {
    "names": _NAMES,
    "all_names": _NAMES,
    "path": (_is_pattern, "a regular expression, searched in path and query"),
    "endpoint": (lambda value: value in ("data", "listing", "token", "any"), "data, listing, token or any"),
    "kind": (lambda value: value in set(Kind), "submissions or comments"),
    "anchored": _SWITCH,
    "holds": _TEXT,
    "position": _COUNT,
    "limit_above": _COUNT,
    "names_above": _COUNT,
    "longer_than": _COUNT,
    "share": _SHARE,
}
#: what happens to the answer
EFFECTS: dict[str, Check] = {
    "status": (lambda value: _is_count(value) and 200 <= int(str(value)) <= 999, "a status from 200 to 999"),
    "headers": (_is_headers, "an object of texts, lists of texts, or null to leave a header out"),
    "body": _TEXT,
    "body_base64": (_is_base64, "a text in base64"),
    "garbage": _COUNT,
    "repeat": _COUNT,
    "gzip": _SWITCH,
    "children": (lambda value: isinstance(value, list), "a list of things"),
    "at": _COUNT,
    "fields": (lambda value: isinstance(value, dict), "an object"),
    "without": _NAMES,
    "date_shift": (lambda value: isinstance(value, int | float) and math.isfinite(value), "seconds"),
    "truncate": _SHARE,
    "cut": _SHARE,
    "delay": (_is_span, "seconds, or [from, to] with 0 < from <= to"),
    "drip": _ABOVE_0,
    "hang": _ABOVE_0,
    "edge": _SWITCH,
}
_LIFE: dict[str, Check] = {
    "id": _TEXT,
    "seconds": _ABOVE_0,
    "count": (lambda value: _is_count(value) and value != 0, "a whole number, 1 or more"),
}
#: every key that a rule may contain
KEYS = CONDITIONS | EFFECTS | _LIFE


def check(given: Mapping[str, Any]) -> dict[str, Any]:
    """Return the rule's values; raise RuleError for the first invalid one."""
    for name, value in given.items():
        if name not in KEYS:
            near = difflib.get_close_matches(name, KEYS, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise RuleError(f"no key is called {name}: {hint}known are {', '.join(sorted(KEYS))}")
        right, words = KEYS[name]
        if not right(value):
            raise RuleError(f"{name} = {value!r}: give {words}")
    return dict(given)
