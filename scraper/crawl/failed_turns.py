"""Counts the turns in which a part or an author failed, and decides when to stop waiting for it. Pure.

After a few turns a repeated failure is recorded as failed, and the subreddit is finished with everything that arrived.
The counts stay in the frontier: at the next refresh one more failure is enough, and one answer clears them.
"""

from collections.abc import Mapping
from typing import Final

from core.errors import TransientError
from core.reddit.request_errors import QuotaShort, RateLimited, TokenRejected

#: Turns in which a part or an author may fail before the subreddit is finished without it.
MOST_TRIES: Final = 3

#: How many names the text of an error contains.
_SHOWN = 3

#: Failures that are not about the requested item.
_NOT_ITS_OWN = (RateLimited, TokenRejected, QuotaShort)

Tries = Mapping[str, int]


def key_of_user(username: str) -> str:
    """Return the key of an author; the key of a part is its name."""
    return f"user/{username.lower()}"


def after_turn(before: Tries, failures: Mapping[str, TransientError]) -> dict[str, int]:
    """Return the counts after a turn with these failures; what did not fail is removed."""
    return {
        key: before.get(key, 0) + (0 if isinstance(failure, _NOT_ITS_OWN) else 1) for key, failure in failures.items()
    }


def is_last(before: Tries, key: str) -> bool:
    """Return whether one more failure of this is the last to wait for."""
    return before.get(key, 0) + 1 >= MOST_TRIES


def are_over(tries: Tries) -> bool:
    """Return whether everything that fails has failed often enough."""
    return bool(tries) and min(tries.values()) >= MOST_TRIES


def text_of(failures: Mapping[str, TransientError]) -> str:
    """Describe what is skipped until the next refresh."""
    shown = [f"{key} ({failure})" for key, failure in list(failures.items())[:_SHOWN]]
    more = f" and {len(failures) - _SHOWN} more" if len(failures) > _SHOWN else ""
    return f"failed {MOST_TRIES} times or more: {', '.join(shown)}{more}"
