"""Decides what a redirect says about the requested name. Pure; no redirect is followed here."""

from typing import NamedTuple
from urllib.parse import parse_qs, unquote, urljoin, urlsplit

from core.errors import GaplessError, TransientError
from core.masking.external import outside
from core.reddit.request_errors import RequestRejected, Unavailable
from scraper.reddit.question import Question, same_name
from scraper.reddit.refusal import Mismatch, Unexplained
from scraper.reddit.rows import SubredditState

#: First path segments of the pages where Reddit requires an age, a login or a consent.
_GATES = frozenset(
    {"over18", "login", "register", "account", "quarantine", "verify", "age", "age-gate", "agegate", "interstitial",
     "consent", "premium", "gold"}
)  # fmt: skip

#: Parameters in which a gate names the address to continue to.
_CONTINUE = ("dest", "destination", "to", "next", "redirect", "redirect_uri", "return_to", "continue", "url")

_USERS = frozenset({"user", "u"})
_SUBREDDITS = frozenset({"r"})
_REDDIT = "reddit.com"
_SHOWN = 200


class SameElsewhere(TransientError):
    """A redirect to the same thing under another spelling of its address on the same server: it can be followed."""

    def __init__(self, url: str) -> None:
        super().__init__(f"a redirect to {outside(url, _SHOWN)}")
        self.url = url


class _Place(NamedTuple):
    """A parsed address."""

    site: str  #: the host without www. and the like
    origin: tuple[str, str, int | None]
    segments: tuple[str, ...]
    query: dict[str, list[str]]

    @property
    def named(self) -> tuple[bool, str] | None:
        """Return (of a user, name) when the address is that of a subreddit or a user."""
        if len(self.segments) < 2:
            return None
        first = self.segments[0].lower()
        if first not in _USERS | _SUBREDDITS:
            return None
        return first in _USERS, self.segments[1]

    @property
    def call(self) -> tuple[str, ...]:
        """Return the rest of the path, after the name."""
        return tuple(segment.lower() for segment in self.segments[2:])


def redirection(question: Question, url: str, status: int, location: str | None) -> GaplessError:
    """Return what a redirect means: a state of the name, an address to follow, or a temporary error."""
    if not location:
        return RequestRejected(status, f"Reddit answered {status}: a redirect without a Location")
    shown = f"{status}: a redirect to {outside(location, _SHOWN)}"
    try:
        leads_to = urljoin(url, location)
        asked, there = _place(url), _place(leads_to)
    except ValueError:
        return RequestRejected(status, f"Reddit answered {shown}, which is not a valid address")
    if there.segments[:2] == ("subreddits", "search"):
        wanted = there.query.get("q", [question.name])[0]
        return Unavailable("missing") if same_name(wanted, question.name) else Mismatch(shown)
    if there.site not in (asked.site, _REDDIT):
        return RequestRejected(
            status, f"Reddit answered {shown}: check oauth_url, and whether a proxy sends this answer"
        )
    if there.named is not None:
        if not _is_about(question, there):
            return _moved(question, shown, there)
        if there.origin == asked.origin and there.call == asked.call:
            return SameElsewhere(_with_query_of(url, leads_to))
        return RequestRejected(status, f"Reddit answered {shown}")
    return _to_a_gate(question, shown, there)


def _with_query_of(url: str, leads_to: str) -> str:
    """Keep the query of the request: without `t`, `limit` or `raw_json` the answer would be to another question."""
    return urlsplit(leads_to)._replace(query=urlsplit(url).query, fragment="").geturl()


def _is_about(question: Question, there: _Place) -> bool:
    of_user, name = there.named or (not question.of_user, "")
    return of_user == question.of_user and same_name(name, question.name)


def _moved(question: Question, shown: str, there: _Place) -> Unexplained:
    of_user, name = there.named or (False, "")
    prefix = "" if of_user == question.of_user else "user/" if of_user else "r/"
    return Unexplained(SubredditState.MOVED, shown, target=prefix + name, telling=True)


def _to_a_gate(question: Question, shown: str, there: _Place) -> GaplessError:
    """Classify a redirect to another page: a gate that names another subreddit or user answers another question."""
    before = [place for key in _CONTINUE for text in there.query.get(key, ()) if (place := _tried(text)) is not None]
    named = [place.named for place in before if place.named is not None]
    if named and not any(same_name(name, question.name) for _, name in named):
        return Mismatch(shown)
    if named or (there.segments and there.segments[0].lower() in _GATES):
        return Unexplained(SubredditState.GATED, shown, target="/" + "/".join(there.segments), telling=bool(named))
    return Unexplained(SubredditState.FORBIDDEN, shown)


def _tried(url: str) -> _Place | None:
    try:
        return _place(url)
    except ValueError:
        return None


def _place(url: str) -> _Place:
    """Parse an address. Raises ValueError."""
    parts = urlsplit(url)
    host = (parts.hostname or "").lower()
    segments = [unquote(segment) for segment in parts.path.split("/") if segment]
    if segments:
        segments[-1] = segments[-1].removesuffix(".json")
    query = parse_qs(parts.query, max_num_fields=50)
    return _Place(_site(host), (parts.scheme, host, parts.port), tuple(filter(None, segments)), query)


def _site(host: str) -> str:
    return _REDDIT if host == _REDDIT or host.endswith(f".{_REDDIT}") else host
