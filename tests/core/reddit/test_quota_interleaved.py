"""The arithmetic of the shared quota, under any interleaving of askers, answers, refusals and losses."""

import heapq
import itertools
import math
import random
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, invariant, precondition, rule

from core.reddit.bounds import PROBE_INTERVAL
from core.reddit.quota import WINDOW, Priority, Quota, RateHeaders, advance, granted, wait_for
from core.reddit.quota_answers import LADDER, answered, failed, refused

PER_MINUTE = 6.0
LIMIT = 60.0
BIRTH = 1_700_000_000.0


def fresh(now: float = BIRTH, per_minute: float = PER_MINUTE) -> Quota:
    return advance(Quota(limit=1.0), now, per_minute)


class Askers(RuleBasedStateMachine):
    """Requests of all kinds in any order. What was granted in one of our windows never exceeds its limit."""

    @initialize()
    def begin(self) -> None:
        self.now = BIRTH
        self.quota = fresh()
        self.on_way: list[float] = []
        self.carried = 0
        self.granted_in_window = 0
        self.tested_at = 0.0

    def _look(self) -> None:
        before = self.quota
        self.quota = advance(self.quota, self.now, PER_MINUTE)
        if self.quota.window_start != before.window_start:
            self.granted_in_window, self.carried = 0, len(self.on_way)

    @rule(priority=st.sampled_from(Priority), times=st.integers(1, 80))
    def ask(self, priority: Priority, times: int) -> None:
        for _ in range(times):
            self._look()
            seconds = wait_for(self.quota, priority, self.now)
            assert 0.0 <= seconds < math.inf
            if seconds > 0:
                return
            if self.now < self.quota.blocked_until:
                assert self.now >= self.tested_at + PROBE_INTERVAL, "one test request at a time"
                self.tested_at = self.now
            self.quota = granted(self.quota, priority, self.now)
            self.on_way.append(self.now)
            self.granted_in_window += 1

    @rule(seconds=st.one_of(st.floats(0, 5), st.floats(0, 700)))
    def wait(self, seconds: float) -> None:
        self.now += seconds
        self._look()

    @precondition(lambda self: self.on_way)
    @rule(data=st.data(), how=st.sampled_from(["served", "broken", "refused", "told to wait", "lost"]))
    def settle(self, data: st.DataObject, how: str) -> None:
        sent_at = self.on_way.pop(data.draw(st.integers(0, len(self.on_way) - 1)))
        match how:
            case "lost":
                self.quota = failed(self.quota, sent_at, self.now)
            case "refused":
                self.quota = refused(self.quota, sent_at, None, self.now)
                assert self.quota.blocked_until <= self.now + LADDER[-1]
            case "told to wait":
                seconds = data.draw(st.floats(0, 30))
                # a request that was sent before an earlier refusal, while a later one was served since then
                of_the_past = sent_at <= self.quota.refused_at and not self.quota.refusals
                self.quota = refused(self.quota, sent_at, seconds, self.now)
                assert of_the_past or self.quota.blocked_until >= self.now + seconds
            case _:
                self.quota = answered(self.quota, None, sent_at, self.now, PER_MINUTE, success=how == "served")

    @invariant()
    def never_above_the_limit(self) -> None:
        if not hasattr(self, "quota"):
            return
        assert self.granted_in_window + self.carried <= max(LIMIT, self.carried)
        assert self.quota.used + self.quota.outstanding <= max(LIMIT, self.carried)
        assert self.quota.outstanding == len(self.on_way)


Askers.TestCase.settings = settings(max_examples=60, stateful_step_count=40)
TestAskers = Askers.TestCase


@dataclass
class Reddit:
    """Counts as the server does: fixed windows that begin at `offset`."""

    limit: int
    offset: float
    counts: dict[int, int] = field(default_factory=dict)

    def serve(self, at: float) -> RateHeaders | None:
        window = int((at - self.offset) // WINDOW)
        self.counts[window] = self.counts.get(window, 0) + 1
        if self.counts[window] > self.limit:
            return None
        used = self.counts[window]
        return RateHeaders(used, self.limit - used, math.ceil(self.offset + (window + 1) * WINDOW - at))


@settings(max_examples=15)
@given(seed=st.integers(0, 2**32), offset=st.floats(0, WINDOW), loss=st.sampled_from([0.0, 0.1]))
def test_a_server_with_its_own_windows_never_has_to_refuse_more_than_what_crossed_its_reset(
    seed: int, offset: float, loss: float
) -> None:
    """Header truth wins: answers overtake each other and get lost, windows are only learned from the headers."""
    draw = random.Random(seed)
    reddit = Reddit(int(LIMIT), BIRTH - offset)
    quota = fresh()
    events: list[tuple[float, int, str, float, RateHeaders | None]] = []
    order = itertools.count()
    for asker in range(4):
        heapq.heappush(events, (BIRTH + asker, next(order), "ask", 0.0, None))
    refusals = 0
    while events:
        now, _, what, sent_at, headers = heapq.heappop(events)
        if now > BIRTH + 4 * WINDOW:
            break
        quota = advance(quota, now, PER_MINUTE)
        if what == "ask":
            seconds = wait_for(quota, Priority.STREAM, now)
            if seconds > 0:
                heapq.heappush(events, (now + seconds + draw.random(), next(order), "ask", 0.0, None))
                continue
            quota = granted(quota, Priority.STREAM, now)
            heapq.heappush(events, (now + draw.uniform(0.01, 3.0), next(order), "arrive", now, None))
        elif what == "arrive":
            served = reddit.serve(now)
            what = "refused" if served is None else "lost" if draw.random() < loss else "answered"
            heapq.heappush(events, (now + draw.uniform(0.01, 8.0), next(order), what, sent_at, served))
        else:
            if what == "answered":
                quota = answered(quota, headers, sent_at, now, PER_MINUTE)
            elif what == "lost":
                quota = failed(quota, sent_at, now)
            else:
                refusals += 1
                quota = refused(quota, sent_at, None, now)
            heapq.heappush(events, (now + draw.uniform(0.0, 1.0), next(order), "ask", 0.0, None))
    # four askers have at most four requests on their way when the server's window turns over unseen
    assert refusals <= 4 * len(reddit.counts), (seed, reddit.counts)
    assert max(reddit.counts.values()) >= LIMIT * 0.9, "and the quota is used, not hoarded"


@settings(max_examples=15)
@given(pace=st.floats(0.05, 0.5), offset=st.floats(0.0, 400.0), scraper_first=st.booleans())
def test_streams_at_a_steady_pace_never_wait_for_deeper_looks_or_the_scraper(
    pace: float, offset: float, scraper_first: bool
) -> None:
    """Both of the others ask all the time and take every grant they can get, in every window, the first one too."""
    per_minute = 60.0
    between = 60.0 / per_minute / pace  # until their pace is known, half of the quota is kept for the streams
    quota = fresh(BIRTH, per_minute)
    others = (Priority.SCRAPER, Priority.LATE_SCAN) if scraper_first else (Priority.LATE_SCAN, Priority.SCRAPER)
    now, next_poll = BIRTH, BIRTH
    taken = dict.fromkeys(Priority, 0)
    while now < BIRTH + 3 * WINDOW + offset:
        quota = advance(quota, now, per_minute)
        for other in others:
            for _ in range(200):
                if wait_for(quota, other, now) > 0:
                    break
                taken[other] += 1
                quota = answered(granted(quota, other, now), None, now, now, per_minute)
        if now >= next_poll:
            assert wait_for(quota, Priority.STREAM, now) == 0.0, (now - BIRTH, quota)
            quota = answered(granted(quota, Priority.STREAM, now), None, now, now, per_minute)
            taken[Priority.STREAM] += 1
            next_poll += between
        now += 1.0
    assert all(taken.values()), "nor do the others starve"
