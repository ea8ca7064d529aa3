"""Who is to blame: the name, the proxy, or Reddit; tables of attempts with a clock of the test's own."""

import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.errors import GaplessError
from core.reddit.request_errors import (
    BadAnswer,
    CredentialsRejected,
    NetworkBlocked,
    RateLimited,
    RequestRejected,
    ServerTrouble,
    TokenRejected,
    TooSlow,
    Unavailable,
    Unreachable,
)
from scraper.http.proxy.blame import Blame, Evidence, Sign, find_cause, item_of, sign_of
from scraper.http.proxy.siblings import Sibling
from scraper.http.transport.route import ProxyRefused, ProxyRejectsUs, ProxyResting

TIMEOUT = 15.0
WORKS = Sibling(good_for=1.0, good=20)
STEADY = Sibling(good_for=1.0, good=40)
FAILS = Sibling(good_for=300.0, bad=20)
KINDS = (Sign.WEAK, Sign.BAD, Sign.FAULT, Sign.OWN)

#: What failures look like; that must make no difference.
LOOKS = (
    BadAnswer("HTML instead of JSON"),
    BadAnswer("JSON that breaks off"),
    NetworkBlocked("403 with HTML"),
    ServerTrouble("Reddit answered 503"),
    RequestRejected(400, "Reddit answered 400"),
    Unavailable("forbidden", named=False),
    TooSlow("no complete answer"),
    Unreachable("reset"),
    ProxyRefused("the proxy answered 502", 502),
)


def evidence() -> Evidence:
    return Evidence(TIMEOUT, 0.0)


def feed(what: Evidence, sign: Sign, *items: str, start: float = 0.0, every: float = 0.1) -> float:
    """Add an attempt at each of these names; return the moment of the last."""
    now = start
    for item in items:
        now += every
        what.record(item, sign, now)
    return now


@pytest.mark.parametrize(
    ("error", "sign"),
    [
        (None, Sign.GOOD),
        (Unavailable("private"), Sign.GOOD),
        (Unavailable("forbidden", named=False), Sign.BAD),
        (Unavailable("missing", named=False), Sign.WEAK),
        (RateLimited(None), Sign.NOTHING),
        (ProxyResting(5.0), Sign.NOTHING),
        (CredentialsRejected("no"), Sign.NOTHING),
        (TokenRejected("no"), Sign.WEAK),
        (ProxyRejectsUs("407"), Sign.OWN),
        (ProxyRefused("502"), Sign.OWN),
        (Unreachable("reset"), Sign.FAULT),
        (ServerTrouble("503"), Sign.BAD),
        (BadAnswer("HTML"), Sign.BAD),
        (NetworkBlocked("403"), Sign.BAD),
        (GaplessError("what nobody thought of"), Sign.BAD),
    ],
)
def test_what_the_end_of_an_attempt_shows(error: GaplessError | None, sign: Sign) -> None:
    assert sign_of(error) is sign


@pytest.mark.parametrize(
    ("path", "item"),
    [
        ("/r/Bitcoin/about/rules", "r/bitcoin"),
        ("/r/Bitcoin/hot", "r/bitcoin"),
        ("/user/Ann/submitted", "user/ann"),
        ("/api/v1/access_token", ""),
    ],
)
def test_all_requests_for_one_name_are_one_item(path: str, item: str) -> None:
    assert item_of(path) == item


@pytest.mark.parametrize("error", LOOKS, ids=lambda error: f"{type(error).__name__}: {error}")
@pytest.mark.parametrize("siblings", [[WORKS], [WORKS, WORKS], [WORKS, FAILS]], ids=["one", "two", "one of two"])
def test_a_proxy_that_fails_at_many_names_while_others_work_is_to_blame(
    error: GaplessError, siblings: list[Sibling]
) -> None:
    what = evidence()
    now = feed(what, sign_of(error), "r/a", "r/b", "user/c", "r/d")
    assert not what.suspicious(now)
    assert what.record("r/e", sign_of(error), now + 0.1)
    assert find_cause(what, siblings, now + 0.1) in (None, Blame.PROXY)
    assert find_cause(what, siblings, now + 0.1, control_served=False) is Blame.PROXY


@pytest.mark.parametrize("sign", KINDS)
@pytest.mark.parametrize("siblings", [[FAILS], [FAILS, FAILS]])
def test_where_everybody_fails_no_proxy_is_to_blame(sign: Sign, siblings: list[Sibling]) -> None:
    what = evidence()
    now = feed(what, sign, *(f"r/{number}" for number in range(10)))
    assert what.suspicious(now)
    assert find_cause(what, siblings, now, control_served=False) is Blame.EVERYBODY


@pytest.mark.parametrize("sign", [Sign.WEAK, Sign.BAD, Sign.FAULT])
@pytest.mark.parametrize("siblings", [[], [WORKS], [FAILS]], ids=["alone", "others work", "others fail"])
def test_one_name_that_fails_for_ever_is_to_blame_itself(sign: Sign, siblings: list[Sibling]) -> None:
    what = evidence()
    now = feed(what, sign, *["r/sub003"] * 20)
    assert what.suspicious(now)
    assert find_cause(what, siblings, now) is None, "one more request decides"
    assert find_cause(what, siblings, now, control_served=True) is Blame.ITEM
    assert what.blame_names(now) == ("r/sub003",)
    later = feed(what, sign, *["r/sub003"] * 100, start=now)
    assert not what.suspicious(later)
    assert not what.unreliable(later)
    assert feed(what, Sign.BAD, *["r/other"] * 5, start=later)
    assert what.suspicious(later + 1.0), "another name is another story"


def test_a_name_that_fails_through_others_too_needs_no_control() -> None:
    what = evidence()
    now = feed(what, Sign.BAD, *["r/sub003"] * 5)
    assert find_cause(what, [Sibling(1.0, good=20, failing=("r/sub003", "user/x"))], now) is Blame.ITEM
    assert find_cause(what, [Sibling(300.0, failing=("r/sub003",))], now) is None, "that one works at nothing"


def test_good_answers_between_the_failures_of_one_name_raise_no_suspicion() -> None:
    what = evidence()
    for number in range(50):
        now = feed(what, Sign.BAD, *["user/sub003"] * 4, start=10.0 * number)
        assert not what.suspicious(now)
        feed(what, Sign.GOOD, *(f"r/{one}" for one in range(10)), start=now)
    assert what.failing == ("user/sub003",)
    feed(what, Sign.GOOD, "user/sub003", start=1000.0)
    assert not [*what.failing]


@pytest.mark.parametrize(
    ("sign", "names", "blame"),
    [
        (Sign.FAULT, 3, Blame.PROXY),  # a dead proxy is known without one more timeout
        (Sign.FAULT, 1, None),
        (Sign.OWN, 1, Blame.PROXY),  # it says so itself
        (Sign.BAD, 5, None),
    ],
)
def test_what_no_single_name_can_cause_needs_no_control(sign: Sign, names: int, blame: Blame | None) -> None:
    what = evidence()
    now = feed(what, sign, *(f"r/{number % names}" for number in range(5)))
    assert find_cause(what, [WORKS], now) is blame


def test_silence_for_as_long_as_a_request_may_take_needs_fewer_failures() -> None:
    what = evidence()
    now = feed(what, Sign.GOOD, "r/a")
    assert not what.record("r/b", Sign.FAULT, now + TIMEOUT + 1.0)
    assert what.record("r/b", Sign.FAULT, now + TIMEOUT + 2.0)


def is_found_unreliable(
    what: Evidence, siblings: list[Sibling], share: float, attempts: int, *, seed: int = 1, sign: Sign = Sign.BAD
) -> int | None:
    """Let this share of attempts at many names fail; return after how many the proxy was blamed for that."""
    chance, now = random.Random(seed), 0.0
    for number in range(attempts):
        now += 0.3
        end = sign if chance.random() < share else Sign.GOOD
        if what.record(f"r/{number}", end, now) and not what.suspicious(now):
            if find_cause(what, siblings, now) is Blame.PROXY:
                return number + 1
            what.siblings_are_no_better(now)
    return None


@pytest.mark.parametrize("sign", [Sign.BAD, Sign.FAULT])
@pytest.mark.parametrize("every", [2, 3])
def test_a_proxy_that_fails_at_a_part_of_its_requests_is_to_blame_soon(every: int, sign: Sign) -> None:
    """Also one that needs seconds for each failure, so that few attempts come together."""
    what, now, attempts = evidence(), 0.0, 0
    while not (what.unreliable(now) and find_cause(what, [STEADY], now) is Blame.PROXY):
        attempts += 1
        assert attempts <= 12 * every
        now = feed(what, Sign.GOOD if attempts % every else sign, f"r/{attempts // 3}", start=now, every=1.0)
    assert not what.suspicious(now)
    assert find_cause(what, [FAILS, STEADY], now) is Blame.PROXY
    assert find_cause(what, [Sibling(1.0, good=20, bad=20)], now) is Blame.NOBODY, "it is the same everywhere"
    assert find_cause(what, [], now) is Blame.NOBODY, "it is all there is"
    what.begin_anew()
    assert not what.unreliable(now)


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("share", [0.35, 0.5, 0.65])
def test_failures_by_chance_are_found_too(share: float, seed: int) -> None:
    assert is_found_unreliable(evidence(), [STEADY, STEADY], share, 60, seed=seed) is not None


@pytest.mark.parametrize("seed", range(3))
def test_bad_weather_does_not_make_a_proxy_unreliable(seed: int) -> None:
    """One in eight fails everywhere; and a sibling that happens to see less of it."""
    assert is_found_unreliable(evidence(), [Sibling(1.0, good=35, bad=5)], 0.13, 10_000, seed=seed) is None
    assert is_found_unreliable(evidence(), [Sibling(1.0, good=39, bad=1)] * 2, 0.06, 10_000, seed=seed) is None


def test_deleted_users_do_not_make_a_proxy_unreliable() -> None:
    """A subreddit whose authors are mostly gone: many of its answers are 404, and others read other subreddits."""
    assert is_found_unreliable(evidence(), [STEADY], 0.2, 2_000, sign=Sign.WEAK) is None
    assert is_found_unreliable(evidence(), [STEADY], 0.6, 2_000, sign=Sign.WEAK) is not None, "but not most of all"


def test_names_that_fail_through_others_too_do_not_make_a_proxy_unreliable() -> None:
    names = [f"r/{number}" for number in range(5)]
    others, what, now = [Sibling(1.0, good=35, bad=5, failing=names)], evidence(), 0.0
    for number in range(100):
        now = feed(what, Sign.BAD, names[number % 5], start=now)
        assert find_cause(what, others, now) is Blame.NOBODY
        now = feed(what, Sign.GOOD, f"r/good{number}", start=now)


def test_a_problem_that_has_just_begun_is_not_compared_with_older_reports() -> None:
    """The reports of the siblings may be from before the first failure."""
    what = evidence()
    now = feed(what, Sign.GOOD, *(f"r/{number}" for number in range(10)))
    for number in range(8):
        assert not what.record(f"r/{number}", Sign.BAD, now + number / 10.0)
        what.record("r/x", Sign.GOOD, now + number / 10.0)
    assert what.record("r/y", Sign.BAD, now + 4.0)
    assert find_cause(what, [STEADY, STEADY], now + 4.0) is Blame.PROXY


def test_deleted_users_are_no_reason_for_suspicion() -> None:
    """Nine 404 in a row happen where many accounts are gone."""
    what = evidence()
    now = feed(what, Sign.WEAK, *(f"user/{number}" for number in range(9)))
    assert not what.suspicious(now)
    assert what.record("user/x", Sign.WEAK, now + 0.1), "but a proxy that answers everything with 404 is tested"


def test_many_names_are_never_blamed_for_one_run() -> None:
    what = evidence()
    now = feed(what, Sign.BAD, *(f"r/{number}" for number in range(5)))
    assert what.blame_names(now) == ()
    feed(what, Sign.BAD, *(f"r/{number}" for number in range(5)), start=now)
    assert what.suspicious(now + 1.0)


def test_what_is_remembered_is_bounded() -> None:
    what = evidence()
    feed(what, Sign.BAD, *(f"user/{number // 2}" for number in range(10_000)))
    assert len(what.failing) == 100


SIGNS = st.sampled_from([Sign.GOOD, Sign.WEAK, Sign.BAD, Sign.FAULT, Sign.NOTHING])
SIBLINGS = st.lists(st.builds(Sibling, st.floats(0.0, 1000.0), st.integers(0, 40), st.integers(0, 40)), max_size=3)


@given(steps=st.lists(st.tuples(st.sampled_from(["r/a", "user/b"]), SIGNS, st.floats(0.0, 30.0))), siblings=SIBLINGS)
def test_two_names_are_never_held_against_a_proxy_that_serves_the_control(
    steps: list[tuple[str, Sign, float]], siblings: list[Sibling]
) -> None:
    what, now = evidence(), 0.0
    for item, sign, pause in steps:
        now += pause
        if what.record(item, sign, now):
            assert find_cause(what, siblings, now, control_served=True) is Blame.ITEM
            what.blame_names(now)
            assert not what.suspicious(now)


@given(signs=st.lists(st.sampled_from(KINDS), min_size=10, max_size=30), siblings=SIBLINGS)
def test_a_proxy_that_brings_nothing_never_stays_in_work(signs: list[Sign], siblings: list[Sibling]) -> None:
    what, suspected = evidence(), False
    for number, sign in enumerate(signs):
        if what.record(f"r/{number}", sign, number / 10.0):
            suspected = True
            blame = find_cause(what, siblings, number / 10.0, control_served=False)
            assert blame in {Blame.PROXY, Blame.EVERYBODY}
            assert (blame is Blame.EVERYBODY) == (bool(siblings) and not any(one.works for one in siblings))
    assert suspected
