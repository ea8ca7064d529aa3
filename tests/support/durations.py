"""Promises of durations on a busy machine: how many seconds may pass where a second is promised on an idle one."""

import os
import re
from pathlib import Path

#: How much longer than promised a thing may take while somebody waits for a processor all the time.
_SLOWER = 4.0

_PRESSURE = Path("/proc/pressure/cpu")


def allowed(seconds: float) -> float:
    """Return the promise itself on an idle machine, and up to four times as much on one that is busy all the time."""
    return seconds * (1.0 + (_SLOWER - 1.0) * _busy())


def _busy() -> float:
    """Return the share of the last ten seconds in which somebody waited for a processor."""
    try:
        found = re.search(r"^some avg10=([\d.]+)", _PRESSURE.read_text(), re.M)
    except OSError:  # no such file without CONFIG_PSI
        found = None
    if found is not None:
        return float(found[1]) / 100
    return min(1.0, os.getloadavg()[0] / (os.cpu_count() or 1) / 2)
