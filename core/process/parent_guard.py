"""Ends a process with its parent: no process of ours runs on after its supervisor was killed."""

import ctypes
import os
import signal
import sys

_PR_SET_PDEATHSIG = 1

#: Arms the parent-death signal before other imports; where there is none, the pid is checked later.
_GUARD = (
    "import ctypes,os,sys\n"
    "sys.platform.startswith('linux') and ctypes.CDLL(None).prctl(1, 9, 0, 0, 0)\n"
    "if os.getppid() != {parent}: sys.exit('the parent process has ended')\n"
)

#: `python -I -S -c …`: a launcher that guards itself, then becomes the program. The parent-death signal survives exec,
#: and setting it in a process of one thread needs no `preexec_fn`, which is unsafe beside threads.
_LAUNCHER = "os.execv(sys.argv[1], sys.argv[1:])\n"


def is_orphan(parent_pid: int) -> bool:
    """Return whether the parent is gone. Compares with its pid, not with 1: in a container the supervisor is 1."""
    return os.getppid() != parent_pid


def die_with_parent(parent_pid: int) -> None:
    """Request SIGKILL from the kernel when the parent dies, and exit now if it is already dead.

    SIGKILL and not SIGTERM: it also ends a stopped process and one stuck in C code; what was captured is on disk.
    Where the kernel has no such signal, the child's watcher compares the parent's pid instead.
    """
    if sys.platform.startswith("linux"):
        libc = ctypes.CDLL(None, use_errno=True)
        if libc.prctl(_PR_SET_PDEATHSIG, signal.SIGKILL, 0, 0, 0) != 0:
            sys.stderr.write(f"prctl(PR_SET_PDEATHSIG) failed: {os.strerror(ctypes.get_errno())}\n")
    if is_orphan(parent_pid):
        # The signal was armed too late: the parent died while this process started.
        os._exit(1)


def guarded_code(code: str) -> str:
    """Prepend the guard to the code of an interpreter that the calling process is about to start."""
    return _GUARD.format(parent=os.getpid()) + code


def guarded_command(command: list[str]) -> list[str]:
    """Wrap the command of a foreign program so that it dies with the calling process (see `_LAUNCHER`)."""
    return [sys.executable, "-I", "-S", "-c", guarded_code(_LAUNCHER), *command]
