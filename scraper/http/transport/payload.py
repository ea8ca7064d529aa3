"""Decodes the bytes of an answer."""

from core.masking.external import outside
from core.reddit import json_body
from core.reddit.request_errors import BadAnswer
from scraper.reddit.question import LISTINGS, Question
from scraper.reddit.typed_listing import typed_listing


def decode(text: bytes, question: Question | None = None) -> object:
    """Decode JSON: an ordinary listing into a TypedListing, anything else into objects.

    Raises BadAnswer; TooLarge when the objects would take too much memory.
    """
    try:
        if question is not None and question.kind in LISTINGS:
            json_body.check_size(text)  # a typed post takes no more memory than the object that is counted for it
            listing = typed_listing(text)
            if listing is not None:
                return listing
        return json_body.decode(text)
    except (ValueError, RecursionError) as error:
        raise BadAnswer(f"JSON that breaks off, or none: {outside(error)}") from error
