"""Requests that all fail: detected within seconds from the counts of answers."""

import pytest

from supervisor.monitor.readiness.failing_requests import Failing, FailingRequests

Counts = dict[tuple[str, str], int]


def update(*samples: tuple[float, Counts]) -> dict[str, Failing]:
    failing_requests = FailingRequests()
    failing: dict[str, Failing] = {}
    for now, counts in samples:
        failing = failing_requests.update(counts, now)
    return failing


@pytest.mark.parametrize("status", ["401", "403", "302", "500", "none", "timeout"])
def test_when_every_request_fails_it_shows_within_seconds(status: str) -> None:
    good = {("comments", "200"): 50, ("submissions", "200"): 40}
    failing = update(
        (100.0, good),
        (101.0, good | {("comments", status): 1}),
        (102.0, good | {("comments", status): 2}),
        (104.0, good | {("comments", status): 3}),
    )
    assert failing == {"comments": Failing(101.0, status)}
    assert ("no answer" in failing["comments"].text) == (not status.isdecimal())


def test_an_answer_tells_more_than_none() -> None:
    """After some 401 no token is requested, so most requests are not sent."""
    good = {("comments", "200"): 1}
    bad = good | {("comments", "401"): 3, ("comments", "none"): 20}
    assert update((1.0, good), (2.0, bad), (9.0, bad)) == {"comments": Failing(2.0, "401")}


@pytest.mark.parametrize(
    "counts",
    [
        {("comments", "401"): 2},  # two in a row: a token was renewed, say
        {("comments", "200"): 51, ("comments", "500"): 30},  # one of them succeeded
        {("comments", "429"): 9},  # the quota has rules of its own
        {("comments", "stopped"): 9},
    ],
)
def test_what_is_no_failure_of_all(counts: Counts) -> None:
    before = {("comments", "200"): 50}
    assert update((100.0, before), (101.0, before | counts), (110.0, before | counts)) == {}


def test_failures_of_a_moment_are_none_yet() -> None:
    assert update((100.0, {("comments", "200"): 1}), (101.0, {("comments", "200"): 1, ("comments", "500"): 9})) == {}


def test_one_good_answer_ends_it() -> None:
    bad = {("comments", "200"): 5, ("comments", "401"): 7}
    failing = update((1.0, {("comments", "200"): 5}), (2.0, bad), (9.0, bad), (10.0, bad | {("comments", "200"): 6}))
    assert failing == {}


def test_what_was_counted_before_the_first_look_or_in_another_file_says_nothing() -> None:
    old = {("comments", "200"): 50, ("comments", "401"): 900}
    assert update((100.0, old), (200.0, old)) == {}
    assert update((100.0, old), (101.0, {("comments", "401"): 30}), (110.0, {("comments", "401"): 30})) == {}
