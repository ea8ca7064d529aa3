"""The object `reddit` of a record: what Reddit served, without the rendered copies of its texts. Pure.

Every value keeps its type. `to_json` writes what orjson refuses:

- half of a surrogate pair, which JSON can escape and UTF-8 cannot hold, becomes U+FFFD;
- an integer of any size keeps its digits, up to 4,300: Python neither reads nor writes more;
- a number that is not finite, or an integer of more digits, becomes null;
- objects and arrays may be nested to any depth.
"""

from typing import Any

import orjson

from streams.reddit.listing_page import clean

#: The ending of the names of fields that hold a text again, as HTML.
_HTML = "_html"
_COMMON = ("body_html", "selftext_html")


def served(data: dict[str, Any]) -> dict[str, Any]:
    """Return a copy of the object without its own `*_html` fields; objects inside it stay whole.

    It runs once per item: most have no such field but the common two, and a search in all names at once shows that.
    """
    kept = data.copy()
    for name in _COMMON:
        kept.pop(name, None)
    names = "\n".join(kept)
    if _HTML in names and ("_html\n" in names or names.endswith(_HTML)):
        for name in [name for name in kept if name.endswith(_HTML)]:
            del kept[name]
    return kept


def to_json(document: object) -> bytes:
    """Return an object of parsed JSON as JSON in UTF-8, also where orjson refuses it; without recursion."""
    parts: list[str] = []
    #: what is still to be written, the next one last: (a text as it is, or else a value)
    left: list[tuple[str | None, object]] = [(None, document)]
    while left:
        text, value = left.pop()
        if text is not None:
            parts.append(text)
        elif isinstance(value, dict):
            left.append(("}", None))
            for place in reversed(list(enumerate(value.items()))):
                number, (name, inner) = place
                left += [(None, inner), (f"{',' if number else ''}{_scalar(name)}:", None)]
            left.append(("{", None))
        elif isinstance(value, list):
            left.append(("]", None))
            for number, inner in reversed(list(enumerate(value))):
                left += [(None, inner), (",", None)] if number else [(None, inner)]
            left.append(("[", None))
        else:
            parts.append(_scalar(value))
    return "".join(parts).encode()


def _scalar(value: object) -> str:
    """Return a text, a number, true, false or null as JSON."""
    try:
        return orjson.dumps(value).decode()
    except TypeError:
        if isinstance(value, str):
            return orjson.dumps(clean(value)).decode()
        return _digits(value) if isinstance(value, int) else "null"


def _digits(value: int) -> str:
    try:
        return str(value)
    except ValueError:  # longer than Python's limit (sys.set_int_max_str_digits)
        return "null"
