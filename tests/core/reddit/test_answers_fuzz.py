"""Whatever Reddit answers, it becomes an answer or one of our errors, and never a wait beyond Reddit's window."""

import json
import math
from datetime import UTC, datetime
from typing import Any

from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from requests.structures import CaseInsensitiveDict

from core.errors import GaplessError
from core.reddit import quota as arithmetic
from core.reddit import quota_answers
from core.reddit.answers import classify, classify_token, rate_headers, retry_after
from core.reddit.quota import WINDOW, Priority, Quota
from core.reddit.request_errors import BadAnswer
from streams.reddit.listing_page import Page, parse_page
from tests.fuzz.badness import BODIES, CONTENT_TYPES, FOREIGN, LOCATIONS, NUMBERS, STATUSES
from tests.support.soaking import LONGER, examples

NOW = datetime(2026, 11, 21, 12, 0, 0, tzinfo=UTC)
EXAMPLES = settings(max_examples=examples(100, soak=600), suppress_health_check=[HealthCheck.too_slow])

numbers = st.one_of(st.sampled_from(NUMBERS), st.text(max_size=20), st.floats().map(str), st.integers().map(str))
headers = st.dictionaries(
    st.sampled_from(
        ["Content-Type", "Retry-After", "Location", "Date", "X-Ratelimit-Used", "X-Ratelimit-Remaining",
         "X-Ratelimit-Reset"]
    ),
    st.one_of(numbers, st.sampled_from([one for one in (*CONTENT_TYPES, *LOCATIONS) if one is not None])),
).map(CaseInsensitiveDict)  # fmt: skip
values = st.recursive(
    st.one_of(st.none(), st.booleans(), st.integers(), st.floats(), st.text(max_size=30), st.sampled_from(FOREIGN)),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=12), inner, max_size=4),
    max_leaves=12,
)
bodies = st.one_of(
    st.sampled_from(BODIES).map(lambda text: text.encode("utf-8", "surrogatepass")),
    st.binary(max_size=300),
    values.map(lambda value: json.dumps(value).encode()),
)
statuses = st.one_of(st.sampled_from(STATUSES), st.integers(100, 999))


@LONGER
@EXAMPLES
@given(statuses, headers, bodies)
def test_an_answer_is_taken_or_becomes_one_of_our_errors(status: int, headers: Any, body: bytes) -> None:
    verdict = classify(status, headers, body, NOW)
    assert verdict is None or isinstance(verdict, GaplessError)
    assert (status == 200) or verdict is not None, "only a 200 is a page"
    assert len(str(verdict)) < 2_000, "a message stays a message, whatever the body"


@LONGER
@EXAMPLES
@given(statuses, headers, bodies)
def test_an_answer_to_a_token_request_is_taken_or_becomes_one_of_our_errors(
    status: int, headers: Any, body: bytes
) -> None:
    verdict = classify_token(status, headers, body, NOW)
    if verdict is None:
        token = json.loads(body)
        assert isinstance(token["access_token"], str)
    else:
        assert isinstance(verdict, GaplessError)
        assert len(str(verdict)) < 2_000


things = st.one_of(
    st.sampled_from(FOREIGN),
    values,
    st.fixed_dictionaries(
        {"kind": st.sampled_from(["t1", "t3", "t5", "more"]) | values},
        optional={
            "data": st.dictionaries(
                st.sampled_from(["name", "id", "subreddit", "created_utc", "author", "body", "url"])
                | st.text(max_size=8),
                values,
                max_size=6,
            )
        },
    ),
)
documents = st.one_of(
    values,
    st.fixed_dictionaries({"kind": values, "data": values}),
    st.fixed_dictionaries(
        {
            "kind": st.just("Listing"),
            "data": st.fixed_dictionaries({"children": st.lists(things, max_size=6), "after": values}),
        }
    ),
)


@LONGER
@EXAMPLES
@given(documents, st.sampled_from(["submissions", "comments"]))
def test_a_document_becomes_a_page_or_a_bad_answer(document: object, stream: str) -> None:
    try:
        page = parse_page(document, stream)
    except BadAnswer:
        return
    assert isinstance(page, Page)
    assert isinstance(document, dict)
    children = document["data"]["children"]
    assert len(page.items) + len(page.rejects) == len(children), "each entry is an item or kept as a reject"
    for item in page.items:
        assert item.name
        item.name.encode()
        assert item.created is None or math.isfinite(item.created)
    assert page.after is None or isinstance(page.after, str)


@LONGER
@EXAMPLES
@given(headers)
def test_headers_become_numbers_that_can_be_counted_with(headers: Any) -> None:
    rate = rate_headers(headers)
    assert rate is None or all(one is None or math.isfinite(one) for one in (rate.used, rate.remaining, rate.reset))
    wait = retry_after(headers, NOW)
    assert wait is None or 0.0 <= wait <= WINDOW


events = st.lists(
    st.tuples(st.sampled_from(["good", "refused", "failed", "lost"]), headers, st.floats(0.0, 400.0)), max_size=25
)


@LONGER
@EXAMPLES
@given(events)
def test_no_header_stops_us_for_longer_than_a_window(events: list[tuple[str, Any, float]]) -> None:
    quota, now, per_minute = Quota(limit=1.0), 1_800_000_000.0, 100.0
    for what, said, seconds in events:
        quota = arithmetic.advance(quota, now, per_minute)
        wait = arithmetic.wait_for(quota, Priority.STREAM, now)
        assert 0.0 <= wait <= WINDOW + 1.0
        if wait == 0.0 or what == "lost":
            quota = _answered(arithmetic.granted(quota, Priority.STREAM, now), what, said, now, now + seconds)
        now += seconds
        assert all(math.isfinite(getattr(quota, name)) for name in ("limit", "used", "reset_at", "blocked_until"))
        assert 1.0 <= quota.limit <= per_minute * WINDOW / 60.0
    assert _first_leave(quota, now, per_minute) <= 2 * WINDOW


def _answered(quota: Quota, what: str, said: Any, sent_at: float, now: float) -> Quota:
    if what == "good":
        return quota_answers.answered(quota, rate_headers(said), sent_at, now, 100.0)
    if what == "refused":
        wait = retry_after(said, datetime.fromtimestamp(now, UTC))
        return quota_answers.refused(quota, sent_at, wait, now, rate_headers(said))
    return quota_answers.failed(quota, sent_at, now) if what == "failed" else quota


def _first_leave(quota: Quota, now: float, per_minute: float) -> float:
    """Return the seconds until a stream may ask again, as the limiter would find out."""
    began = now
    while now - began <= 3 * WINDOW:
        quota = arithmetic.advance(quota, now, per_minute)
        wait = arithmetic.wait_for(quota, Priority.STREAM, now)
        if wait == 0.0:
            return now - began
        now += min(wait, 5.0)
    return now - began
