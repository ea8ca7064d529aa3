"""Schedules the next turn of a subreddit, and decides when to stop waiting for a part or an author that fails. Pure.

After a few turns a repeated failure is recorded as failed, and the subreddit is finished with everything that arrived.
The counts of failed turns stay in the frontier: at the next refresh one more failure is enough, and one answer clears
them.
"""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Final

from core.backoff import Backoff
from core.errors import TransientError
from core.reddit.request_errors import QuotaShort, RateLimited, TokenRejected
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

_RETRY = Backoff(first=5.0, longest=1800.0)

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


#: Turns in which a part or an author may fail before the subreddit is finished without it.
MOST_TRIES: Final = 3

#: How many names the text of an error contains.
_SHOWN = 3

#: Failures that are not about the requested item.
_NOT_ITS_OWN = (RateLimited, TokenRejected, QuotaShort)

Tries = Mapping[str, int]


def state_of(reason: str) -> SubredditState:
    """Return the state behind a refusal's reason (see core.reddit.answers)."""
    return _STATES.get(reason, SubredditState.FORBIDDEN)


def after_refusal(state: SubredditState, now: datetime, checks: int = 1) -> datetime:
    """Return when to request an unreadable subreddit again; `checks`: checks in a row with this result."""
    if state in _EXPLAINED:
        return now + _EXPLAINED[state]
    return now + min(_LONGEST_PAUSE[state], _FIRST_PAUSE * 2.0 ** min(max(checks - 1, 0), 20))


def after_failure(attempts: int, now: datetime, random: Callable[[], float], refresh_after: float) -> datetime:
    """Return when to retry after a failure.

    Args:
        attempts: the number of earlier attempts.
        now: the present moment.
        random: returns a number in [0, 1).
        refresh_after: seconds; after many attempts the pause is at least this.

    """
    pause = _RETRY.pause(attempts + 1, random)
    return now + timedelta(seconds=max(pause, refresh_after) if attempts + 1 >= _MANY_ATTEMPTS else pause)


def key_of_user(username: str) -> str:
    """Return the key of an author; the key of a part is its name."""
    return f"user/{username.lower()}"


def tries_after_turn(before: Tries, failures: Mapping[str, TransientError]) -> dict[str, int]:
    """Return the counts after a turn with these failures; what did not fail is removed."""
    return {
        key: before.get(key, 0) + (0 if isinstance(failure, _NOT_ITS_OWN) else 1) for key, failure in failures.items()
    }


def is_last(before: Tries, key: str) -> bool:
    """Return whether one more failure of this is the last to wait for."""
    return before.get(key, 0) + 1 >= MOST_TRIES


def are_used_up(tries: Tries) -> bool:
    """Return whether everything that fails has failed often enough."""
    return bool(tries) and min(tries.values()) >= MOST_TRIES


def describe_failures(failures: Mapping[str, TransientError]) -> str:
    """Describe what is skipped until the next refresh."""
    shown = [f"{key} ({failure})" for key, failure in list(failures.items())[:_SHOWN]]
    more = f" and {len(failures) - _SHOWN} more" if len(failures) > _SHOWN else ""
    return f"failed {MOST_TRIES} times or more: {', '.join(shown)}{more}"
