"""Faults occur with the configured frequency, only where they are possible, and only for their time."""

import random
from collections import Counter

import pytest

from simulator.faults import DrawnFaults, Endpoint, Fault, FaultError, Faults


def faults(**changes: object) -> Faults:
    made = Faults(random.Random(1))
    made.change(changes, now=0.0)
    return made


def strikes(made: Faults, endpoint: Endpoint = Endpoint.LISTING, now: float = 0.0) -> Counter[Fault | None]:
    return Counter(made.draw(endpoint, now).fault for _ in range(4000))


def test_nothing_goes_wrong_unless_told() -> None:
    assert faults().draw(Endpoint.LISTING, 0.0) == DrawnFaults()


def test_each_fault_takes_its_share() -> None:
    struck = strikes(faults(status_503=0.05, reset=0.03, truncated_json=0.03, html=0.02))
    assert set(struck) == {Fault.STATUS_503, Fault.RESET, Fault.TRUNCATED_JSON, Fault.HTML, None}
    assert 140 < struck[Fault.STATUS_503] < 260
    assert 70 < struck[Fault.RESET] < 170


@pytest.mark.parametrize("fault", list(Fault))
def test_a_share_of_one_is_always(fault: Fault) -> None:
    assert strikes(faults(**{fault: 1})) == {fault: 4000}


def test_the_token_endpoint_is_never_told_that_its_credentials_are_wrong() -> None:
    assert strikes(faults(token_401=1), Endpoint.TOKEN) == {None: 4000}
    assert strikes(faults(status_429=1), Endpoint.TOKEN) == {None: 4000}
    assert strikes(faults(status_503=1), Endpoint.TOKEN) == {Fault.STATUS_503: 4000}


def test_only_listings_have_empty_pages() -> None:
    assert strikes(faults(empty_page=1), Endpoint.OTHER) == {None: 4000}


def test_faults_that_strike_midway_do_so_half_of_the_time() -> None:
    made = faults(reset=1)
    midway = sum(made.draw(Endpoint.LISTING, 0.0).midway for _ in range(1000))
    assert 400 < midway < 600


def test_latency_and_its_jitter_add_up() -> None:
    made = faults(latency=0.5, latency_jitter=0.2)
    drawn = [made.draw(Endpoint.LISTING, 0.0).latency for _ in range(500)]
    assert 0.5 <= min(drawn) < 0.55
    assert 0.65 < max(drawn) <= 0.7


def test_temporary_faults_pass_and_leave_the_lasting_ones() -> None:
    made = faults(html=0.1)
    made.change({"html": 0.5, "latency": 1, "seconds": 10}, now=100.0)
    assert (made.current(109.9)["html"], made.current(109.9)["latency"]) == (0.5, 1)
    assert (made.current(110.0)["html"], made.current(110.0)["latency"]) == (0.1, 0.0)


def test_the_latest_word_counts() -> None:
    made = faults()
    made.change({"html": 0.5, "reset": 0.2, "seconds": 10}, now=100.0)
    made.change({"html": 0.0}, now=101.0)
    assert (made.current(102.0)["html"], made.current(102.0)["reset"]) == (0.0, 0.2)


def test_cleared_faults_are_gone() -> None:
    made = faults(html=1)
    made.change({"reset": 0.0, "latency": 1, "seconds": 10}, now=0.0)
    made.clear()
    assert made.draw(Endpoint.LISTING, 0.0) == DrawnFaults()


@pytest.mark.parametrize(
    ("changes", "hint"),
    [
        ({"status_530": 0.1}, "did you mean status_50"),
        ({"html": 1.5}, "share from 0 to 1"),
        ({"html": -0.1}, "0 or more"),
        ({"html": True}, "0 or more"),
        ({"latency": "slow"}, "give a number"),
        ({"token_401_bare": 0.5}, "true or false"),
        ({"retry_after": "soon"}, '"date"'),
        ({"html": 0.6, "reset": 0.6}, "add up to 1.2"),
        ({"html": 0.6, "seconds": 0}, "above 0"),
    ],
)
def test_a_fault_that_makes_no_sense_is_refused_with_a_hint(changes: dict[str, object], hint: str) -> None:
    made = faults(html=0.25)
    with pytest.raises(FaultError, match=hint):
        made.change(changes, now=0.0)
    assert made.current(0.0)["html"] == 0.25, "a refused change changes nothing"
