"""The part of `check --connect` that talks to Reddit: token, quota, and whether each subreddit can be read."""

from collections.abc import Iterator, Sequence
from contextlib import closing

from core.config import Config
from core.config.rules import needed_credentials
from core.errors import GaplessError
from core.reddit.errors import RateLimited, Unavailable
from streams.capture.gateway import Connection
from supervisor.finding import Finding, failed, fine

_TOGETHER = 50  # names in one request
_ALONE = 25  # names tried one by one, when the request for all of them fails


def look_at_reddit(config: Config) -> Iterator[Finding]:
    """Log in, ask for the newest submission of all subreddits, and name those that cannot be read."""
    if "client_id" not in needed_credentials(config):
        yield fine("reddit", "not tried: nothing that is switched on logs in")
        return
    names = config.reddit.subreddits if config.streams.enabled else config.scraper.subreddits
    with closing(Connection(config)) as connection:
        try:
            refused = _refused(connection, names)
        except RateLimited as error:
            wait = f"in {error.retry_after:.0f} s" if error.retry_after else "in ten minutes"
            yield failed("reddit", f"the quota of this client id is used up: try again {wait}")
            return
        except GaplessError as error:
            asked = f"asked: {config.reddit.reddit_url} and {config.reddit.oauth_url}"
            yield failed("reddit", f"{error} ({asked})")
            return
        yield fine("reddit", f"the credentials are accepted; {_quota(connection)}")
    yield _subreddits(names, refused)


def _refused(connection: Connection, names: Sequence[str]) -> dict[str, str]:
    """Give the reason for each name that cannot be read; one bad name can fail a request for many."""
    refused: dict[str, str] = {}
    for first in range(0, len(names), _TOGETHER):
        together = names[first : first + _TOGETHER]
        if _reason(connection, "+".join(together)) is None:
            continue
        for name in together[:_ALONE]:
            reason = _reason(connection, name)
            if reason is not None:
                refused[name] = reason
    return refused


def _reason(connection: Connection, names: str) -> str | None:
    try:
        connection.get(f"/r/{names}/new", {"limit": 1, "raw_json": 1})
    except Unavailable as error:
        return error.reason
    return None


def _quota(connection: Connection) -> str:
    rate = connection.heard.rate
    if rate is None:
        return "the answer names no quota"
    return f"quota: {rate.used:.0f} used, {rate.remaining:.0f} left, new in {rate.reset:.0f} s"


def _subreddits(names: Sequence[str], refused: dict[str, str]) -> Finding:
    if not refused:
        which = f"all {len(names)}" if len(names) > 1 else "".join(names)
        return fine("subreddits", f"{which} can be read")
    listed = ", ".join(f"{name} ({reason})" for name, reason in refused.items())
    advice = "the others are captured meanwhile; correct the name, or take it out of reddit.subreddits"
    return failed("subreddits", f"cannot be read: {listed}: {advice}")
