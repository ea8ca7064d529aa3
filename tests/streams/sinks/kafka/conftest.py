"""What the tests of the sink share: a spool with records."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.streams.publisher.spools import FilledSpool


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[FilledSpool]:
    with FilledSpool(tmp_path, "comments") as spool:
        yield spool
