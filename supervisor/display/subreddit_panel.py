"""The subreddits' part of `status`: how many are in trouble, and the worst of them. Pure."""

import textwrap
from collections.abc import Mapping

from core.masking.external import masked
from core.spool.stream_state import Shortage
from core.status.standings import Standing, Standings
from supervisor.display.formatting import duration, plural

_MAX_NAMED = 5
_MAX_REASON_LENGTH = 40  # characters, of a reason from outside
_WIDTH = 100
_LABEL = "Subreddits: "
_INDENT = " " * len(_LABEL)

_TROUBLES = {
    "behind": "behind",
    "unavailable": "unavailable",
    "open": "with open gaps",
    "lost": "with lost gaps",
}


def subreddit_block(
    standings: Standings, shortages: Mapping[str, Shortage], more: str, counted: str = "configured"
) -> str:
    """Format a summary, empty while every subreddit is well; `more` is the command that shows the details.

    `counted` says what is counted: in a cluster not all that is configured.
    """
    counts = standings.counts
    troubles = [f"{counts[kind]:,} {text}" for kind, text in _TROUBLES.items() if counts[kind]]
    lines = [_quota(stream, shortage) for stream, shortage in shortages.items()]
    if troubles:
        named = ", ".join(f"r/{one.name} ({_trouble(one)})" for one in standings.worst(_MAX_NAMED))
        lines = [f"{counts['all']:,} {counted}: {', '.join(troubles)}", f"worst: {named}", *lines]
    if not lines:
        return ""
    indented = [_wrapped(line) for line in lines]
    return "\n".join([_LABEL + indented[0].lstrip(), *indented[1:], f"{_INDENT}details: {more} --subreddit NAME"])


def _wrapped(line: str) -> str:
    return textwrap.fill(
        line,
        _WIDTH,
        initial_indent=_INDENT,
        subsequent_indent=f"{_INDENT}  ",
        break_on_hyphens=False,
        break_long_words=False,
    )


def _trouble(one: Standing) -> str:
    """Return the most important trouble."""
    if one.behind:
        return "never read" if one.age_s is None else f"not read for {duration(one.age_s)}"
    if one.unavailable:
        reason = masked(one.unavailable)
        return reason if len(reason) <= _MAX_REASON_LENGTH else f"{reason[: _MAX_REASON_LENGTH - 1]}…"
    return plural(one.open_gaps, "open gap") if one.open_gaps else plural(one.lost_gaps, "lost gap")


def _quota(stream: str, shortage: Shortage) -> str:
    need = f"needs {shortage.needed:,.0f} requests a minute, gets {shortage.allowed:,.0f}"
    return f"quota too small: {stream} {need}; {plural(shortage.slowed, 'subreddit')} polled less often"
