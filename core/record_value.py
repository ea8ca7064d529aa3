r"""The bytes of a record: its own fields, and behind them the object `reddit`, if it has one. Pure.

`streams.record` writes `reddit` last and no white space between the parts. A quotation mark inside a text is written
`\"`, and the fields before it hold no objects. So the object is found and cut off without a parser, whatever it holds:
the own fields are read without it, and integers or depths that a parser refuses do no harm.
"""

from typing import Any

import orjson

#: The field with what Reddit served.
REDDIT = "reddit"

_BEGINS = b',"reddit":{'


def without_reddit(value: bytes) -> bytes | None:
    """Return the record without the object `reddit`; None if it has none.

    >>> without_reddit(b'{"text":"a","reddit":{"id":"x"}}')
    b'{"text":"a"}'
    """
    start = value.find(_BEGINS)
    if start < 0:
        return None
    own = value[:start] + b"}"
    try:
        orjson.loads(own)
    except ValueError:  # an object of another kind, inside another object
        return None
    return own


def own_fields(value: bytes) -> dict[str, Any]:
    """Return the decoded record, without `reddit`. Raises ValueError."""
    own = without_reddit(value)
    fields = orjson.loads(value if own is None else own)
    if not isinstance(fields, dict):
        raise ValueError("a record is a JSON object")  # noqa: TRY004 (callers expect an error about the value)
    return fields
