"""Both databases, one empty for each test."""

from pathlib import Path

import pytest

from tests.scraper.store.stage import Stage


@pytest.fixture(params=["sqlite", "postgresql"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Stage:
    """An empty database of each kind, and a clock."""
    if request.param == "sqlite":
        return Stage(f"sqlite:///{tmp_path / 'state' / 'reddit.db'}")
    return Stage(request.getfixturevalue("postgres").new_database())


@pytest.fixture
def sqlite_stage(tmp_path: Path) -> Stage:
    """An empty SQLite file, where the test is about files."""
    return Stage(f"sqlite:///{tmp_path / 'state' / 'reddit.db'}")
