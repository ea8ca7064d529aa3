"""Tests that a log line does not grow with the number of subreddits."""

import json

from core.logging.shown_names import shown_subreddits


def test_few_names_are_all_shown() -> None:
    assert shown_subreddits(("a", "b")) == {"subreddits": ["a", "b"], "subreddits_total": 2}


def test_of_thousands_the_first_ten_are_shown_and_their_number() -> None:
    shown = shown_subreddits([f"name_{number}" for number in range(5000)])
    assert shown["subreddits"] == [f"name_{number}" for number in range(10)]
    assert shown["subreddits_total"] == 5000
    assert len(json.dumps(shown)) < 300
