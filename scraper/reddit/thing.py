"""Reddit's wrapper: `{"kind": "t5", "data": {…}}`; the data may also come without it."""

from typing import Any, TypeAlias

from core.masking.external import outside
from core.reddit.request_errors import BadAnswer

#: An object of decoded JSON.
Object: TypeAlias = dict[str, Any]


def unwrap(thing: object, kind: str) -> Object | None:
    """Return the data of a thing of this kind; None for another kind or none."""
    if type(thing) is not dict:
        return None
    data = thing.get("data")
    if type(data) is dict:
        return data if thing.get("kind", kind) == kind else None
    return None if "kind" in thing else thing


def no(what: str, payload: object) -> BadAnswer:
    """Return the error that describes what arrived instead."""
    return BadAnswer(f"no {what} in the answer but {shown(payload)}")


def shown(value: object) -> str:
    """Describe a value in a few words, however large or deep it is."""
    if type(value) is dict:
        names = [outside(name, 40) for name in sorted(map(str, value))[:5]]
        return f"an object with {names}" if value else "an empty object"
    if type(value) is list:
        return f"a list of {len(value)}"
    return repr(outside(value, 80)) if type(value) is str else outside(repr(value), 80)
