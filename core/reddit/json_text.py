"""Writes what Reddit served as JSON in UTF-8, also where orjson refuses it. Pure.

- Half of a surrogate pair, which JSON can escape and UTF-8 cannot hold, becomes U+FFFD.
- An integer of any size keeps its digits, up to 4,300: Python neither reads nor writes more.
- A number that is not finite, or an integer of more digits, becomes null.
- Objects and arrays may be nested to any depth.
"""

import orjson


def clean(text: str) -> str:
    """Replace halves of surrogate pairs: legal in JSON's escapes, invalid in UTF-8, in SQLite and in a URL."""
    try:
        text.encode()
    except UnicodeEncodeError:
        return text.encode("utf-16", "surrogatepass").decode("utf-16", "replace")
    return text


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
