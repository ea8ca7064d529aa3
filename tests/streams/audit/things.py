"""Items and gaps for the tests of what the audit decides."""

from random import Random

from core.spool import Gap, GapState
from core.spool.model import AUDIT_FOUND
from core.spool.name_index import id_of
from streams.reddit.listing_page import Item

BEGUN = 1_700_000_040.0


def post(number: int, *, created: float | None = BEGUN, subreddit: str = "Alpha", comments: int = 0) -> Item:
    name = f"t3_{id_of(36**6 + number)}"
    return Item(name, name, subreddit, created, {"num_comments": comments, "selftext": "text"})


def posts(count: int, *, shuffled: bool = False) -> list[Item]:
    """Return posts of different minutes, with ids in the order of creation, or in a random one."""
    numbers = list(range(count))
    if shuffled:
        Random(1).shuffle(numbers)
    return [post(number, created=BEGUN + 60.0 * place) for place, number in enumerate(numbers)]


def gap(
    start: float | None,
    end: float | None,
    *,
    late_from: float | None = None,
    repaired: bool = False,
    of_audit: bool = False,
) -> Gap:
    """Return a gap of Alpha; the times are seconds after `BEGUN`."""
    return Gap(
        stream="submissions",
        subreddits=("Alpha",),
        start=None if start is None else BEGUN + start,
        end=None if end is None else BEGUN + end,
        reason=AUDIT_FOUND if of_audit else "the listing ended",
        recorded_at=BEGUN,
        epoch=1,
        unproven=("Alpha",),
        state=GapState.REPAIRED if repaired else GapState.LOST,
        late_from=None if late_from is None else BEGUN + late_from,
    )
