"""The table of values from outside in docs/guarantees.md shows the constants that the code uses."""

from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from core.reddit import bounds, quota_answers
from core.spool.pruning import KEEP_REJECT_BYTES, KEEP_REJECTS
from streams.reddit.listing_page import EARLIEST, LATEST
from tests.docs.markdown import rows, section

PAGE = Path("docs/guarantees.md")


def row(value: str) -> str:
    found = {cells[0]: " | ".join(cells[1:]) for cells in rows(section(PAGE, "## Values from outside"), "value")}
    return found[value]


@pytest.mark.parametrize(
    ("value", "bound", "unit"),
    [
        ("`X-Ratelimit-Used`", bounds.REQUEST_COUNT, "requests"),
        ("`X-Ratelimit-Remaining`", bounds.REQUEST_COUNT, "requests"),
        ("`X-Ratelimit-Reset`", bounds.RESET, "s"),
        ("`Retry-After`", bounds.RETRY_AFTER, "s"),
        ("`expires_in`", bounds.TOKEN_LIFETIME, "s"),
        ("access token", bounds.TOKEN_LENGTH, "printable ASCII characters"),
    ],
)
def test_the_ranges_are_those_of_the_code(value: str, bound: bounds.Bound, unit: str) -> None:
    assert row(value).startswith(f"{bound.lowest:,.0f} to {bound.highest:,.0f} {unit}")


def test_the_times_are_those_of_the_code() -> None:
    every = f"every {bounds.PROBE_INTERVAL:g} s"
    assert f"after {bounds.FIRST_PROBE:g} s, then {every}" in row("`X-Ratelimit-Remaining`")
    assert every in row("`Retry-After`")
    assert every in row("429 without `Retry-After`")
    assert ", ".join(f"{step:g}" for step in quota_answers.LADDER) in row("429 without `Retry-After`")
    assert f"up to {bounds.PROBE_INTERVAL:g} s" in row("a short wait that is wrong each time")
    assert f"unreadable: {bounds.TOKEN_LIFETIME_DEFAULT:,.0f} s" in row("`expires_in`")
    assert f"at most {bounds.WINDOW:g} s ahead" in row("values stored in `quota.db`")
    assert f"(the next test request: {bounds.PROBE_INTERVAL:g} s)" in row("values stored in `quota.db`")


def test_the_bounds_of_items_are_those_of_the_code() -> None:
    first, beyond = (datetime.fromtimestamp(moment, UTC) for moment in (EARLIEST, LATEST))
    last = beyond - timedelta(seconds=1)
    assert row("`created_utc` of an item").startswith(f"{first:%Y-%m-%d} to {last:%Y-%m-%d}")
    kept = f"the newest {KEEP_REJECTS:,}, {KEEP_REJECT_BYTES / 1e6:g} MB at most"
    assert kept in row("`kind` of an entry")
