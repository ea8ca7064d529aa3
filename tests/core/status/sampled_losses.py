"""A population of posts and comments with losses of a known share, and samples of it as the audit draws them.

The audit draws posts at random moments, of a hundred of them some in proportion to their number of comments, and of
each tree a few comments that were created in different minutes; or single posts by their id; or pages of a listing.
"""

import math
import random
from bisect import bisect
from collections import Counter
from dataclasses import dataclass, field

from core.status.audit_bound import Outcomes, StreamObservations

_HOURS = 12
_POSTS = 800
_LARGEST_TREE = 300
_BATCH, _OF_A_BATCH, _OF_A_TREE = 100, 8, 4
_PAGE, _OF_A_PAGE = 100, 10

SCATTERED, ONE_BLOCK, SHORT_BLOCKS = "scattered", "one block", "short blocks"


@dataclass(slots=True)
class Population:
    """Posts, each with the comments of its tree. An item is its place in the order of creation."""

    posts: list[float] = field(default_factory=list)  #: when each post was created, sorted
    trees: list[list[int]] = field(default_factory=list)  #: the comments of each post
    comments: list[float] = field(default_factory=list)  #: when each comment was created, sorted

    @classmethod
    def made(cls, seed: int) -> "Population":
        """Make trees of 1 to 300 comments, most of them small; half of a tree's comments come in 20 minutes."""
        chance = random.Random(seed)
        seconds = _HOURS * 3600.0
        posts = sorted(chance.uniform(0.0, seconds) for _ in range(_POSTS))
        sizes = [min(_LARGEST_TREE, math.ceil(math.exp(chance.gauss(0.4, 1.6)))) for _ in posts]
        made = [
            (post + chance.expovariate(1 / 1700.0), number)
            for number, post in enumerate(posts)
            for _ in range(sizes[number])
        ]
        trees: list[list[int]] = [[] for _ in posts]
        for place, (_, number) in enumerate(sorted(made)):
            trees[number].append(place)
        return cls(posts, trees, sorted(at for at, _ in made))


def lost(count: int, share: float, how: str, chance: random.Random) -> set[int]:
    """Return the lost ones of `count` items."""
    wanted = round(count * share)
    if how == SCATTERED:
        return set(chance.sample(range(count), wanted))
    if how == ONE_BLOCK:
        start = chance.randrange(count - wanted + 1)
        return set(range(start, start + wanted))
    gone: set[int] = set()
    while len(gone) < wanted:
        start = chance.randrange(count)
        gone.update(range(start, min(count, start + min(12, wanted - len(gone)))))
    return gone


def sampled_posts(count: int, gone: set[int], draws: int, chance: random.Random) -> StreamObservations:
    """Draw posts one by one; each is a cluster."""
    missing = sum(chance.randrange(count) in gone for _ in range(draws))
    found = Counter({("ids", Outcomes(found=1)): draws - missing, ("ids", Outcomes(missing=1)): missing})
    return StreamObservations(+found)


def sampled_trees(population: Population, gone: set[int], draws: int, chance: random.Random) -> StreamObservations:
    """Draw trees; each is a cluster."""
    clusters: Counter[tuple[str, Outcomes]] = Counter()
    while clusters.total() < draws:
        moments = (chance.uniform(population.posts[0], population.posts[-1]) for _ in range(_BATCH))
        batch = list({bisect(population.posts, moment) - 1 for moment in moments})
        sizes = [len(population.trees[number]) for number in batch]
        for number in chance.choices(batch, sizes, k=_OF_A_BATCH):
            minutes = {int(population.comments[place] // 60): place for place in _shuffled(population, number, chance)}
            taken = list(minutes.values())[:_OF_A_TREE]
            missing = sum(place in gone for place in taken)
            clusters["trees", Outcomes(len(taken) - missing, missing)] += 1
    return StreamObservations(clusters)


def sampled_pages(
    moments: list[float], gone: set[int], draws: int, chance: random.Random, *, by_minute: bool = False
) -> StreamObservations:
    """Draw pages of a listing at random depths, and of each some items; `by_minute`: each of these is a cluster."""
    clusters: Counter[tuple[str, Outcomes]] = Counter()
    for _ in range(draws):
        start = chance.randrange(len(moments) - _PAGE + 1)
        page = chance.sample(range(start, start + _PAGE), 3 * _OF_A_PAGE)
        minutes = {int(moments[place] // 60): place for place in page}
        taken = list(minutes.values())[:_OF_A_PAGE]
        for part in [[place] for place in taken] if by_minute else [taken]:
            missing = sum(place in gone for place in part)
            clusters["listing", Outcomes(len(part) - missing, missing)] += 1
    return StreamObservations(clusters)


def _shuffled(population: Population, number: int, chance: random.Random) -> list[int]:
    tree = population.trees[number]
    return chance.sample(tree, min(len(tree), 4 * _OF_A_TREE))
