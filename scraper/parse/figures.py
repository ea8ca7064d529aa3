"""Figures of a subreddit, computed from its hot posts and their authors. A figure without values is None.

Numbers beyond 64 bits are not valid counts and are skipped.
"""

from collections.abc import Iterable, Sequence
from datetime import datetime

from scraper.reddit.rows import AuthorFigures, Post, PostFigures

_DAY = 86_400.0
_LIMIT = 2**63

#: The quantile for newcomers: this share of authors is below it.
NEWCOMER = 0.1


def post_figures(posts: Sequence[Post], fetched_at: datetime) -> PostFigures:
    """Compute the figures of the hot posts, without the stickied ones, which others put there, unless all are stickied.

    score_mean: Σ score ÷ their number. score_median: the 0.5-quantile of the scores.
    comments_per_upvote: Σ num_comments ÷ Σ score, of the posts that have both; None unless the sum of scores is > 0.
    posts_per_day: the number of posts with a time ÷ the days from the oldest of these times to `fetched_at`.
    """
    counted = [post for post in posts if not post.stickied] or list(posts)
    scores = _numbers(post.score for post in counted)
    return PostFigures(
        score_mean=sum(scores) / len(scores) if scores else None,
        score_median=quantile(scores, 0.5),
        comments_per_upvote=_comments_per_upvote(counted),
        posts_per_day=_posts_per_day([post.created_utc for post in counted if post.created_utc], fetched_at),
    )


def author_figures(
    authors: Iterable[tuple[datetime | None, int | None, int | None]], fetched_at: datetime
) -> AuthorFigures:
    """Compute the figures from (created_utc, comment_karma, link_karma) of the authors of the hot posts.

    Each figure is the 0.1-quantile of the known values; an account's age is `fetched_at` minus created_utc in days,
    0 when the clocks disagree.
    """
    created, comment_karma, link_karma = zip(*authors, strict=True) if (authors := list(authors)) else ((), (), ())
    ages = [max(0.0, (fetched_at - moment).total_seconds() / _DAY) for moment in created if moment is not None]
    return AuthorFigures(
        account_age_days_p10=quantile(ages, NEWCOMER),
        comment_karma_p10=quantile(_numbers(comment_karma), NEWCOMER),
        post_karma_p10=quantile(_numbers(link_karma), NEWCOMER),
    )


def quantile(values: Sequence[float], share: float) -> float | None:
    """Return the quantile by linear interpolation between the two nearest: Hyndman and Fan's definition 7.

    It equals numpy.quantile and statistics.quantiles(method="inclusive").
    """
    if not values:
        return None
    ordered = sorted(values)
    place = (len(ordered) - 1) * share
    below = int(place)
    lower, upper = ordered[below], ordered[min(below + 1, len(ordered) - 1)]
    return float(lower + (upper - lower) * (place - below))


def _numbers(values: Iterable[int | None]) -> list[int]:
    return [value for value in values if value is not None and -_LIMIT <= value < _LIMIT]


def _comments_per_upvote(posts: Iterable[Post]) -> float | None:
    pairs = [_numbers((post.num_comments, post.score)) for post in posts]
    both = [pair for pair in pairs if len(pair) == 2]
    upvotes = sum(score for _, score in both)
    return sum(comments for comments, _ in both) / upvotes if upvotes > 0 else None


def _posts_per_day(created: list[datetime], fetched_at: datetime) -> float | None:
    if not created:
        return None
    days = (fetched_at - min(created)).total_seconds() / _DAY
    return len(created) / days if days > 0 else None
