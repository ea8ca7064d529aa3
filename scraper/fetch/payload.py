"""From the bytes of an answer to what they say."""

from core.outside import outside
from core.reddit import body
from core.reddit.errors import BadAnswer
from scraper.listing import typed_listing
from scraper.question import LISTINGS, Question


def decode(text: bytes, question: Question | None = None) -> object:
    """Decode JSON: an ordinary listing into a TypedListing, anything else into objects.

    Raises BadAnswer; TooLarge where the objects would take too much memory.
    """
    try:
        if question is not None and question.kind in LISTINGS:
            body.check_size(text)  # a typed post takes no more memory than the object that is counted for it
            listing = typed_listing(text)
            if listing is not None:
                return listing
        return body.decode(text)
    except (ValueError, RecursionError) as error:
        raise BadAnswer(f"JSON that breaks off, or none: {outside(error)}") from error
