"""Starting a child whose standard output and error are a pipe, from its interpreter's first moment on.

multiprocessing has no option for that. Exchanging our own two for a moment would catch what our other threads print,
and what they start would hold the pipe. So the one function through which multiprocessing starts an interpreter is
wrapped; for a thread that asks for no pipe it does what it always did.
"""

import contextlib
import fcntl
import os
import re
import subprocess
import threading
from collections.abc import Sequence
from multiprocessing import resource_tracker, util
from multiprocessing.process import BaseProcess
from typing import Any

from core import orphan

_plain_spawn = util.spawnv_passfds
_wanted = threading.local()

#: multiprocessing writes all that a child is born with into a pipe, and holds its other end too: what does not fit is
#: waited for without end, should the child be stopped or killed before it reads. So the pipe is made as wide as an
#: ordinary user may have it; a configuration with some ten thousand subreddits fits.
_WIDEST_PIPE = 1_048_576
_PIPE_OF_BIRTH = re.compile(r"pipe_handle=(\d+)")

_BIRTH = "from multiprocessing.spawn import spawn_main"  #: so begins the code that a child's interpreter is given

#: The code of multiprocessing's helper, which clears up after a killed supervisor. What it says of that would be no
#: line of JSON on our standard error, and is of no use to anybody.
_TRACKER = "from multiprocessing.resource_tracker import main"


def start_with_pipe(process: BaseProcess) -> int:
    """Start the process and return the reading end of its pipe; the writing end is in the child alone."""
    resource_tracker.ensure_running()  # else it would be started on the way, with what the child inherits
    reader, writer = os.pipe()
    _wanted.output = writer
    try:
        process.start()
    except BaseException:
        os.close(reader)
        raise
    finally:
        _wanted.output = None
        os.close(writer)
    return reader


def _spawn(path: bytes, args: Sequence[Any], passfds: Sequence[int]) -> int:
    words = [os.fsdecode(word) for word in args]
    if any(word.startswith(_TRACKER) for word in words):
        return _start(path, words, passfds, subprocess.DEVNULL)
    output = getattr(_wanted, "output", None)
    if output is None:
        return _plain_spawn(path, args, passfds)
    _widen(words)
    words = [orphan.guarded_code(word) if word.startswith(_BIRTH) else word for word in words]
    return _start(path, words, passfds, output)


def _start(path: bytes, words: Sequence[str], passfds: Sequence[int], output: int) -> int:
    program = subprocess.Popen(  # noqa: S603 - multiprocessing's own command
        words,
        executable=path,
        pass_fds=sorted(map(int, passfds)),
        stdout=output,
        stderr=output,
        restore_signals=False,  # as multiprocessing does
    )
    program.returncode = 0  # multiprocessing waits for it, by its number: this object must not
    return program.pid


def _widen(words: Sequence[str]) -> None:
    pipe = next(filter(None, map(_PIPE_OF_BIRTH.search, words)), None)
    if pipe is not None and hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(PermissionError):  # this user has too many wide ones already: it stays at 64 KiB
            fcntl.fcntl(int(pipe[1]), fcntl.F_SETPIPE_SZ, _WIDEST_PIPE)


util.spawnv_passfds = _spawn
