"""From the bytes of an answer to what they say."""

import json

import orjson

from core.outside import outside
from core.reddit.errors import BadAnswer


def decode(body: bytes) -> object:
    """Decode JSON. Raises BadAnswer."""
    try:
        return orjson.loads(body)
    except ValueError:
        # half a pair of surrogates, as in a title cut off within an emoji, is too much for orjson alone
        try:
            return json.loads(body)
        except (ValueError, RecursionError) as error:
            raise BadAnswer(f"JSON that breaks off, or none: {outside(error)}") from error
