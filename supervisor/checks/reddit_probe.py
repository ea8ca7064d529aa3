"""The part of `check --connect` that talks to Reddit: token, quota, and whether each subreddit can be read.

It sends the same requests as `run`: for each stream the newest page of each group of subreddits, with the same path,
parameters and headers. If a request is refused, it finds the names to blame by bisection, as `run` does, within a
number of requests and a time.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, suppress
from dataclasses import dataclass, field

from core.config import Config
from core.config.constraints import needed_credentials
from core.config.slices import reddit_access
from core.errors import GaplessError, TransientError
from core.reddit.quota import RateHeaders
from core.reddit.request_errors import (
    RateLimited,
    RequestRejected,
    ServerTrouble,
    TokenRejected,
    Unavailable,
    Unreachable,
)
from core.stream_kinds import stream_names
from streams.capture.bisection import Bisection
from streams.capture.group_packing import pack
from streams.reddit.listing_page import PAGE_SIZE, listing_path, parse_page
from streams.reddit.praw_client import Connection
from supervisor.checks.finding import Finding, failed, fine

_REQUESTS = 80  # after this number of requests the bisection stops
_SECONDS = 7.5  # after this time no further request starts; all of `check --connect` has 9.5
_NAMED = 20  # names per line

#: The meaning of answers that give no reason of their own.
_MEANINGS = {
    400: "a bad request",
    410: "gone",
    413: "the request is too large for this server",
    414: "the address is too long for this server: too many names in one request",
    431: "the headers are too large for this server",
    451: "unavailable for legal reasons",
}


@dataclass(frozen=True, slots=True)
class Refusal:
    """Why a request was refused; `named`: Reddit's reason is about the subreddit."""

    reason: str
    named: bool


@dataclass(slots=True)
class ProbeResult:
    """The result for the names of one stream."""

    reasons: dict[str, str] = field(default_factory=dict)  #: by name, for names that cannot be read
    undecided: list[str] = field(default_factory=list)  #: refused together, not checked one by one
    together: str = ""  #: why names are refused together although each can be read
    ours: str = ""  #: why everything is refused

    def add(self, other: "ProbeResult") -> None:
        """Add the result of another group."""
        self.reasons |= other.reasons
        self.undecided += other.undecided
        self.together = self.together or other.together
        self.ours = self.ours or other.ours


#: Sends a request for some names; returns its refusal, None if it is answered.
Ask = Callable[[Sequence[str]], Refusal | None]


class Search:
    """Finds the refused names within a budget of requests and a time that all searches share."""

    def __init__(
        self,
        *,
        requests: int = _REQUESTS,
        seconds: float = _SECONDS,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._left = requests
        self._clock = clock
        self._until = clock() + seconds
        self._answered = False
        self._known: dict[str, str] = {}

    def group(self, names: Sequence[str], ask: Ask) -> ProbeResult:
        """Send the request for the whole group; if it is refused, find the names that cause it."""
        refusal = self._send(names, ask)
        if refusal is None:
            return ProbeResult()
        if len(names) == 1 and (refusal.named or self._answered):
            return ProbeResult(reasons={names[0]: refusal.reason})
        found = ProbeResult()
        # names refused for another stream are tried alone first: one request each instead of many for all
        known_bad = [name for name in names if name in self._known]
        for name in known_bad:
            if self._spent:
                return ProbeResult(found.reasons, [name for name in names if name not in found.reasons])
            alone = self._send([name], ask)
            if alone is not None:
                found.reasons[name] = alone.reason
        rest = [name for name in names if name not in found.reasons]
        if rest and (not known_bad or self._send(rest, ask) is not None):
            found.add(self._bisect(rest, refusal.reason, ask))
        self._known.update(found.reasons)
        return found

    @property
    def _spent(self) -> bool:
        return self._left <= 0 or self._clock() > self._until

    def _send(self, names: Sequence[str], ask: Ask) -> Refusal | None:
        self._left -= 1
        refusal = ask(names)
        self._answered = self._answered or refusal is None
        return refusal

    def _bisect(self, names: Sequence[str], reason: str, ask: Ask) -> ProbeResult:
        bisection = Bisection(names, others_answer=self._answered, reason=reason)
        while not bisection.done:
            if self._spent:
                return ProbeResult(dict(bisection.blamed), [name for name in names if name not in bisection.blamed])
            refusal = self._send(bisection.next(), ask)
            if refusal is None:
                bisection.answered()
            else:
                bisection.refused(refusal.reason, named=refusal.named)
        if bisection.ours:
            return ProbeResult(ours=bisection.reason)
        return ProbeResult(dict(bisection.blamed), together="" if bisection.blamed else bisection.reason)


def probe_reddit(config: Config) -> Iterator[Finding]:
    """Log in, request the newest page of every group, and report the subreddits that cannot be read."""
    if "client_id" not in needed_credentials(config):
        yield fine("reddit", "not tested: nothing that is enabled logs in")
        return
    names = {stream: config.subreddits_of(stream) for stream in config.streams.enabled}
    names = names or {stream_names()[0]: config.scraper.subreddits}
    with closing(Connection(reddit_access(config))) as connection:
        requests, search = _Requests(connection), Search()
        try:
            results = {stream: _test_all(listed, stream, requests, search) for stream, listed in names.items()}
        except RateLimited as error:
            wait = f"in {error.retry_after:.0f} s" if error.retry_after else "in ten minutes"
            yield failed("reddit", f"the quota of this client id is used up; try again {wait}")
            return
        except GaplessError as error:
            servers = f"servers: {config.reddit.reddit_url} and {config.reddit.oauth_url}"
            yield failed("reddit", f"{error} ({servers})")
            return
    ours = next((result.ours for result in results.values() if result.ours), "")
    if ours:
        advice = "the cause is the account, the network or the server, not a single subreddit"
        yield failed("reddit", f"every request is refused ({ours}): {advice}")
        return
    yield fine("reddit", f"the credentials are accepted; {requests.quota}")
    yield _subreddits(names, results, max(len(pack(listed, stream)) for stream, listed in names.items()))


def _test_all(names: Sequence[str], stream: str, requests: "_Requests", search: Search) -> ProbeResult:
    total = ProbeResult()
    for group in pack(names, stream):
        total.add(search.group(group, lambda part: requests.refusal(part, stream)))
        if total.ours:
            break
    return total


class _Requests:
    """Sends the requests of a stream, one attempt each, and keeps the quota."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection
        self.quota = "the answer has no quota headers"

    def refusal(self, names: Sequence[str], stream: str) -> Refusal | None:
        """Request the newest page; retry once after a server error."""
        with suppress(ServerTrouble):  # may be temporary: the second attempt reports it
            return self._request(names, stream)
        try:
            return self._request(names, stream)
        except ServerTrouble as error:
            return Refusal(str(error), named=False)

    def _request(self, names: Sequence[str], stream: str) -> Refusal | None:
        last_answer = self._connection.last_answer
        try:
            parse_page(self._connection.get(listing_path(list(names), stream), {"limit": PAGE_SIZE}), stream)
        except Unavailable as error:
            return Refusal(error.reason, error.named)
        except RequestRejected as error:
            meaning = _MEANINGS.get(error.status)
            return Refusal(f"{error.status}: {meaning}" if meaning else str(error), named=False)
        except (RateLimited, TokenRejected, Unreachable, ServerTrouble):
            raise
        except TransientError as error:
            return Refusal(str(error), named=False)
        if last_answer.rate is not None:
            self.quota = _quota(last_answer.rate)
        return None


def _quota(rate: RateHeaders) -> str:
    """Describe the rate headers; each may be missing."""
    parts = [
        text.format(number)
        for text, number in (
            ("{:.0f} used", rate.used),
            ("{:.0f} remaining", rate.remaining),
            ("reset in {:.0f} s", rate.reset),
        )
        if number is not None
    ]
    return f"quota: {', '.join(parts)}"


def _subreddits(lists: Mapping[str, Sequence[str]], results: dict[str, ProbeResult], requests: int) -> Finding:
    names = list({name.lower(): name for listed in lists.values() for name in listed}.values())
    reasons: dict[str, str] = {}
    for stream, found in results.items():
        for name, reason in found.reasons.items():
            everywhere = all(name in other.reasons for one, other in results.items() if name in lists[one])
            reasons.setdefault(name, reason if everywhere else f"{reason}, {stream} only")
    undecided = dict.fromkeys(name for found in results.values() for name in found.undecided if name not in reasons)
    together = next((found.together for found in results.values() if found.together), "")
    parts = []
    if reasons:
        parts.append(f"cannot be read: {_listed([f'{name} ({reason})' for name, reason in reasons.items()])}")
    if undecided:
        parts.append(f"refused together, and not tested one by one: {_listed(list(undecided))}")
    if parts:
        advice = "`run` captures the others; correct these names, or remove them from the configuration"
        return failed("subreddits", f"{'; '.join(parts)}: {advice}")
    which = f"all {len(names)}" if len(names) > 1 else "".join(names)
    how = f", with {requests} requests for each stream" if requests > 1 else ""
    if together:
        how += f"; the server refuses them together ({together}), so `run` splits the request further"
    return fine("subreddits", f"{which} can be read{how}")


def _listed(texts: Sequence[str]) -> str:
    more = len(texts) - _NAMED
    return ", ".join(texts[:_NAMED]) + (f" and {more} more" if more > 0 else "")
