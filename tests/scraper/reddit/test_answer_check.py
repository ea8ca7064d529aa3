"""What an answer is: the facts asked for, a refusal, or something else. The families of S01, S05, S12 and S14."""

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import GaplessError
from core.reddit.answers import classify
from core.reddit.request_errors import BadAnswer, NetworkBlocked, ServerTrouble, TokenRejected, Unavailable
from scraper.reddit.answer_check import Reply, check_answer, is_nameless
from scraper.reddit.question import Kind, Question, about, same_name
from scraper.reddit.refusal import Mismatch, Unexplained, unexplained
from scraper.reddit.rows import SubredditState
from tests.scraper.samples import samples

NOW = datetime(2026, 11, 28, tzinfo=UTC)
FORBIDDEN = {"message": "Forbidden", "error": 403}
HTML = "<!doctype html><html><body>Access denied</body></html>"


def asked(kind: Kind, name: str = "Bitcoin") -> Question:
    return Question(kind, name)


def verdict(question: Question, body: Any, status: int = 200, *, with_token: bool = True) -> GaplessError | None:
    """Judge an answer as the client does."""
    raw = body.encode() if isinstance(body, str) else json.dumps(body).encode()
    headers = {"content-type": "text/html" if raw.startswith(b"<") else "application/json"}
    error = classify(status, headers, raw, NOW)
    payload = json.loads(raw) if error is None else None
    reply = Reply(f"https://oauth.reddit.com{question.path}", status, headers, with_token)
    return check_answer(question, reply, payload, error)


def listing(*children: Any, kind: str = "Listing") -> dict[str, Any]:
    return {"kind": kind, "data": {"children": list(children)}}


def post(subreddit: Any = "Bitcoin", author: Any = "ann", kind: str = "t3") -> dict[str, Any]:
    return {"kind": kind, "data": {"id": "a", "title": "t", "subreddit": subreddit, "author": author}}


def t5(name: Any) -> dict[str, Any]:
    return {"kind": "t5", "data": {"display_name": name}}


def t2(name: Any) -> dict[str, Any]:
    return {"kind": "t2", "data": {"name": name}}


RULES = {"rules": [{"short_name": "be kind"}], "site_rules": []}


@pytest.mark.parametrize(
    ("kind", "name", "body"),
    [
        (Kind.ABOUT, "Bitcoin", t5("Bitcoin")), (Kind.ABOUT, "bitcoin", t5("BITCOIN")),
        (Kind.ABOUT, "Bitcoin", {"display_name": "Bitcoin"}), (Kind.ABOUT, "u_ann", t5("u_Ann")),
        (Kind.RULES, "Bitcoin", RULES), (Kind.RULES, "Bitcoin", {"rules": []}),
        (Kind.HOT, "Bitcoin", listing()), (Kind.HOT, "bitcoin", listing(post("Bitcoin"), post("BITCOIN"))),
        (Kind.HOT, "Bitcoin", listing(post(), post(kind="t1"), None)),  # what is no post is counted, not a mismatch
        (Kind.WEEK, "Bitcoin", listing(*[post()] * 12)), (Kind.YEAR, "Bitcoin", listing(*[post()] * 100)),
        (Kind.USER, "ann", t2("Ann")), (Kind.USER, "ann", {"name": "ann", "is_suspended": True}),
        (Kind.SUBMITTED, "Ann", listing(post("cats"), post("dogs"))), (Kind.SUBMITTED, "ann", listing()),
        (Kind.SUBMITTED, "ann", listing(post("cats", "[deleted]"))),
    ],
)  # fmt: skip
def test_what_was_asked_for(kind: Kind, name: str, body: Any) -> None:
    assert verdict(asked(kind, name), body) is None


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (Kind.ABOUT, t5("ethereum")), (Kind.ABOUT, t5("Bitcoin2")), (Kind.ABOUT, t5("\u212aitcoin")),
        (Kind.ABOUT, t5("Bitcoin ")), (Kind.ABOUT, RULES), (Kind.ABOUT, listing(post())), (Kind.ABOUT, t2("Bitcoin")),
        (Kind.ABOUT, {"display_name": "ethereum"}), (Kind.ABOUT, {"kind": "t3", "data": {}}),
        (Kind.RULES, t5("Bitcoin")), (Kind.RULES, listing()), (Kind.RULES, listing(post())),
        (Kind.HOT, listing(post("ethereum"))), (Kind.HOT, listing(post(), post("ethereum"))), (Kind.HOT, RULES),
        (Kind.HOT, t5("Bitcoin")), (Kind.HOT, listing(post(kind="t1"))), (Kind.HOT, listing(*[post()] * 100)),
        (Kind.HOT, listing({"id": "a", "title": "t", "subreddit": "ethereum"})),  # a post without its wrapping
        (Kind.WEEK, listing(*[post()] * 30)), (Kind.YEAR, listing(post("u_Bitcoin"))),
        (Kind.HOT, listing(kind="UserList")),
    ],
)  # fmt: skip
def test_a_good_answer_to_another_question(kind: Kind, body: Any) -> None:
    assert isinstance(verdict(asked(kind), body), Mismatch)


@pytest.mark.parametrize(
    ("kind", "body"),
    [
        (Kind.USER, t2("bob")), (Kind.USER, t5("ann")), (Kind.USER, t5("u_ann")), (Kind.USER, listing(post())),
        (Kind.SUBMITTED, listing(post(author="bob"))), (Kind.SUBMITTED, listing(post(), post(author="bob"))),
        (Kind.SUBMITTED, t2("ann")), (Kind.SUBMITTED, listing(post(kind="t1"))), (Kind.SUBMITTED, RULES),
    ],
)  # fmt: skip
def test_a_good_answer_about_another_user(kind: Kind, body: Any) -> None:
    assert isinstance(verdict(asked(kind, "ann"), body), Mismatch)


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize("body", ["[]", "null", "{}", '{"error": 403, "message": "Forbidden"}', '"x"', HTML, "7"])
def test_an_answer_to_nothing_is_a_bad_answer(kind: Kind, body: str) -> None:
    error = verdict(asked(kind), body)
    assert isinstance(error, BadAnswer)
    assert not isinstance(error, Mismatch)


@pytest.mark.parametrize("kind", [Kind.ABOUT, Kind.USER])
def test_an_empty_listing_instead_of_a_thing_may_mean_that_there_is_none(kind: Kind) -> None:
    error = verdict(asked(kind), listing())
    assert isinstance(error, Unexplained)
    assert (error.state, error.telling) == (SubredditState.MISSING, True)


@pytest.mark.parametrize("kind", Kind)
@pytest.mark.parametrize(
    ("status", "body", "state"),
    [
        (403, FORBIDDEN, "forbidden"), (403, {}, "forbidden"), (403, {"reason": None}, "forbidden"),
        (403, {"reason": ""}, "forbidden"), (403, {"reason": 7}, "forbidden"), (400, {"error": 400}, "forbidden"),
        (400, HTML, "forbidden"), (405, FORBIDDEN, "forbidden"), (451, {}, "forbidden"), (451, HTML, "forbidden"),
        (404, {"message": "Not Found", "error": 404}, "missing"), (404, HTML, "missing"), (410, {}, "missing"),
        (402, "", "forbidden"),
    ],
)  # fmt: skip
def test_a_refusal_without_a_reason_proves_nothing(kind: Kind, status: int, body: Any, state: str) -> None:
    error = verdict(asked(kind), body, status)
    assert isinstance(error, Unexplained)
    assert error.state == state
    usual = kind is Kind.SUBMITTED and (status in (403, 451) and isinstance(body, dict))
    assert error.telling is (usual or (status == 404 and isinstance(body, dict)))


@pytest.mark.parametrize("reason", ["private", "banned", "quarantined", "gold_only", "something new"])
def test_a_refusal_with_a_reason_is_a_fact(reason: str) -> None:
    error = verdict(asked(Kind.ABOUT), {"reason": reason, "error": 403}, 403)
    assert isinstance(error, Unavailable)
    assert error.named


def test_a_401_speaks_of_the_token_where_there_is_one() -> None:
    assert isinstance(verdict(asked(Kind.ABOUT), {}, 401), TokenRejected)
    assert isinstance(verdict(asked(Kind.ABOUT), {}, 401, with_token=False), Unexplained)


@pytest.mark.parametrize(("status", "body"), [(500, {}), (503, HTML), (408, {}), (414, HTML), (431, {}), (599, "")])
def test_what_passes_or_is_about_the_request_says_nothing_about_the_name(status: int, body: Any) -> None:
    error = verdict(asked(Kind.ABOUT), body, status)
    assert error is not None
    assert unexplained(error) is None


def test_a_blocked_network_and_a_token_that_stays_rejected_may_mean_the_name() -> None:
    for error in (NetworkBlocked("403 with HTML"), TokenRejected("401")):
        refused = unexplained(error)
        assert refused is not None
        assert (refused.state, refused.telling) == (SubredditState.FORBIDDEN, False)
    assert unexplained(ServerTrouble("503")) is None


@given(
    kind=st.sampled_from(list(Kind)),
    body=st.recursive(
        st.none() | st.booleans() | st.floats(allow_nan=False) | st.sampled_from(["Listing", "t3", "t5", "Bitcoin"]),
        lambda inner: st.lists(inner, max_size=3)
        | st.dictionaries(
            st.sampled_from(["kind", "data", "children", "rules", "name", "display_name", "subreddit", "author"]), inner
        ),
        max_leaves=12,
    ),
)  # fmt: skip
def test_whatever_comes_is_judged(kind: Kind, body: Any) -> None:
    error = check_answer(asked(kind), Reply("https://oauth.reddit.com/", 200, {}), body, None)
    assert error is None or isinstance(error, BadAnswer | Unexplained)
    assert is_nameless(asked(kind), body, error) in (True, False)


def test_which_answers_could_be_those_of_another() -> None:
    assert is_nameless(asked(Kind.RULES), RULES, None)
    assert is_nameless(asked(Kind.WEEK), listing(), None)
    assert is_nameless(asked(Kind.ABOUT), None, Unavailable("private"))
    assert is_nameless(asked(Kind.USER), None, Unexplained(SubredditState.FORBIDDEN, "403"))
    assert not is_nameless(asked(Kind.WEEK), listing(post()), None)
    assert not is_nameless(asked(Kind.ABOUT), t5("Bitcoin"), None)
    assert not is_nameless(asked(Kind.ABOUT), None, Unexplained(SubredditState.MOVED, "301", target="new"))


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [("Bitcoin", "BITCOIN", True), ("a_b-1", "A_B-1", True), ("é", "é", True), ("é", "É", False),
     ("k", "\u212a", False), ("s", "\u017f", False), ("a", "a ", False), (None, None, False), ("a", 1, False)],
)  # fmt: skip
def test_names_are_compared_as_the_databases_do(one: object, other: object, same: bool) -> None:
    assert same_name(one, other) is same


def test_the_question_behind_a_path() -> None:
    for question in (Question(Kind.ABOUT, "Bitcoin"), Question(Kind.USER, "ann")):
        assert about(question.path) == question
    assert about(Question(Kind.RULES, "Bitcoin").path) is None


def test_every_real_answer_is_what_its_name_asks_for() -> None:
    for data in samples("t5"):
        assert verdict(asked(Kind.ABOUT, data["display_name"].swapcase()), {"kind": "t5", "data": data}) is None
    for data in samples("t2"):
        assert verdict(asked(Kind.USER, data["name"].swapcase()), {"kind": "t2", "data": data}) is None
    for data in samples("t3"):
        body = listing({"kind": "t3", "data": data})
        assert verdict(asked(Kind.YEAR, data["subreddit"].swapcase()), body) is None
        assert verdict(asked(Kind.SUBMITTED, data["author"]), body) is None


def test_more_rules_than_a_subreddit_has_make_no_rows() -> None:
    reply = Reply("https://oauth.reddit.com/r/Bitcoin/about/rules", 200, {})
    question = Question(Kind.RULES, "Bitcoin")
    assert check_answer(question, reply, {"rules": [{}] * 1000}, None) is None
    assert isinstance(check_answer(question, reply, {"rules": [{}] * 1001}, None), BadAnswer)
