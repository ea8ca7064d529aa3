"""Opening a file again while it cannot be written."""

import pytest

from core.spool import SpoolBroken, SpoolError
from streams.opening import open_patiently
from tests.streams.capture.life import Clock, FakeContext, Notes

UNTIL = 100.0


class Attempts:
    """A file that can be opened at the attempt after these errors."""

    def __init__(self, *errors: Exception) -> None:
        self.left = list(errors)
        self.clock = Clock()
        self.reported: list[tuple[str, float]] = []
        self.context = FakeContext(self.clock, self.clock() + UNTIL, Notes())

    def open(self) -> str | None:
        return open_patiently(self.context, self._open, (SpoolError, OSError), self._report)

    def _open(self) -> str:
        if self.left:
            raise self.left.pop(0)
        return "opened"

    def _report(self, error: Exception, seconds: float) -> None:
        self.reported.append((str(error), seconds))


def test_it_tries_again_after_growing_pauses_and_reports_each() -> None:
    attempts = Attempts(SpoolError("locked"), OSError("disk full"))
    began = attempts.clock()
    assert attempts.open() == "opened"
    assert [error for error, _ in attempts.reported] == ["locked", "disk full"]
    assert attempts.clock() - began == pytest.approx(sum(seconds for _, seconds in attempts.reported), abs=0.2)


def test_a_stop_ends_it() -> None:
    attempts = Attempts(*[OSError("disk full")] * 1000)
    assert attempts.open() is None
    assert attempts.left, "it did not try as often as it could"


@pytest.mark.parametrize("error", [SpoolBroken("broken"), ValueError("a fault of ours")])
def test_what_no_attempt_can_change_is_raised(error: Exception) -> None:
    attempts = Attempts(error)
    with pytest.raises(type(error)):
        attempts.open()
    assert attempts.reported == []
