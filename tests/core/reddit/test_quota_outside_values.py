"""Whatever Reddit's headers say and our clock does: nothing stands still, nothing storms, and nothing odd is stored."""

import math
from dataclasses import astuple, replace

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from core.reddit.bounds import FIRST_PROBE, PROBE_INTERVAL, REQUEST_COUNT
from core.reddit.quota import STORED, WINDOW, Priority, Quota, RateHeaders, advance, granted, restored, wait_for
from core.reddit.quota_answers import LADDER, answered, failed, refused
from tests.support.soaking import LONGER, examples

PER_MINUTE = 6.0
LIMIT = 60.0
NOW = 1_700_000_000.0

ODD = st.one_of(
    st.none(),
    st.sampled_from([math.nan, math.inf, -math.inf, -1.0, 0.0, 0.5, 1.0, 1e12, 1e300, NOW, NOW + 300, NOW * 1000]),
    st.floats(),
    st.floats(0.0, 1200.0),
)
HEADERS = st.one_of(st.none(), st.builds(RateHeaders, ODD, ODD, ODD))


def fresh(now: float = NOW) -> Quota:
    return advance(restored({}, 0), now, PER_MINUTE)


def serve(quota: Quota, headers: RateHeaders | None, now: float, priority: Priority = Priority.STREAM) -> Quota:
    """Send a request that is answered 200 at once."""
    return answered(granted(quota, priority, now), headers, now, now, PER_MINUTE)


def good(now: float, used: float = 5.0) -> RateHeaders:
    return RateHeaders(used, LIMIT - used, WINDOW - (now - NOW) % WINDOW)


class OddAnswers(RuleBasedStateMachine):
    """Any sequence of answers, headers, losses and clock steps."""

    @initialize(stored=st.fixed_dictionaries(dict.fromkeys(STORED, ODD)), poisoned=st.booleans())
    def begin(self, stored: dict[str, float | None], poisoned: bool) -> None:
        self.now = NOW
        self.passed = 0.0
        self.on_way: list[float] = []
        self.sent_at: list[float] = []
        self.stepped = poisoned
        self.quota = advance(restored(stored if poisoned else {}, 0), self.now, PER_MINUTE)

    @rule(priority=st.sampled_from(Priority), times=st.integers(1, 80))
    def ask(self, priority: Priority, times: int) -> None:
        for _ in range(times):
            self.quota = advance(self.quota, self.now, PER_MINUTE)
            seconds = wait_for(self.quota, priority, self.now)
            assert 0.0 <= seconds <= WINDOW + 1.0
            if seconds > 0:
                return
            self.quota = granted(self.quota, priority, self.now)
            self.on_way.append(self.now)
            self.sent_at.append(self.passed)

    @rule(seconds=st.one_of(st.floats(0, 5), st.floats(0, 100), st.floats(0, 700)))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self.passed += seconds
        self.quota = advance(self.quota, self.now, PER_MINUTE)

    @rule(seconds=st.one_of(st.floats(-700, 700), st.floats(-1e7, 1e7)))
    def step_the_clock(self, seconds: float) -> None:
        self.now += seconds
        self.stepped = True
        self.quota = advance(self.quota, self.now, PER_MINUTE)

    @precondition(lambda self: self.on_way)
    @rule(data=st.data(), headers=HEADERS, retry_after=ODD, how=st.sampled_from(["served", "broken", "429", "lost"]))
    def settle(self, data: st.DataObject, headers: RateHeaders | None, retry_after: float | None, how: str) -> None:
        sent_at = self.on_way.pop(data.draw(st.integers(0, len(self.on_way) - 1)))
        if how == "lost":
            self.quota = failed(self.quota, sent_at, self.now)
        elif how == "429":
            self.quota = refused(self.quota, sent_at, retry_after, self.now, headers)
            assert self.quota.blocked_until <= self.now + WINDOW
        else:
            success = how == "served"
            self.quota = answered(self.quota, headers, sent_at, self.now, PER_MINUTE, success=success)

    @invariant()
    def nothing_odd_is_stored(self) -> None:
        if hasattr(self, "quota"):
            assert all(math.isfinite(value) for value in astuple(self.quota))
            assert self.quota.outstanding == len(self.on_way)
            assert self.quota.reset_at <= self.now + WINDOW

    @invariant()
    def a_test_request_is_always_near(self) -> None:
        """Unless our own count says that all is spent that the user allows."""
        if hasattr(self, "quota"):
            quota = advance(self.quota, self.now, PER_MINUTE)
            if quota.own_remaining() >= 1.0:
                assert wait_for(quota, Priority.STREAM, self.now) <= PROBE_INTERVAL
            else:
                assert quota.sent_since <= self.now

    @invariant()
    def our_own_count_holds(self) -> None:
        """At most two of our own windows begin within 540 s, so that three share such a time."""
        if hasattr(self, "quota") and not self.stepped:
            assert sum(self.passed - moment < WINDOW - 60.0 for moment in self.sent_at) <= 3 * LIMIT

    @invariant()
    def good_answers_open_everything_within_a_minute(self) -> None:
        if hasattr(self, "quota") and self.quota.own_remaining() >= 8.0:
            assert recovers(self.quota, self.now) <= 60.0


def recovers(quota: Quota, now: float) -> float:
    """Return how long it takes from now on until requests follow each other, all of them served with good headers."""
    began, at_once = now, 0
    while at_once < 3 and now - began <= 700.0:
        quota = advance(quota, now, PER_MINUTE)
        seconds = wait_for(quota, Priority.STREAM, now)
        if seconds > 0:
            at_once, now = 0, now + seconds
        else:
            quota = serve(quota, RateHeaders(1.0, LIMIT - 1.0, 300.0), now)
            at_once, now = at_once + 1, now + 0.01
    return now - began


OddAnswers.TestCase.settings = settings(max_examples=examples(30, soak=160), stateful_step_count=40)
TestOddAnswers = LONGER(OddAnswers.TestCase)


@given(stored=st.fixed_dictionaries({name: st.one_of(ODD, st.text(), st.binary()) for name in STORED}))
def test_a_poisoned_file_recovers_with_the_next_good_answer(stored: dict[str, object]) -> None:
    quota = advance(restored(stored, 0), NOW, PER_MINUTE)
    seconds = wait_for(quota, Priority.STREAM, NOW)
    if quota.own_remaining() >= 1.0:
        assert seconds <= PROBE_INTERVAL
        assert quota.own_remaining() < 8.0 or recovers(quota, NOW) <= 60.0
    else:
        assert seconds <= WINDOW


@pytest.mark.parametrize(
    "stored",
    [
        {"reset_at": NOW + 1e12, "used": 1e12, "limit": 1.0, "window_start": NOW - 5},
        {"blocked_until": NOW + 1e9, "refusals": 3.0, "refused_at": NOW - 5, "limit": 1000.0},
        {"limit": None, "used": None, "reset_at": None},
        {"limit": math.nan, "used": math.nan, "reset_at": math.inf, "stream_pace": 1e12},
        {"refused_at": 1e300, "window_start": 1e300},
        {"refusals": 1e300},
    ],
)
def test_values_that_an_older_version_stored(stored: dict[str, object]) -> None:
    quota = advance(restored(stored, 0), NOW, PER_MINUTE)
    assert all(math.isfinite(value) for value in astuple(quota))
    assert recovers(quota, NOW) < 1.0, "the first request is a test"


def test_one_odd_answer_that_claims_nothing_remains_is_tested_after_half_a_minute() -> None:
    quota = serve(fresh(), RateHeaders(5.0, 0.0, 1e12), NOW)
    for priority in Priority:
        assert wait_for(quota, priority, NOW) == FIRST_PROBE
    later = NOW + FIRST_PROBE
    probing = granted(quota, Priority.SCRAPER, later)
    for priority in Priority:
        assert wait_for(probing, priority, later) == PROBE_INTERVAL, "one at a time, over all processes"
    quota = answered(probing, good(later), later, later + 1.0, PER_MINUTE)
    assert wait_for(quota, Priority.STREAM, later + 1.0) == 0.0
    assert quota.remaining() == LIMIT - 5.0


def test_a_claim_that_is_true_is_tested_no_more_than_every_45_seconds() -> None:
    """Another program used up the quota: thirteen requests in a window, all of them refused, are the price."""
    quota, now, tests = serve(fresh(), RateHeaders(1000.0, 0.0, 599.0), NOW), NOW, 0
    while now < NOW + 598.0:
        now += wait_for(quota, Priority.STREAM, now) or 1e-3
        if wait_for(quota, Priority.STREAM, now) == 0.0:
            tests += 1
            quota = granted(quota, Priority.STREAM, now)
            quota = refused(quota, now, None, now, RateHeaders(1000.0, 0.0, 599.0 - (now - NOW)))
    assert 10 <= tests <= 14


def test_a_claim_that_is_contradicted_twice_is_no_longer_believed_until_a_429() -> None:
    nothing = RateHeaders(1000.0, 0.0, 600.0)
    quota, now = serve(fresh(), nothing, NOW), NOW
    for _ in range(2):
        now += wait_for(quota, Priority.STREAM, now)
        quota = serve(quota, nothing, now)
    assert now == NOW + FIRST_PROBE + PROBE_INTERVAL
    for _ in range(50):
        assert wait_for(quota, Priority.STREAM, now) == 0.0
        quota = serve(quota, nothing, now)
    quota = refused(granted(quota, Priority.STREAM, now), now, 1.0, now)
    quota = serve(quota, nothing, now + 1.0)
    assert wait_for(quota, Priority.STREAM, now + 1.0) >= FIRST_PROBE


@pytest.mark.parametrize("priority", Priority)
@pytest.mark.parametrize("later", [None, RateHeaders(None, -1.0, math.nan)])
def test_a_claim_is_also_contradicted_by_served_tests_without_rate_headers(
    priority: Priority, later: RateHeaders | None
) -> None:
    """One odd answer, and a server, or a gateway, that otherwise sends no rate headers."""
    quota, now = serve(fresh(), RateHeaders(1000.0, 0.0, NOW + 119_000.0), NOW, priority), NOW
    for _ in range(2):
        now += wait_for(quota, priority, now)
        quota = serve(quota, later, now, priority)
    assert now == NOW + FIRST_PROBE + PROBE_INTERVAL
    for _ in range(20):
        assert wait_for(quota, priority, now) == 0.0
        quota = serve(quota, later, now, priority)
    assert quota.sent >= 20.0
    assert quota.remaining() <= LIMIT - 20.0, "what the user allows still holds"


def test_the_scraper_alone_tests_a_claim_that_little_remains() -> None:
    """No stream asks, so that no other answer corrects it."""
    quota = serve(fresh(), RateHeaders(55.0, 5.0, 600.0), NOW, Priority.SCRAPER)
    quota = replace(quota, stream_pace=0.0)
    assert wait_for(quota, Priority.SCRAPER, NOW + 1.0) > 0.0
    later = NOW + PROBE_INTERVAL
    assert wait_for(quota, Priority.SCRAPER, later) == 0.0
    quota = serve(quota, good(later), later, Priority.SCRAPER)
    assert wait_for(quota, Priority.SCRAPER, later) == 0.0


def after_429(headers: RateHeaders | None, retry_after: float | None = None) -> float:
    quota = refused(granted(fresh(), Priority.STREAM, NOW), NOW, retry_after, NOW + 0.5, headers)
    return quota.blocked_until - NOW - 0.5


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        (RateHeaders(1000.0, 0.0, 1.0), 2.0),
        (RateHeaders(1000.0, 0.5, 1.0), 2.0),
        (RateHeaders(1000.0, 0.0, 0.2), 2.0),
        (RateHeaders(1000.0, 0.0, 300.0), 301.0),
        (RateHeaders(None, None, 30.0), 31.0),
        (RateHeaders(1000.0, 0.0, 1e12), WINDOW),
        (RateHeaders(1000.0, 0.0, 601.0), WINDOW),
        (RateHeaders(1000.0, 0.0, NOW + 60.5), 61.0),
        (RateHeaders(1000.0, 0.0, (NOW + 60.5) * 1000), 61.0),
        (RateHeaders(10.0, 990.0, 300.0), LADDER[0]),
        (RateHeaders(1000.0, 0.0, None), LADDER[0]),
        (RateHeaders(1000.0, 0.0, math.nan), LADDER[0]),
        (RateHeaders(1000.0, 0.0, -5.0), LADDER[0]),
        (None, LADDER[0]),
    ],
)
def test_a_429_without_retry_after_waits_for_the_reset_where_nothing_remains(
    headers: RateHeaders | None, seconds: float
) -> None:
    assert after_429(headers) == pytest.approx(seconds)


@pytest.mark.parametrize(
    ("retry_after", "seconds"), [(0.0, 1.0), (7.5, 7.5), (1e12, WINDOW), (math.nan, LADDER[0]), (math.inf, LADDER[0])]
)
def test_retry_after_goes_before_the_reset(retry_after: float, seconds: float) -> None:
    assert after_429(RateHeaders(10.0, 990.0, 300.0), retry_after) == pytest.approx(seconds)


@pytest.mark.parametrize(("retry_after", "headers"), [(None, RateHeaders(1000.0, 0.0, 1.0)), (0.0, None), (1.0, None)])
def test_a_short_wait_that_is_wrong_each_time_makes_no_storm(
    retry_after: float | None, headers: RateHeaders | None
) -> None:
    quota, now, times = fresh(), NOW, 0
    while now < NOW + 600.0:
        quota = advance(quota, now, PER_MINUTE)
        if (seconds := wait_for(quota, Priority.STREAM, now)) > 0.0:
            now += seconds
            continue
        times += 1
        quota = refused(granted(quota, Priority.STREAM, now), now, retry_after, now + 0.1, headers)
    assert times <= 20


def test_after_a_block_one_request_goes_first() -> None:
    """Twenty that waited for its end would all be refused again."""
    quota = refused(granted(fresh(), Priority.STREAM, NOW), NOW, 10.0, NOW)
    now = NOW + 10.0
    assert wait_for(quota, Priority.SCRAPER, now) == 0.0
    quota = granted(quota, Priority.SCRAPER, now)
    assert 0.0 < wait_for(quota, Priority.STREAM, now) <= 1.0, "its result is looked for soon"
    for lost in (failed(quota, now, now + 1.0), answered(quota, None, now, now + 1.0, PER_MINUTE, success=False)):
        assert 0.0 < wait_for(lost, Priority.STREAM, now + 1.0) <= 5.0
    served = answered(quota, None, now, now + 1.0, PER_MINUTE)
    assert wait_for(served, Priority.STREAM, now + 1.0) == 0.0


def test_a_late_refusal_does_not_undo_a_served_test_request() -> None:
    """It was sent before the wait began, and comes while the test is under way."""
    quota = granted(granted(fresh(), Priority.STREAM, NOW), Priority.STREAM, NOW)
    quota = refused(quota, NOW, 2.0, NOW + 1.0)
    later = NOW + 3.5
    quota = granted(quota, Priority.STREAM, later)
    quota = refused(quota, NOW, 2.0, later + 0.1)
    assert wait_for(quota, Priority.STREAM, later + 0.2) > 0.0, "one test at a time"
    quota = answered(quota, None, later, later + 0.3, PER_MINUTE)
    assert wait_for(quota, Priority.STREAM, later + 0.3) == 0.0
    even_later = refused(granted(quota, Priority.STREAM, later), NOW, 300.0, later + 0.4)
    assert wait_for(even_later, Priority.STREAM, later + 0.4) == 0.0, "a later request was served"


def test_a_served_test_request_ends_a_long_block() -> None:
    quota = refused(granted(fresh(), Priority.STREAM, NOW), NOW, 600.0, NOW)
    now = NOW + wait_for(quota, Priority.STREAM, NOW)
    assert now == NOW + PROBE_INTERVAL
    quota = serve(quota, good(now), now)
    assert (quota.refusals, wait_for(quota, Priority.STREAM, now)) == (0, 0.0)


@pytest.mark.parametrize("step", [-7200.0, -500.0, -30.0, 30.0, 500.0, 7200.0, 86_400.0 * 365])
def test_a_clock_step_blocks_nothing_for_longer(step: float) -> None:
    blocked = refused(granted(fresh(), Priority.STREAM, NOW), NOW, 600.0, NOW)
    claimed = serve(fresh(), RateHeaders(60.0, 0.0, 600.0), NOW)
    for quota in (blocked, claimed):
        now = NOW + 1.0 + step
        quota = advance(quota, now, PER_MINUTE)  # noqa: PLW2901 (the same one, later)
        assert wait_for(quota, Priority.STREAM, now) <= PROBE_INTERVAL
        assert quota.reset_at <= now + WINDOW
        assert recovers(quota, now) <= 60.0


def test_headers_that_always_begin_a_new_window_do_not_lift_what_the_user_allows() -> None:
    quota, now, sent = fresh(), NOW, 0
    while now < NOW + 500.0:
        quota = advance(quota, now, PER_MINUTE)
        if wait_for(quota, Priority.STREAM, now) == 0.0:
            quota = serve(quota, RateHeaders(0.0, 1e12, 1.0), now)
            sent += 1
        now += 0.5
    assert sent <= 2 * LIMIT, "our own count begins anew once, with the first reset that is told"


@given(used=ODD, remaining=ODD, reset=ODD)
def test_any_headers_leave_a_window_one_can_count_with(
    used: float | None, remaining: float | None, reset: float | None
) -> None:
    quota = serve(fresh(), RateHeaders(used, remaining, reset), NOW)
    assert 1.0 <= quota.limit <= LIMIT
    assert 0.0 <= quota.used <= REQUEST_COUNT.highest
    assert NOW < quota.reset_at <= NOW + WINDOW
    assert 0.0 <= quota.spare(NOW) < math.inf
