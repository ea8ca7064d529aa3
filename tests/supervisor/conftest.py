"""Fixtures for tests of the supervisor."""

from collections.abc import Iterator

import pytest

from tests.supervisor.dummies import Family


@pytest.fixture
def families() -> Iterator[list[Family]]:
    """Whoever is put in here does not outlive the test."""
    families: list[Family] = []
    yield families
    for family in families:
        if family.process.is_running():
            family.process.kill()
        family.process.communicate()
