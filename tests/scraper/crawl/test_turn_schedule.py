"""When a subreddit's turn comes again."""

from datetime import UTC, datetime, timedelta

import pytest

from scraper.crawl.turn_schedule import after_failure, after_refusal, state_of
from scraper.reddit.rows import SubredditState

NOW = datetime(2026, 11, 21, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("reason", "state"),
    [
        ("private", SubredditState.PRIVATE),
        ("gold_only", SubredditState.PRIVATE),
        ("banned", SubredditState.BANNED),
        ("quarantined", SubredditState.QUARANTINED),
        ("missing", SubredditState.MISSING),
        ("forbidden", SubredditState.FORBIDDEN),
        ("something Reddit thought of yesterday", SubredditState.FORBIDDEN),
    ],
)
def test_each_reason_of_a_refusal_has_its_state(reason: str, state: SubredditState) -> None:
    assert state_of(reason) is state


def test_each_state_has_its_own_time_of_the_next_try() -> None:
    def days(state: SubredditState) -> list[float]:
        return [(after_refusal(state, NOW, checks) - NOW) / timedelta(days=1) for checks in (1, 2, 3, 6, 99)]

    assert {str(state): days(state) for state in SubredditState if state is not SubredditState.OPEN} == {
        "private": [7, 7, 7, 7, 7],
        "quarantined": [7, 7, 7, 7, 7],
        "banned": [30, 30, 30, 30, 30],
        "missing": [1, 2, 4, 30, 30],
        "forbidden": [1, 2, 4, 30, 30],
        "moved": [1, 2, 4, 30, 30],
        "gated": [1, 2, 4, 7, 7],
    }


def test_what_fails_comes_again_each_time_later_but_within_half_an_hour_or_so() -> None:
    pauses = [(after_failure(attempts, NOW, lambda: 0.5, 60.0) - NOW).total_seconds() for attempts in range(12)]
    assert pauses[:4] == [5.0, 10.0, 20.0, 40.0]
    assert pauses[-1] == 1800.0
