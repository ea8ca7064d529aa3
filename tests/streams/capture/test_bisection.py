"""The search for names that make a combined request fail."""

import math
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from streams.capture.bisection import Bisection

NAMES = tuple(f"Sub{number:03}" for number in range(300))


def search(
    names: tuple[str, ...], bad: set[str], *, named: bool = False, others_answer: bool = False
) -> tuple[Bisection, int]:
    """Play a Reddit that fails every request with a bad name; return the search and its number of requests."""
    bisection, requests = Bisection(names, others_answer), 0
    while not bisection.done:
        requests += 1
        if bad & set(bisection.next()):
            bisection.refused("451", named=named)
        else:
            bisection.answered()
    return bisection, requests


@settings(max_examples=60)
@given(st.integers(1, 300), st.sets(st.integers(0, 299), min_size=1, max_size=6))
def test_every_bad_name_is_found_and_no_other(count: int, which: set[int]) -> None:
    names = NAMES[:count]
    bad = {NAMES[index % count] for index in which}
    bisection, requests = search(names, bad)
    if len(bad) == count:
        assert bisection.ours
        assert bisection.blamed == {}
    elif not bisection.ours:  # a few bad names in a row at the places that are tried first look like all of them
        assert set(bisection.blamed) == bad
        assert requests <= 2 * len(bad) * (math.ceil(math.log2(count)) + 2) + 4


@pytest.mark.parametrize("place", [0, 1, 13, 18, 19])
def test_one_bad_name_of_twenty_wherever_it_stands(place: int) -> None:
    bisection, requests = search(NAMES[:20], {NAMES[place]})
    assert bisection.blamed == {NAMES[place]: "451"}
    assert requests <= 11


def test_where_everything_is_refused_nobody_is_blamed_and_few_requests_are_spent() -> None:
    bisection, requests = search(NAMES, set(NAMES))
    assert (bisection.ours, bisection.blamed) == (True, {})
    assert requests <= 14


def test_names_with_a_reason_of_their_own_are_blamed_also_when_all_of_them_are() -> None:
    bisection, _ = search(NAMES[:5], set(NAMES[:5]), named=True)
    assert set(bisection.blamed) == set(NAMES[:5])
    assert not bisection.ours


def test_while_other_requests_are_answered_the_failure_is_not_ours() -> None:
    assert search(NAMES[:1], {NAMES[0]}, others_answer=True)[0].blamed == {NAMES[0]: "451"}
    assert set(search(NAMES[:8], set(NAMES[:8]), others_answer=True)[0].blamed) == set(NAMES[:8])


def test_where_each_part_answers_nobody_is_blamed() -> None:
    bisection, _ = search(NAMES[:6], set())
    assert (bisection.ours, bisection.blamed) == (False, {})


def test_what_failed_before_anything_answered_is_tried_again_before_it_is_blamed() -> None:
    bisection = Bisection(NAMES[:4])
    bisection.refused("500")
    bisection.refused("500")
    assert bisection.next() == (NAMES[3],)
    bisection.answered()
    assert bisection.next() == (NAMES[0],)
    bisection.answered()
    assert bisection.blamed == {}


@pytest.mark.parametrize(("controls", "found"), [(3, False), (6, True)])
def test_a_search_that_is_told_to_tries_more_names_alone(controls: int, found: bool) -> None:
    bisection = Bisection(NAMES[:7], controls=controls)
    while not bisection.done:
        if set(bisection.next()) <= {NAMES[2], NAMES[3]}:
            bisection.answered()
        else:
            bisection.refused("451")
    assert bisection.ours is not found
    assert set(bisection.blamed) == (set(NAMES[:7]) - {NAMES[2], NAMES[3]} if found else set())


def test_a_refusal_of_everything_that_begins_in_the_search_blames_nobody() -> None:
    bisection, requests = Bisection(NAMES[:16]), 0
    while not bisection.done:
        requests += 1
        if requests == 1:
            bisection.answered()
        else:
            bisection.refused("403")
    assert (bisection.ours, bisection.blamed) == (True, {})
    assert requests <= 12


def test_one_lapse_of_what_answered_changes_nothing() -> None:
    bisection = Bisection(NAMES[:2])
    bisection.answered()
    bisection.refused("451")
    assert bisection.next() == (NAMES[0],)
    bisection.refused("503")
    assert bisection.next() == (NAMES[0],)
    bisection.answered()
    assert bisection.blamed == {NAMES[1]: "451"}


def test_bad_names_are_blamed_and_good_ones_cleared_during_the_search() -> None:
    bad, bisection, steps = set(NAMES[::2]), Bisection(NAMES), []
    while not bisection.done:
        steps.append((len(bisection.blamed), len(bisection.cleared)))
        if bad & set(bisection.next()):
            bisection.refused("451")
        else:
            bisection.answered()
        assert set(bisection.blamed) <= bad
        assert not bisection.cleared & bad
    assert (set(bisection.blamed), bisection.cleared) == (bad, set(NAMES) - bad)
    assert next(number for number, (_, cleared) in enumerate(steps) if cleared) <= 12
    assert next(number for number, (blamed, _) in enumerate(steps) if blamed) <= 20
    middle = steps[len(steps) // 2]
    assert min(middle) >= 50


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.5])
def test_the_more_names_are_bad_the_fewer_requests_are_wasted_on_large_parts(share: float) -> None:
    bad = set(random.Random(7).sample(NAMES, int(len(NAMES) * share)))
    bisection, requests = search(NAMES, bad)
    assert set(bisection.blamed) == bad
    assert requests <= min(2 * len(bad) * (math.log2(1 / share) + 2) + 10, 1.5 * len(NAMES))


@pytest.mark.parametrize("which", [NAMES[:150], NAMES[150:]])
def test_a_good_half_is_cleared_before_the_bad_half_is_gone_through(which: tuple[str, ...]) -> None:
    bisection, requests = Bisection(NAMES), 0
    while len(bisection.cleared) < 150:
        requests += 1
        if set(which) & set(bisection.next()):
            bisection.refused("451")
        else:
            bisection.answered()
    assert requests <= 20


def test_what_failed_is_blamed_when_a_poll_of_the_good_ones_is_answered() -> None:
    bisection = Bisection(NAMES[:4])
    bisection.answered()
    bisection.refused("451")
    assert bisection.next() == (NAMES[2],)
    bisection.refused("451")
    assert bisection.blamed == {}
    bisection.confirmed()
    assert bisection.blamed == {NAMES[2]: "451"}
    assert bisection.next() == (NAMES[3],)


def test_a_poll_confirms_nothing_before_anything_was_answered() -> None:
    bisection = Bisection(NAMES[:4])
    bisection.refused("500")
    bisection.refused("500")
    bisection.confirmed()
    assert bisection.blamed == {}


def test_good_names_that_fail_together_later_are_searched_as_well() -> None:
    bisection, bad = Bisection(NAMES[:8]), {NAMES[1]}
    bisection.answered()
    bisection.retest_cleared()
    assert bisection.cleared == set()
    while not bisection.done:
        if bad & set(bisection.next()):
            bisection.refused("451")
        else:
            bisection.answered()
    assert set(bisection.blamed) <= bad
    assert bisection.cleared == set(NAMES[:8]) - set(bisection.blamed) or bisection.ours


def test_an_answer_to_all_names_that_are_not_blamed_ends_the_search() -> None:
    bisection = Bisection(NAMES[:8])
    bisection.answered()
    bisection.refused("private", named=True)
    bisection.request_all()
    assert set(bisection.next()) == set(NAMES[:8])
    before = bisection.next()
    bisection.refused("451")
    assert bisection.next() != before
    bisection.request_all()
    bisection.answered()
    assert (bisection.done, bisection.recovered, bisection.blamed) == (True, True, {})


@given(
    bad=st.sets(st.integers(0, 29), max_size=29),
    storms=st.lists(st.tuples(st.integers(0, 60), st.integers(1, 6)), max_size=4),
    polls=st.sets(st.integers(0, 80), max_size=20),
)
def test_every_name_that_is_blamed_failed_between_two_answers(
    bad: set[int], storms: list[tuple[int, int]], polls: set[int]
) -> None:
    """Storms: requests in a row that are refused whatever they name."""
    names = NAMES[:30]
    evil = {names[index] for index in bad}
    refused_all = {step for start, length in storms for step in range(start, start + length)}
    bisection, step, answers = Bisection(names), 0, []
    failed: dict[str, int] = {}
    while not bisection.done and step < 400:
        asked = bisection.next()
        if step in refused_all or evil & set(asked):
            if len(asked) == 1:
                failed[asked[0]] = step
            bisection.refused("451")
        else:
            answers.append(step)
            bisection.answered()
        if step in polls and step not in refused_all and bisection.cleared and not evil & bisection.cleared:
            answers.append(step)
            bisection.confirmed()
        step += 1
        for name in bisection.blamed:
            assert min(answers) < failed[name] <= max(answers)
    assert bisection.done
