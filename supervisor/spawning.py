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
_BIRTH = "from multiprocessing.spawn import spawn_main"  #: so begins the code that a child's interpreter is given
_PIPE_OF_BIRTH = re.compile(r"pipe_handle=(\d+)")


def start_with_pipe(process: BaseProcess) -> int:
    """Start the process and return the reading end of its pipe; the writing end is in the child alone."""
    ensure_tracker()
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


def ensure_tracker() -> None:
    """Start multiprocessing's own helper before anything of it is made: on the way it would get the child's pipe.

    What it prints when it clears up after a killed supervisor would be no line of JSON, and is of no use to anybody.
    """
    void = os.open(os.devnull, os.O_WRONLY)
    _wanted.output = void
    try:
        resource_tracker.ensure_running()
    finally:
        _wanted.output = None
        os.close(void)


def _spawn(path: bytes, args: Sequence[Any], passfds: Sequence[int]) -> int:
    output = getattr(_wanted, "output", None)
    if output is None:
        return _plain_spawn(path, args, passfds)
    _widen(args)
    args = [orphan.guarded_code(word) if word.startswith(_BIRTH) else word for word in map(os.fsdecode, args)]
    program = subprocess.Popen(  # noqa: S603 - multiprocessing's own command
        args,
        executable=path,
        pass_fds=sorted(map(int, passfds)),
        stdout=output,
        stderr=output,
        restore_signals=False,  # as multiprocessing does
    )
    program.returncode = 0  # multiprocessing waits for it, by its number: this object must not
    return program.pid


def _widen(args: Sequence[Any]) -> None:
    pipe = next(filter(None, map(_PIPE_OF_BIRTH.search, map(os.fsdecode, args))), None)
    if pipe is not None and hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(PermissionError):  # this user has too many wide ones already: it stays at 64 KiB
            fcntl.fcntl(int(pipe[1]), fcntl.F_SETPIPE_SZ, _WIDEST_PIPE)


util.spawnv_passfds = _spawn
