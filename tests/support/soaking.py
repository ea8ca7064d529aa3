"""What `make soak` adds to `make test`: further variants of a scenario, and more examples of a property.

A test with the mark `soak` plays a promise once more that another test plays in each run. A test with the mark `longer`
is in each run; `--soak` repeats it with more examples.
"""

from collections.abc import Sequence

import pytest
from hypothesis import settings

#: The hypothesis profile of `--soak`.
PROFILE = "soak"

SOAK = pytest.mark.soak
LONGER = pytest.mark.longer


def split(items: Sequence[pytest.Item], *, soak: bool) -> tuple[list[pytest.Item], list[pytest.Item]]:
    """Return the tests of this run, and the others."""
    marks = ("soak", "longer") if soak else ("soak",)
    marked = [any(item.get_closest_marker(mark) for mark in marks) for item in items]
    chosen = [item for item, found in zip(items, marked, strict=True) if found == soak]
    return chosen, [item for item, found in zip(items, marked, strict=True) if found != soak]


def examples(few: int, *, soak: int) -> int:
    """Return how many examples hypothesis tries: few in each run, more with `--soak` (the test has the mark LONGER)."""
    return soak if settings.get_current_profile_name() == PROFILE else few
