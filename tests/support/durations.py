"""Time limits on a busy machine: scales a limit that holds on an idle machine."""

import os
import re
from pathlib import Path

#: The factor by which a limit grows while some process waits for a processor all the time.
_SLOWER = 4.0

_PRESSURE = Path("/proc/pressure/cpu")


def allowed(seconds: float) -> float:
    """Return the limit itself on an idle machine, and up to four times as much on one that is busy all the time."""
    return seconds * (1.0 + (_SLOWER - 1.0) * _busy())


def _busy() -> float:
    """Return the share of the last ten seconds in which some process waited for a processor."""
    try:
        found = re.search(r"^some avg10=([\d.]+)", _PRESSURE.read_text(), re.M)
    except OSError:  # no such file without CONFIG_PSI
        found = None
    if found is not None:
        return float(found[1]) / 100
    return min(1.0, os.getloadavg()[0] / (os.cpu_count() or 1) / 2)
