"""Classifies an answer: the requested facts, a refusal, or something else. Pure.

An answer is compared with its question: the kind of thing, the name, the subreddit or the author of the posts. A
refusal is a fact at once only when Reddit gives a reason; a refusal without one must be confirmed.
"""

from collections.abc import Iterable, Mapping
from operator import attrgetter
from typing import NamedTuple

from core.errors import GaplessError
from core.masking.external import outside
from core.reddit.request_errors import BadAnswer, RequestRejected, TokenRejected, Unavailable
from scraper.reddit.payload import Object, TypedListing, answer_without, unwrap
from scraper.reddit.question import LISTINGS, Kind, Question, same_name
from scraper.reddit.redirect import redirection
from scraper.reddit.refusal import Mismatch, Unexplained
from scraper.reddit.rows import SubredditState

#: Listings may contain a few posts more than requested: those that moderators pinned.
_PINNED = 5

#: Reddit allows 15 rules; each one here becomes a row.
_MOST_RULES = 1000

#: Statuses that Reddit returns when the thing does not exist; any other refusal is FORBIDDEN.
_GONE = {404, 410}

#: The kinds of things in Reddit's answers.
_KINDS = ("Listing", "t1", "t2", "t3", "t4", "t5", "t6", "more", "LabeledMulti", "UserList")

_DELETED_AUTHOR = "[deleted]"

_AUTHOR, _SUBREDDIT = attrgetter("author"), attrgetter("subreddit")

#: Statuses that concern the length or the form of a request, never the name in it.
_ABOUT_THE_REQUEST = {406, 411, 412, 413, 414, 415, 416, 417, 421, 426, 428, 431}


class Reply(NamedTuple):
    """The HTTP part of an answer, and of its request."""

    url: str
    status: int
    headers: Mapping[str, str]
    with_token: bool = False  #: without one, a 401 is not about the token


def check_answer(
    question: Question,
    reply: Reply,
    payload: object,
    error: GaplessError | None,
) -> GaplessError | None:
    """Return why this answer is not the requested facts; None when it is.

    Args:
        question: the question that was sent.
        reply: the requested URL, and the HTTP status and headers.
        payload: the decoded body; None when `error` is given.
        error: the result of core.reddit.answers.judge, or of the decoding.

    """
    if error is None:
        return _compare(question, payload)
    status = reply.status
    if 300 <= status < 400:
        return redirection(question, reply.url, status, reply.headers.get("location"))
    if isinstance(error, Unavailable):
        return error if error.named else _nameless(question, status, error)
    if isinstance(error, TokenRejected) and not reply.with_token:
        return Unexplained(SubredditState.FORBIDDEN, "401 without a reason")
    if isinstance(error, RequestRejected) and 400 <= status < 500 and status not in _ABOUT_THE_REQUEST:
        state = SubredditState.MISSING if status in _GONE else SubredditState.FORBIDDEN
        return Unexplained(state, str(error))
    return error


def is_nameless(question: Question, payload: object, error: GaplessError | None) -> bool:
    """Return whether an answer does not identify its subject, so that another's could be mistaken for it.

    Hot posts count as such: those of the week have the same kind and subreddit, and authors follow from the hot ones.
    """
    if error is not None:
        return isinstance(error, Unavailable | Unexplained) and getattr(error, "target", None) is None
    return question.kind is Kind.HOT or not names_it(question, payload)


def names_it(question: Question, payload: object) -> bool:
    """Return whether the requested facts identify their subject; rules and empty listings do not."""
    if question.kind in LISTINGS:
        return bool(payload.data.children if type(payload) is TypedListing else _children(payload))
    return question.kind is not Kind.RULES


def _nameless(question: Question, status: int, error: Unavailable) -> Unexplained:
    if status in _GONE:
        text = f"{status} without a reason"
        return Unexplained(SubredditState.MISSING, text, telling=True, common=question.of_user)
    # the posts of a suspended user are always refused like this
    text, is_common = f"{status} without a reason ({error.reason})", question.kind is Kind.SUBMITTED
    return Unexplained(SubredditState.FORBIDDEN, text, telling=is_common, common=is_common)


def _compare(question: Question, payload: object) -> GaplessError | None:
    if question.kind is Kind.RULES:
        return _compare_rules(payload)
    if question.kind in LISTINGS:
        return _compare_listing(question, payload)
    return _compare_thing(question, payload)


def _compare_rules(payload: object) -> GaplessError | None:
    found = payload.get("rules") if type(payload) is dict else None
    if type(found) is list:
        return BadAnswer(f"{len(found):,} rules, more than a subreddit has") if len(found) > _MOST_RULES else None
    return _other(payload) or answer_without("list of rules", payload)


def _compare_thing(question: Question, payload: object) -> GaplessError | None:
    """Compare an expected subreddit (t5) or user (t2)."""
    kind, key, what = ("t2", "name", "user") if question.of_user else ("t5", "display_name", "subreddit")
    if _kind(payload) == "Listing" and not _children(payload):
        return Unexplained(SubredditState.MISSING, "an empty listing", telling=True)
    data = unwrap(payload, kind)
    if data is None:
        return _other(payload) or answer_without(what, payload)
    name = _text(data, key)
    if name is None:
        return (_other(payload) if _kind(payload) != kind else None) or answer_without(what, payload)
    return None if same_name(name, question.name) else Mismatch(f"the {what} {outside(name, 50)!r}")


def _compare_listing(question: Question, payload: object) -> GaplessError | None:
    key = "author" if question.of_user else "subreddit"
    if type(payload) is TypedListing:
        count = len(payload.data.children)
        get = _AUTHOR if question.of_user else _SUBREDDIT
        names: Iterable[str | None] = [get(child.data) for child in payload.data.children]
        has_posts = True
    else:
        children = _children(payload) if _kind(payload) in (None, "Listing") else None
        if children is None:
            return _other(payload) or answer_without("listing", payload)
        posts = [post for child in children if (post := unwrap(child, "t3")) is not None]
        count, names = len(children), [_text(post, key) for post in posts]
        has_posts = bool(posts) or not any(map(_kind, children))
    if count > int(question.params["limit"]) + _PINNED:
        return Mismatch(f"{count} posts, more than requested")
    for name in dict.fromkeys(names):
        if not name or (question.of_user and name == _DELETED_AUTHOR) or same_name(name, question.name):
            continue
        return Mismatch(f"a post with {key} {outside(name, 50)!r}")
    return None if has_posts else Mismatch("a listing without posts")


def _other(payload: object) -> Mismatch | None:
    """Return the mismatch when this is a good answer to another question, else None."""
    kind = _kind(payload)
    if kind is not None:
        return Mismatch(f"a thing of kind {kind}")
    return Mismatch("rules") if type(payload) is dict and type(payload.get("rules")) is list else None


def _kind(payload: object) -> str | None:
    kind = payload.get("kind") if type(payload) is dict else None
    return kind if kind in _KINDS else None


def _children(payload: object) -> list[object] | None:
    """Return the children of a listing; None when there is no list of them."""
    data = unwrap(payload, "Listing")
    children = data.get("children") if data is not None else None
    return children if type(children) is list else None


def _text(data: Object, key: str) -> str | None:
    """Return a text that is neither missing nor empty, else None."""
    value = data.get(key)
    return value if type(value) is str and value else None
