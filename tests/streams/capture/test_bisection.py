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
    narrowing, requests = Bisection(names, others_answer), 0
    while not narrowing.done:
        requests += 1
        if bad & set(narrowing.next()):
            narrowing.refused("451", named=named)
        else:
            narrowing.answered()
    return narrowing, requests


@settings(max_examples=60)
@given(st.integers(1, 300), st.sets(st.integers(0, 299), min_size=1, max_size=6))
def test_every_bad_name_is_found_and_no_other(count: int, which: set[int]) -> None:
    names = NAMES[:count]
    bad = {NAMES[index % count] for index in which}
    narrowing, requests = search(names, bad)
    if len(bad) == count:
        assert narrowing.ours
        assert narrowing.blamed == {}
    elif not narrowing.ours:  # a few bad names in a row at the places that are tried first look like all of them
        assert set(narrowing.blamed) == bad
        assert requests <= 2 * len(bad) * (math.ceil(math.log2(count)) + 2) + 4


@pytest.mark.parametrize("place", [0, 1, 13, 18, 19])
def test_one_bad_name_of_twenty_wherever_it_stands(place: int) -> None:
    narrowing, requests = search(NAMES[:20], {NAMES[place]})
    assert narrowing.blamed == {NAMES[place]: "451"}
    assert requests <= 11


def test_where_everything_is_refused_nobody_is_blamed_and_few_requests_are_spent() -> None:
    narrowing, requests = search(NAMES, set(NAMES))
    assert (narrowing.ours, narrowing.blamed) == (True, {})
    assert requests <= 14


def test_names_with_a_reason_of_their_own_are_blamed_also_when_all_of_them_are() -> None:
    narrowing, _ = search(NAMES[:5], set(NAMES[:5]), named=True)
    assert set(narrowing.blamed) == set(NAMES[:5])
    assert not narrowing.ours


def test_while_other_requests_are_answered_the_failure_is_not_ours() -> None:
    assert search(NAMES[:1], {NAMES[0]}, others_answer=True)[0].blamed == {NAMES[0]: "451"}
    assert set(search(NAMES[:8], set(NAMES[:8]), others_answer=True)[0].blamed) == set(NAMES[:8])


def test_where_each_part_answers_nobody_is_blamed() -> None:
    narrowing, _ = search(NAMES[:6], set())
    assert (narrowing.ours, narrowing.blamed) == (False, {})


def test_what_failed_before_anything_answered_is_tried_again_before_it_is_blamed() -> None:
    narrowing = Bisection(NAMES[:4])
    narrowing.refused("500")
    narrowing.refused("500")
    assert narrowing.next() == (NAMES[3],)
    narrowing.answered()
    assert narrowing.next() == (NAMES[0],)
    narrowing.answered()
    assert narrowing.blamed == {}


@pytest.mark.parametrize(("controls", "found"), [(3, False), (6, True)])
def test_a_search_that_is_told_to_tries_more_names_alone(controls: int, found: bool) -> None:
    narrowing = Bisection(NAMES[:7], controls=controls)
    while not narrowing.done:
        if set(narrowing.next()) <= {NAMES[2], NAMES[3]}:
            narrowing.answered()
        else:
            narrowing.refused("451")
    assert narrowing.ours is not found
    assert set(narrowing.blamed) == (set(NAMES[:7]) - {NAMES[2], NAMES[3]} if found else set())


def test_a_refusal_of_everything_that_begins_in_the_search_blames_nobody() -> None:
    narrowing, requests = Bisection(NAMES[:16]), 0
    while not narrowing.done:
        requests += 1
        if requests == 1:
            narrowing.answered()
        else:
            narrowing.refused("403")
    assert (narrowing.ours, narrowing.blamed) == (True, {})
    assert requests <= 12


def test_one_lapse_of_what_answered_changes_nothing() -> None:
    narrowing = Bisection(NAMES[:2])
    narrowing.answered()
    narrowing.refused("451")
    assert narrowing.next() == (NAMES[0],)
    narrowing.refused("503")
    assert narrowing.next() == (NAMES[0],)
    narrowing.answered()
    assert narrowing.blamed == {NAMES[1]: "451"}


def test_bad_names_are_blamed_and_good_ones_cleared_during_the_search() -> None:
    bad, narrowing, steps = set(NAMES[::2]), Bisection(NAMES), []
    while not narrowing.done:
        steps.append((len(narrowing.blamed), len(narrowing.cleared)))
        if bad & set(narrowing.next()):
            narrowing.refused("451")
        else:
            narrowing.answered()
        assert set(narrowing.blamed) <= bad
        assert not narrowing.cleared & bad
    assert (set(narrowing.blamed), narrowing.cleared) == (bad, set(NAMES) - bad)
    assert next(number for number, (_, cleared) in enumerate(steps) if cleared) <= 12
    assert next(number for number, (blamed, _) in enumerate(steps) if blamed) <= 20
    middle = steps[len(steps) // 2]
    assert min(middle) >= 50


@pytest.mark.parametrize("share", [0.02, 0.1, 0.3, 0.5])
def test_the_more_names_are_bad_the_fewer_requests_are_wasted_on_large_parts(share: float) -> None:
    bad = set(random.Random(7).sample(NAMES, int(len(NAMES) * share)))
    narrowing, requests = search(NAMES, bad)
    assert set(narrowing.blamed) == bad
    assert requests <= min(2 * len(bad) * (math.log2(1 / share) + 2) + 10, 1.5 * len(NAMES))


@pytest.mark.parametrize("which", [NAMES[:150], NAMES[150:]])
def test_a_good_half_is_cleared_before_the_bad_half_is_gone_through(which: tuple[str, ...]) -> None:
    narrowing, requests = Bisection(NAMES), 0
    while len(narrowing.cleared) < 150:
        requests += 1
        if set(which) & set(narrowing.next()):
            narrowing.refused("451")
        else:
            narrowing.answered()
    assert requests <= 20


def test_what_failed_is_blamed_when_a_poll_of_the_good_ones_is_answered() -> None:
    narrowing = Bisection(NAMES[:4])
    narrowing.answered()
    narrowing.refused("451")
    assert narrowing.next() == (NAMES[2],)
    narrowing.refused("451")
    assert narrowing.blamed == {}
    narrowing.confirmed()
    assert narrowing.blamed == {NAMES[2]: "451"}
    assert narrowing.next() == (NAMES[3],)


def test_a_poll_confirms_nothing_before_anything_was_answered() -> None:
    narrowing = Bisection(NAMES[:4])
    narrowing.refused("500")
    narrowing.refused("500")
    narrowing.confirmed()
    assert narrowing.blamed == {}


def test_good_names_that_fail_together_later_are_searched_as_well() -> None:
    narrowing, bad = Bisection(NAMES[:8]), {NAMES[1]}
    narrowing.answered()
    narrowing.doubt()
    assert narrowing.cleared == set()
    while not narrowing.done:
        if bad & set(narrowing.next()):
            narrowing.refused("451")
        else:
            narrowing.answered()
    assert set(narrowing.blamed) <= bad
    assert narrowing.cleared == set(NAMES[:8]) - set(narrowing.blamed) or narrowing.ours


def test_an_answer_to_all_names_that_are_not_blamed_ends_the_search() -> None:
    narrowing = Bisection(NAMES[:8])
    narrowing.answered()
    narrowing.refused("private", named=True)
    narrowing.ask_for_everything()
    assert set(narrowing.next()) == set(NAMES[:8])
    before = narrowing.next()
    narrowing.refused("451")
    assert narrowing.next() != before
    narrowing.ask_for_everything()
    narrowing.answered()
    assert (narrowing.done, narrowing.recovered, narrowing.blamed) == (True, True, {})


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
    narrowing, step, answers = Bisection(names), 0, []
    failed: dict[str, int] = {}
    while not narrowing.done and step < 400:
        asked = narrowing.next()
        if step in refused_all or evil & set(asked):
            if len(asked) == 1:
                failed[asked[0]] = step
            narrowing.refused("451")
        else:
            answers.append(step)
            narrowing.answered()
        if step in polls and step not in refused_all and narrowing.cleared and not evil & narrowing.cleared:
            answers.append(step)
            narrowing.confirmed()
        step += 1
        for name in narrowing.blamed:
            assert min(answers) < failed[name] <= max(answers)
    assert narrowing.done
