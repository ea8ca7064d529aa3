"""Decodes the bytes of an answer, and unwraps Reddit's objects. Pure.

Listings of posts are decoded straight into the stored fields: of about a hundred fields of a post, two dozen are
stored, the others are checked as JSON and skipped. This path accepts what Reddit nearly always sends and rejects
everything else; then the answer is decoded as objects, and each odd value is handled where it is read. Both paths
produce the same rows; a test checks this.
"""

from typing import Annotated, Any, Final, Literal, TypeAlias

import msgspec

from core.masking.external import outside
from core.reddit import json_body
from core.reddit.request_errors import BadAnswer
from scraper.reddit.question import LISTINGS, Question

#: An object of decoded JSON.
Object: TypeAlias = dict[str, Any]

#: Databases store no others, and JSON parsers disagree about them.
_Int = Annotated[int, msgspec.Meta(ge=-(2**63), le=2**63 - 1)]


class TypedPost(msgspec.Struct, gc=False):
    """The stored fields of a post. From `score` on, they are the last of scraper.reddit.rows.Post, in order."""

    id: str | None = None
    name: str | None = None
    subreddit: str | None = None
    author: str | None = None
    title: str | None = None
    selftext: str | None = None
    url: str | None = None
    permalink: str | None = None
    domain: str | None = None
    created_utc: float | None = None
    edited: bool | float | None = None
    score: _Int | None = None
    upvote_ratio: float | None = None
    num_comments: _Int | None = None
    num_crossposts: _Int | None = None
    is_self: bool | None = None
    is_video: bool | None = None
    over_18: bool | None = None
    spoiler: bool | None = None
    stickied: bool | None = None
    locked: bool | None = None
    archived: bool | None = None
    distinguished: str | None = None
    link_flair_text: str | None = None
    author_flair_text: str | None = None
    post_hint: str | None = None
    total_awards_received: _Int | None = None


class _Child(msgspec.Struct, gc=False):
    kind: Literal["t3"]
    data: TypedPost


class _Data(msgspec.Struct, gc=False):
    children: list[_Child]


class TypedListing(msgspec.Struct, gc=False):
    """A listing that contains only posts."""

    kind: Literal["Listing"]
    data: _Data

    @property
    def posts(self) -> list[TypedPost]:
        """The posts in their order."""
        return [child.data for child in self.data.children]


_DECODER: Final = msgspec.json.Decoder(TypedListing)


def typed_listing(body: bytes) -> TypedListing | None:
    """Decode a listing; None for anything that must be decoded as objects.

    That is: invalid JSON, NaN, half surrogates, bytes that are not text, things that are not posts, a value of
    another type.
    """
    try:
        return _DECODER.decode(body)
    except (msgspec.MsgspecError, ValueError, RecursionError):
        return None


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
        raise BadAnswer(f"truncated JSON, or none: {outside(error)}") from error


def unwrap(thing: object, kind: str) -> Object | None:
    """Return the data of `{"kind": "t5", "data": {…}}` or of the bare data; None for another kind or none."""
    if type(thing) is not dict:
        return None
    data = thing.get("data")
    if type(data) is dict:
        return data if thing.get("kind", kind) == kind else None
    return None if "kind" in thing else thing


def answer_without(what: str, payload: object) -> BadAnswer:
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
