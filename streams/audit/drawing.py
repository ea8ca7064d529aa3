"""Draws the samples of the audit: at random, and so that items that may be missing together stay few. Pure."""

from collections.abc import Iterable, Sequence
from random import Random
from typing import NamedTuple

from streams.reddit.listing_page import Item

#: Most items of one answer that count as a sample; more of them would hardly be independent.
MOST_OF_TREE = 4
MOST_OF_PAGE = 10

#: Pairs of posts that show the order of ids: created this long apart (seconds), and at least this number of them.
_APART_S = 5.0
_FEWEST_PAIRS = 100


class Ask(NamedTuple):
    """A request: path and parameters."""

    path: str
    params: dict[str, str | int]


def info(names: Sequence[str]) -> Ask:
    """Return the request for these items, at most 100."""
    return Ask("/api/info", {"id": ",".join(names)})


def of_different_minutes(items: Iterable[Item], most: int, random: Random) -> list[Item]:
    """Draw at most this many items at random, each created in another minute."""
    shuffled = [item for item in items if item.created is not None]
    random.shuffle(shuffled)
    drawn: dict[int, Item] = {}
    for item in shuffled:
        drawn.setdefault(int((item.created or 0.0) // 60), item)
        if len(drawn) == most:
            break
    return list(drawn.values())


def by_size(posts: Sequence[Item], count: int, random: Random) -> list[Item]:
    """Draw posts, each with a probability proportional to its number of comments; the same one only once.

    A comment that is then drawn from a post's tree has the same chance in a large and in a small tree.
    """
    sizes = [_comments(post) for post in posts]
    if not any(sizes):
        return []
    return list({post.name: post for post in random.choices(posts, sizes, k=count)}.values())


def _comments(post: Item) -> int:
    count = post.data.get("num_comments")
    return max(0, count) if isinstance(count, int) and not isinstance(count, bool) else 0


def concordance(items: Sequence[Item]) -> float | None:
    """Return the share of pairs of items whose ids are in the order of their creation; None: too few.

    1: the ids are sequential; 0.5: they are random. Pairs that were created within a few seconds do not count.
    """
    known = sorted((item.created, id_number(item)) for item in items if item.created is not None and id_number(item))
    agree = total = 0
    for place, (created, number) in enumerate(known):
        for later, other in known[place + 1 :]:
            if later - created >= _APART_S and number != other:
                total += 1
                agree += other > number
    return agree / total if total >= _FEWEST_PAIRS else None


def id_number(item: Item) -> int:
    """Return the number of an item's id, 0 if it is none."""
    try:
        return int(item.fullname[3:], 36)
    except ValueError:
        return 0
