"""A stream plans with its machine's share of the quota, not with the whole one."""

from contextlib import closing
from pathlib import Path

import pytest

from core.reddit.limiter import Limiter
from streams.capture.pacing import Pacing

QUOTA = 100.0
BIRTH = 1_700_000_000.0


@pytest.mark.parametrize("part", [1.0, 0.5, 0.1])
def test_the_plan_of_a_stream_is_made_for_its_machines_share(tmp_path: Path, part: float) -> None:
    with closing(Limiter(tmp_path, "comments", QUOTA, clock=lambda: BIRTH)) as limiter:
        limiter.store_share(part * QUOTA)
        pacing = Pacing(limiter, 16.0, sharers=1, clock=lambda: 0.0, wall=lambda: BIRTH)
        assert pacing.replan(lambda: dict.fromkeys(range(8), 1.0))
        assert 0.85 * part * QUOTA <= pacing.plan.allowed <= part * QUOTA
        assert pacing.plan.short == (part == 0.1)


def test_a_share_that_changes_is_in_the_next_plan(tmp_path: Path) -> None:
    now = 0.0
    with closing(Limiter(tmp_path, "comments", QUOTA, clock=lambda: BIRTH + now)) as limiter:
        pacing = Pacing(limiter, 16.0, sharers=1, clock=lambda: now, wall=lambda: BIRTH + now)
        assert pacing.replan(lambda: {1: 1.0})
        alone = pacing.plan.allowed
        limiter.store_share(QUOTA / 4)
        now = 6.0
        assert pacing.replan(lambda: {1: 1.0})
        assert pacing.plan.allowed == pytest.approx(alone / 4, rel=0.05)
