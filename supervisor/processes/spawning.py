"""Access to the private parts of multiprocessing that we use; no other module touches them.

A child's standard output and error must be a pipe from its interpreter's first moment; multiprocessing has no option
for that. Replacing our own two for a moment would capture the output of our other threads, and processes that they
start would hold the pipe. So we wrap the one function through which multiprocessing starts an interpreter; for a
thread that requests no pipe it behaves as before. Importing this module changes nothing: `install` does.

Setting an Event without waiting for the sleepers, and the reading end of a Queue, have no public API either.
"""

import contextlib
import fcntl
import os
import re
import subprocess
import threading
from collections.abc import Sequence
from multiprocessing import get_context, resource_tracker, util
from multiprocessing.connection import Connection
from multiprocessing.process import BaseProcess
from multiprocessing.queues import Queue
from multiprocessing.synchronize import Event
from typing import Any, cast

from core.process import parent_guard

_plain_spawn = util.spawnv_passfds
_requested = threading.local()

#: multiprocessing writes all of a child's arguments into a pipe and holds the other end too: data that does not fit
#: waits without end if the child is stopped or killed before it reads. So the pipe has the largest size allowed to an
#: ordinary user; a configuration with some ten thousand subreddits fits.
_PIPE_BYTES = 1_048_576

_CHECK_TIMEOUT_S = 10.0  # seconds for each step of the self-check
_ARGUMENT_PIPE = re.compile(r"pipe_handle=(\d+)")

_CHILD_CODE = "from multiprocessing.spawn import spawn_main"  #: the start of the code that a child's interpreter runs

#: The code of multiprocessing's helper, which cleans up after a killed supervisor. Its messages about that are not JSON
#: lines on our standard error and help nobody.
_TRACKER_CODE = "from multiprocessing.resource_tracker import main"


def install() -> None:
    """Wrap the function through which multiprocessing starts interpreters. Safe to call again.

    Call it before anything starts multiprocessing's helper: the helper's output is then discarded.
    """
    util.spawnv_passfds = _spawn


def start_with_pipe(process: BaseProcess) -> int:
    """Start the process and return the reading end of its pipe; only the child has the writing end.

    Raises RuntimeError if `install` was not called.
    """
    if util.spawnv_passfds is not _spawn:
        raise RuntimeError("spawning.install() was not called")
    resource_tracker.ensure_running()  # otherwise it would start later and inherit the child's pipe
    reader, writer = os.pipe()
    _requested.output = writer
    try:
        process.start()
    except BaseException:
        os.close(reader)
        raise
    finally:
        _requested.output = None
        os.close(writer)
    return reader


def _spawn(path: bytes, args: Sequence[Any], passfds: Sequence[int]) -> int:
    words = [os.fsdecode(word) for word in args]
    if any(word.startswith(_TRACKER_CODE) for word in words):
        return _start(path, words, passfds, subprocess.DEVNULL)
    output = getattr(_requested, "output", None)
    if output is None:
        return _plain_spawn(path, args, passfds)
    _widen(words)
    words = [parent_guard.guarded_code(word) if word.startswith(_CHILD_CODE) else word for word in words]
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
    program.returncode = 0  # multiprocessing waits for it by its number: this object must not
    return program.pid


def _widen(words: Sequence[str]) -> None:
    pipe = next(filter(None, map(_ARGUMENT_PIPE.search, words)), None)
    if pipe is not None and hasattr(fcntl, "F_SETPIPE_SZ"):
        with contextlib.suppress(PermissionError):  # this user has too many wide pipes already: it stays at 64 KiB
            fcntl.fcntl(int(pipe[1]), fcntl.F_SETPIPE_SZ, _PIPE_BYTES)


def set_without_waiting(flag: Event) -> None:
    """Do what `Event.set` does without waiting for its lock or for the sleeper's confirmation that it is awake.

    A killed child keeps the lock and never confirms. A waiter checks the flag again when it wakes up.
    """
    inside = cast(Any, flag)
    inside._flag.release()  # noqa: SLF001
    inside._cond._wait_semaphore.release()  # noqa: SLF001


def reading_end(queue: "Queue[Any]") -> Connection:
    """Return the end of the Queue's pipe that becomes readable when there is an item to get."""
    return cast(Any, queue)._reader  # type: ignore[no-any-return] # noqa: SLF001


def self_check() -> None:
    """Use each private part once, with this interpreter. Raises AssertionError, or whatever a changed part raises."""
    install()
    context = get_context("spawn")
    event, queue = context.Event(), context.Queue()
    assert not event.is_set()  # noqa: S101 - that is what a check is for
    set_without_waiting(event)
    assert event.is_set()  # noqa: S101
    assert event.wait(0.0)  # noqa: S101
    queue.put("sent")
    assert reading_end(queue).poll(_CHECK_TIMEOUT_S)  # noqa: S101
    assert queue.get() == "sent"  # noqa: S101
    process = context.Process(target=print, args=("printed",))
    with os.fdopen(start_with_pipe(process)) as output:
        assert output.read() == "printed\n"  # noqa: S101
    process.join(_CHECK_TIMEOUT_S)
    assert process.exitcode == 0  # noqa: S101
