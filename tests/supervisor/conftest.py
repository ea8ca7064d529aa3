"""Fixtures for tests of the supervisor."""

import os
from collections.abc import Iterator

import pytest

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
