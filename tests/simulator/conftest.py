"""One quiet simulator for all tests of a module: nothing appears in it unless a test makes it appear."""

from collections.abc import Iterator

import pytest

from tests.simulator.client import QUIET, Running


@pytest.fixture(scope="module")
def shared() -> Iterator[Running]:
    with Running(*QUIET, "--subreddits", "Alpha", "Beta", "--quota", "1000000") as running:
        running.sign_in()
        yield running


@pytest.fixture
def simulator(shared: Running) -> Iterator[Running]:
    """The shared simulator, with faults cleared and a token that works."""
    shared.control("DELETE", "faults")
    shared.sign_in()
    yield shared
    shared.control("DELETE", "faults")
