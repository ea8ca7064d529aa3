"""A writer with five records, for tests of a spool that loses its file."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from core.spool import SpoolWriter
from tests.core.spool.lost_files import batch, make


@pytest.fixture
def state_dir(tmp_path: Path) -> Path:
    return tmp_path / "state"


@pytest.fixture
def writer(state_dir: Path) -> Iterator[SpoolWriter]:
    with make(state_dir) as writer:
        writer.commit(batch(1))
        yield writer
