"""The part of `check --connect` that talks to Reddit: token, quota, and whether each subreddit can be read.

It sends what `run` sends: for each stream the newest page of each group of subreddits, with the same path, parameters
and headers. Where one is refused it halves the names until it knows which of them are to blame.
"""

import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing
from dataclasses import dataclass, field

from core.config import Config
from core.config.rules import needed_credentials
from core.errors import GaplessError, TransientError
from core.reddit.errors import (
    QuotaShort,
    RateLimited,
    TokenRejected,
    Unavailable,
    Unreachable,
)
from streams.capture.gateway import Connection
from streams.capture.groups import pack
from streams.capture.listing import PAGE_SIZE, listing_path, parse_page
from supervisor.finding import Finding, failed, fine

_REQUESTS = 60  # at most, beyond one for each group
_SECONDS = 7.5  # then no further request is begun; all of `check --connect` has 9.5
_ALL_ALIKE = 6  # refusals in a row without an answer: it is not about names
_NAMED = 20  # names in one line

#: What an answer without a reason of its own means.
_WORDS = {
    400: "a bad request",
    410: "gone",
    413: "the request is too large for this server",
    414: "the address is too long for this server: too many names in one request",
    431: "the headers are too large for this server",
    451: "not available for legal reasons",
}


@dataclass(slots=True)
class _Refusals:
    """What was found: a reason for each name, and names that were not looked at one by one."""

    reasons: dict[str, str] = field(default_factory=dict)
    undecided: list[str] = field(default_factory=list)


class Narrowing:
    """Finds the names for which a request is refused, within a number of requests and a time.

    `ask` sends a request for some names and returns why it is refused, None where it is answered.
    """

    def __init__(
        self,
        ask: Callable[[Sequence[str]], str | None],
        *,
        clock: Callable[[], float] = time.monotonic,
        requests: int = _REQUESTS,
        until: float = float("inf"),
    ) -> None:
        self._ask = ask
        self._clock = clock
        self._left = requests
        self._until = until
        self._answered = False
        self._refused = 0
        self.all_alike = ""  #: the reason, where every request is refused and none answered

    def look(self, names: Sequence[str]) -> _Refusals:
        """Ask for all names at once, then for halves of what is refused."""
        found = _Refusals()
        waiting: list[tuple[str, ...]] = [tuple(names)]
        while waiting:
            part = waiting.pop(0)  # wide parts first: an answer to one of them shows that it is about names
            if self.all_alike or self._left <= 0 or self._clock() > self._until:
                found.undecided += part
                continue
            self._left -= 1
            reason = self._ask(part)
            if reason is None:
                self._answered = True
                continue
            self._refused += 1
            if not self._answered and self._refused >= _ALL_ALIKE:
                self.all_alike = reason
            if len(part) == 1:
                found.reasons[part[0]] = reason
            else:
                waiting += [part[: len(part) // 2], part[len(part) // 2 :]]
        return found


def look_at_reddit(config: Config) -> Iterator[Finding]:
    """Log in, ask for the newest page of every group, and name the subreddits that cannot be read."""
    if "client_id" not in needed_credentials(config):
        yield fine("reddit", "not tried: nothing that is switched on logs in")
        return
    names = config.reddit.subreddits if config.streams.enabled else config.scraper.subreddits
    streams = config.streams.enabled or ("submissions",)
    with closing(Connection(config)) as connection:
        look = _Look(connection, time.monotonic() + _SECONDS)
        try:
            refused = {stream: look.at(names, stream) for stream in streams}
        except RateLimited as error:
            wait = f"in {error.retry_after:.0f} s" if error.retry_after else "in ten minutes"
            yield failed("reddit", f"the quota of this client id is used up: try again {wait}")
            return
        except GaplessError as error:
            asked = f"asked: {config.reddit.reddit_url} and {config.reddit.oauth_url}"
            yield failed("reddit", f"{error} ({asked})")
            return
    if look.all_alike:
        advice = "this is about the account, the network or the server, not about single subreddits"
        yield failed("reddit", f"every request is refused ({look.all_alike}): {advice}")
        return
    yield fine("reddit", f"the credentials are accepted; {look.quota}")
    yield _subreddits(names, refused, max(len(pack(names, stream)) for stream in streams))


class _Look:
    """The requests of one `check --connect`."""

    def __init__(self, connection: Connection, until: float) -> None:
        self._connection = connection
        self._until = until
        self._known: dict[str, str] = {}
        self.quota = "the answer names no quota"
        self.all_alike = ""

    def at(self, names: Sequence[str], stream: str) -> _Refusals:
        """Look at every group of one stream."""
        total = _Refusals()
        narrowing = Narrowing(lambda part: self._refusal(part, stream), until=self._until)
        for group in pack(names, stream):
            self._look_at_group(group, stream, narrowing, total)
        self.all_alike = self.all_alike or narrowing.all_alike
        self._known |= total.reasons
        return total

    def _look_at_group(self, group: tuple[str, ...], stream: str, narrowing: Narrowing, total: _Refusals) -> None:
        """As the other stream was refused some names, try without them first: that is one request instead of many."""
        others = tuple(name for name in group if name not in self._known)
        if len(others) < len(group) and self._refusal(group, stream) is None:
            return
        for part in (others, *((name,) for name in group if name in self._known)):
            found = narrowing.look(part) if part else _Refusals()
            total.reasons |= found.reasons
            total.undecided += found.undecided

    def _refusal(self, names: Sequence[str], stream: str) -> str | None:
        """Send the request that `run` sends; what may be of the moment is tried twice."""
        reason = self._once(names, stream)
        return self._once(names, stream) if reason and self._connection.heard.status in {500, 502, 503, 504} else reason

    def _once(self, names: Sequence[str], stream: str) -> str | None:
        heard = self._connection.heard
        try:
            parse_page(self._connection.get(listing_path(list(names), stream), {"limit": PAGE_SIZE}), stream)
        except Unavailable as error:
            return _WORDS.get(heard.status or 0, error.reason) if error.reason.startswith("un") else error.reason
        except (RateLimited, TokenRejected, QuotaShort, Unreachable):
            raise
        except TransientError as error:
            words = _WORDS.get(heard.status or 0)
            return f"{heard.status}: {words}" if words else str(error)
        if heard.rate is not None:
            rate = heard.rate
            self.quota = f"quota: {rate.used:.0f} used, {rate.remaining:.0f} left, new in {rate.reset:.0f} s"
        return None


def _subreddits(names: Sequence[str], refused: dict[str, _Refusals], requests: int) -> Finding:
    reasons: dict[str, str] = {}
    for stream, found in refused.items():
        for name, reason in found.reasons.items():
            everywhere = all(name in other.reasons for other in refused.values())
            reasons.setdefault(name, reason if everywhere else f"{reason}, {stream} only")
    undecided = dict.fromkeys(name for found in refused.values() for name in found.undecided if name not in reasons)
    if not reasons and not undecided:
        which = f"all {len(names)}" if len(names) > 1 else "".join(names)
        return fine("subreddits", f"{which} can be read{f', by {requests} requests' if requests > 1 else ''}")
    parts = []
    if reasons:
        parts.append(f"cannot be read: {_listed([f'{name} ({reason})' for name, reason in reasons.items()])}")
    if undecided:
        parts.append(f"refused together and not looked at one by one: {_listed(list(undecided))}")
    advice = "the others are captured meanwhile; correct the name, or take it out of reddit.subreddits"
    return failed("subreddits", f"{'; '.join(parts)}: {advice}")


def _listed(texts: Sequence[str]) -> str:
    more = len(texts) - _NAMED
    return ", ".join(texts[:_NAMED]) + (f" and {more} more" if more > 0 else "")
