"""Fixtures for tests of the supervisor."""

import os
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.supervisor.crowd import Crowd
from tests.supervisor.dummies import Family


@pytest.fixture
def families() -> Iterator[list[Family]]:
    """Kill each family in this list when the test ends."""
    families: list[Family] = []
    yield families
    for family in families:
        if family.process.is_running():
            family.process.kill()
        family.process.communicate()


@pytest.fixture(autouse=True)
def _umask_restored() -> Iterator[None]:
    """Restore the umask that a supervisor in this process changes."""
    former = os.umask(0o022)
    os.umask(former)
    yield
    os.umask(former)


@pytest.fixture(scope="session")
def crowd(tmp_path_factory: pytest.TempPathFactory) -> tuple[Crowd, Path]:
    """The state of 5,000 subreddits in a directory; no test changes it."""
    place = tmp_path_factory.mktemp("crowd")
    state = Crowd(time.time())
    state.write(place / "state")
    return state, place
