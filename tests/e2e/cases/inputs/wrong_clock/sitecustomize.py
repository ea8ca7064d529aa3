"""A machine whose clock is wrong by CLOCK_OFFSET seconds, for every Python process with this folder on PYTHONPATH."""

import os
import time

if os.environ.get("CLOCK_OFFSET"):
    _time, _offset = time.time, float(os.environ["CLOCK_OFFSET"])
    time.time = lambda: _time() + _offset
