"""Reddit's wrapping: `{"kind": "t5", "data": {…}}`; the data may also come without it."""

from core.reddit.errors import BadAnswer
from scraper.parse.field import Object


def unwrap(thing: object, kind: str) -> Object | None:
    """Return the data of a thing of this kind, None where it is another or none."""
    if type(thing) is not dict:
        return None
    data = thing.get("data")
    if type(data) is dict:
        return data if thing.get("kind", kind) == kind else None
    return None if "kind" in thing else thing


def no(what: str, payload: object) -> BadAnswer:
    """Return the error that says what came instead, however large or deep it is."""
    if type(payload) is dict:
        came = f"an object with {sorted(map(str, payload))[:5]}" if payload else "an empty object"
    elif type(payload) is list:
        came = f"a list of {len(payload)}"
    else:
        came = repr(payload)[:80]
    return BadAnswer(f"no {what} in the answer but {came}")
