"""Starting a child whose standard output and error are a pipe, from its interpreter's first moment on.

multiprocessing has no option for that. Exchanging our own two for a moment would catch what our other threads print,
and what they start would hold the pipe. So the one function through which multiprocessing starts an interpreter is
wrapped; for a thread that asks for no pipe it does what it always did.
"""

import os
import subprocess
import threading
from collections.abc import Sequence
from multiprocessing import resource_tracker, util
from multiprocessing.process import BaseProcess
from typing import Any

_plain_spawn = util.spawnv_passfds
_wanted = threading.local()


def start_with_pipe(process: BaseProcess) -> int:
    """Start the process and return the reading end of its pipe; the writing end is in the child alone."""
    resource_tracker.ensure_running()  # else it would be started on the way, with the child's pipe
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
    output = getattr(_wanted, "output", None)
    if output is None:
        return _plain_spawn(path, args, passfds)
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


util.spawnv_passfds = _spawn
