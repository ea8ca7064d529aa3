"""From the bytes of an answer to what they say."""

from core.outside import outside
from core.reddit import body
from core.reddit.errors import BadAnswer


def decode(text: bytes) -> object:
    """Decode JSON. Raises BadAnswer; TooLarge where the objects would take too much memory."""
    try:
        return body.decode(text)
    except (ValueError, RecursionError) as error:
        raise BadAnswer(f"JSON that breaks off, or none: {outside(error)}") from error
