"""The names of a log line: their number and the first of them, since there may be thousands."""

from collections.abc import Sequence

_MOST = 10


def shown_subreddits(names: Sequence[str]) -> dict[str, object]:
    """Return the keys of a log line: `subreddits`, the first ten, and `subreddits_total`."""
    return {"subreddits": list(names[:_MOST]), "subreddits_total": len(names)}
