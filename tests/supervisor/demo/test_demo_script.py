"""The script of the demo: its load does not grow with its length."""

import pytest

from supervisor.demo.demo_script import COMMENTS_PER_SECOND, burst_seconds


@pytest.mark.parametrize(("playing", "seconds"), [(20.0, 3.0), (40.0, 6.0), (100.0, 7.0), (3600.0, 7.0)])
def test_a_longer_demo_has_no_longer_burst(playing: float, seconds: float) -> None:
    """A burst that fills the listing of a thousand names many times hides late items."""
    assert burst_seconds(playing) == pytest.approx(seconds)
    assert burst_seconds(playing) * (150.0 + COMMENTS_PER_SECOND) < 1200
