"""Decodes listings of posts straight into the stored fields. Pure.

Of about a hundred fields of a post, two dozen are stored: the others are checked as JSON and skipped. This path
accepts what Reddit nearly always sends and rejects everything else; then the answer is decoded as objects, and each
odd value is handled where it is read. Both paths produce the same rows; a test checks this.
"""

from typing import Annotated, Final, Literal

import msgspec

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
