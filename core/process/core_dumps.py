"""Disables core files: a process that holds secrets leaves no image of its memory, and none can be read.

The limit on core files is inherited, so it applies from a child's start. Programs that the kernel pipes core
files to (systemd-coredump, apport) may ignore it; nothing is piped of a process that is not dumpable. Such a process
cannot be traced either, and only root reads its memory and environment in /proc: py-spy and gdb need the variable.
What our processes read of each other (memory in use, time of start) stays readable.
"""

import ctypes
import os
import resource
import sys
from collections.abc import Mapping

#: Set to 1, this variable changes nothing: for debugging with core files or a tracer.
SWITCH = "GAPLESS_CORE_FILES"

_PR_SET_DUMPABLE = 4


def forbid(environ: Mapping[str, str] = os.environ) -> None:
    """Forbid core files of this process and its children."""
    if environ.get(SWITCH) == "1":
        return
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    if sys.platform.startswith("linux"):
        ctypes.CDLL(None).prctl(_PR_SET_DUMPABLE, 0, 0, 0, 0)
