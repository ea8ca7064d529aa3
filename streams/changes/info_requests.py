"""Requests to `/api/info`: items by name, and descriptions of subreddits. One attempt at a time."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from core.child import ChildContext
from core.errors import GaplessError
from core.reddit.quota import Priority
from core.reddit.request_errors import BadAnswer, QuotaShort, RateLimited
from core.stream_kinds import StreamKind
from streams.reddit.listing_page import Item, parse_page

#: Most names that Reddit accepts in one request.
MOST_NAMES = 100

_PATH = "/api/info"

#: From this number of consecutive failures, the log level is error instead of warning.
_SERIOUS = 5

#: Values of `subreddit_type` of a subreddit whose items we may read.
_READABLE = frozenset({"public", "restricted", "archived", "user"})


class Getter(Protocol):
    """Sends one request (see streams.reddit.praw_client.PrawClient)."""

    def get(self, path: str, params: dict[str, str | int], priority: Priority) -> object:
        """Return the decoded answer or raise one of this project's errors."""


@dataclass(frozen=True, slots=True)
class Answer:
    """The items of an answer by fullname, and how many others it held."""

    items: dict[str, tuple[StreamKind, Item]]
    foreign: int


class InfoRequests:
    """Sends the requests of the process `changes`, always with the lowest priority.

    Args:
        client: sends a request.
        context: of the process.
        kinds: of the items that are requested.
    """

    def __init__(self, client: Getter, context: ChildContext, kinds: tuple[StreamKind, ...]) -> None:
        self._client = client
        self._context = context
        self._kinds = {kind.prefix: kind for kind in kinds}
        self._failures = 0

    def items(self, names: Sequence[str]) -> Answer:
        """Return what Reddit shows of these items. Raises TransientErrors, Unavailable, CredentialsRejected, Stopped.

        An item in the answer that was not requested is left out, and counted.
        """
        answer = self._client.get(_PATH, {"id": ",".join(names)}, Priority.SCRAPER)
        self._answered()
        wanted, found, foreign = set(names), {}, 0
        for prefix, children in _by_kind(answer).items():
            kind = self._kinds.get(prefix)
            if kind is None:
                foreign += len(children)
                continue
            page = parse_page({"kind": "Listing", "data": {"children": children}}, kind.name)
            foreign += len(page.rejects)
            for item in page.items:
                if item.fullname in wanted:
                    found[item.fullname] = (kind, item)
                else:
                    foreign += 1
        return Answer(found, foreign)

    def readable(self, subreddits: Sequence[str]) -> set[str]:
        """Return which of these subreddits can be read now, in lower case. Raises as `items`."""
        answer = self._client.get(_PATH, {"sr_name": ",".join(subreddits)}, Priority.SCRAPER)
        self._answered()
        found = set()
        for child in _by_kind(answer).get("t5", ()):
            data = child.get("data")
            if not isinstance(data, dict):
                continue
            name, kind, quarantined = data.get("display_name"), data.get("subreddit_type"), data.get("quarantine")
            if isinstance(name, str) and kind in _READABLE and quarantined is not True:
                found.add(name.lower())
        return found

    def _answered(self) -> None:
        if self._failures >= _SERIOUS:
            self._context.log.info("reddit_answers_again", after_failures=self._failures)
        self._failures = 0

    def report(self, error: GaplessError, pause: float) -> None:
        """Log a failed attempt; `pause`: seconds until the next one."""
        if isinstance(error, QuotaShort):
            return  # expected: the streams come first
        if isinstance(error, RateLimited):
            # the shared quota delays every request; the next attempt waits there
            self._context.log.warning("rate_limited", wait_seconds=error.retry_after)
            return
        self._failures += 1
        level = "error" if self._failures >= _SERIOUS else "warning"
        fields = {"error": str(error), "kind": type(error).__name__, "failures": self._failures}
        getattr(self._context.log, level)("request_failed", **fields, retry_in_seconds=round(pause, 2))


def _by_kind(answer: object) -> dict[str, list[dict[str, Any]]]:
    """Return the entries of a listing by their kind. Raises BadAnswer if it is none."""
    data = answer.get("data") if isinstance(answer, dict) and answer.get("kind") == "Listing" else None
    children = data.get("children") if isinstance(data, dict) else None
    if not isinstance(children, list):
        raise BadAnswer(f"no listing in the answer to {_PATH}")
    found: dict[str, list[dict[str, Any]]] = {}
    for child in children:
        if isinstance(child, dict):
            found.setdefault(str(child.get("kind")), []).append(child)
    return found
