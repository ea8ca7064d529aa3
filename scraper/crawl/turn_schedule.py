"""Schedules the next turn of a subreddit. Pure."""

from collections.abc import Callable
from datetime import datetime, timedelta

from core.backoff import Backoff
from scraper.reddit.rows import SubredditState

#: An explained refusal is a decision of people: it is requested again when it may have changed, not sooner.
_EXPLAINED = {
    SubredditState.PRIVATE: timedelta(days=7),
    SubredditState.QUARANTINED: timedelta(days=7),
    SubredditState.BANNED: timedelta(days=30),
}

#: An unexplained refusal may be wrong in spite of its confirmation: all proxies may be refused alike. The second check
#: comes after a day; each time the refusal is the same, the pause doubles, up to these.
_FIRST_PAUSE = timedelta(days=1)
_LONGEST_PAUSE = {
    SubredditState.MISSING: timedelta(days=30),
    SubredditState.FORBIDDEN: timedelta(days=30),
    SubredditState.MOVED: timedelta(days=30),
    SubredditState.GATED: timedelta(days=7),
}

_FAILED = Backoff(first=5.0, longest=1800.0)

#: Attempts, over about 45 minutes, after which a subreddit without any result waits for the normal refresh.
_MANY_ATTEMPTS = 10

#: The states that Reddit's reasons for a refusal mean; any other reason is FORBIDDEN.
_STATES = {
    "private": SubredditState.PRIVATE,
    "gold_only": SubredditState.PRIVATE,
    "banned": SubredditState.BANNED,
    "quarantined": SubredditState.QUARANTINED,
    "missing": SubredditState.MISSING,
}


def state_of(reason: str) -> SubredditState:
    """Return the state behind a refusal's reason (see core.reddit.answers)."""
    return _STATES.get(reason, SubredditState.FORBIDDEN)


def after_refusal(state: SubredditState, now: datetime, looks: int = 1) -> datetime:
    """Return when to request an unreadable subreddit again; `looks`: checks in a row with this result."""
    if state in _EXPLAINED:
        return now + _EXPLAINED[state]
    return now + min(_LONGEST_PAUSE[state], _FIRST_PAUSE * 2.0 ** min(max(looks - 1, 0), 20))


def after_failure(attempts: int, now: datetime, random: Callable[[], float], refresh_after: float) -> datetime:
    """Return when to retry after a failure.

    Args:
        attempts: the number of earlier attempts.
        now: the present moment.
        random: returns a number in [0, 1).
        refresh_after: seconds; after many attempts the pause is at least this.

    """
    pause = _FAILED.pause(attempts + 1, random)
    return now + timedelta(seconds=max(pause, refresh_after) if attempts + 1 >= _MANY_ATTEMPTS else pause)
