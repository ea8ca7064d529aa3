"""Time from SIGTERM to the exit under load: Kafka up, down, and silent with open connections."""

import statistics
import time
from collections.abc import Callable

from bench.figure import Figure, at_most
from bench.supervision.whole import Whole, whole

_ROUNDS = 3
TIMEOUT = 10.0
_SPOOLED = 200  # records that must wait before the stop is asked


def measure() -> list[Figure]:
    settings = {"shutdown_timeout": TIMEOUT}
    there = statistics.median(_stop(settings, lambda _system: None)[0] for _ in range(_ROUNDS))
    figures = [Figure(f"baseline: Kafka is there, all is published (median of {_ROUNDS})", there, "s", digits=2)]
    for how, away in (("gone", _gone), ("frozen", _frozen)):
        seconds, spooled = _stop(settings, away)
        what = f"Kafka is {how}, {spooled:,} records in the spool"
        figures.append(at_most(f"{what} (≤ shutdown_timeout)", seconds, TIMEOUT, "s", digits=2))
    return figures


def _gone(system: Whole) -> None:
    system.broker.server.kill()
    _wait_spooled(system)


def _frozen(system: Whole) -> None:
    system.broker.freeze()
    _wait_spooled(system)


def _wait_spooled(system: Whole) -> None:
    system.wait(lambda: _spooled(system) >= _SPOOLED, "records to wait in the spool")


def _spooled(system: Whole) -> int:
    return sum(stream.spooled for stream in system.flow().values())


def _stop(settings: dict[str, float], before: Callable[[Whole], None]) -> tuple[float, int]:
    """Return the seconds from SIGTERM to the exit, and how many records it left in the spool."""
    with whole(supervisor=settings) as system:
        system.wait_flowing()
        before(system)
        began = time.monotonic()
        system.system.terminate()
        code = system.system.server.wait(3 * TIMEOUT)
        seconds = time.monotonic() - began
        assert code == 0, f"the supervisor left with {code}:\n{system.system.report()}"
        return seconds, _spooled(system)
