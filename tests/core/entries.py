"""What the children of the tests run."""

import ctypes
import os
import signal
import subprocess
import sys
import time
import traceback
from pathlib import Path

from core.child import ChildContext
from core.errors import PermanentError
from core.masking.external import outside


def obedient(context: ChildContext) -> None:
    """Be ready, wait for stop, end."""
    context.ready()
    while not context.wait(60):
        pass


def deaf(context: ChildContext) -> None:
    """Be ready and never look at stop."""
    context.ready()
    while True:
        time.sleep(60)


def quoting(context: ChildContext, file: Path) -> None:
    """Log what a server says, then end."""
    context.log.info("said", text=outside(file.read_text()))


def failing(_context: ChildContext) -> None:
    raise RuntimeError("failed on purpose")


def hopeless(_context: ChildContext) -> None:
    raise PermanentError("set REDDIT_CLIENT_ID")


def hopeless_when_told(context: ChildContext, marker: Path) -> None:
    """Be ready; fail for ever once the file is there."""
    context.ready()
    while not context.wait(0.05):
        if marker.exists():
            raise PermanentError("the credentials were revoked")


def hopeless_while(context: ChildContext, marker: Path) -> None:
    """Fail for ever at once while the file is there, else obey."""
    if marker.exists():
        raise PermanentError("the credentials are wrong")
    obedient(context)


def counting(context: ChildContext, wanted: int) -> None:
    """Announce rows, then end."""
    context.ready()
    for seq in range(1, wanted + 1):
        context.announce(seq)


def woken(context: ChildContext, marker: Path) -> None:
    """Write down when news ends a long wait."""
    context.ready()
    context.wait(60)
    marker.write_text("woken")
    obedient(context)


def draining(context: ChildContext, marker: Path) -> None:
    """Write down how long it may still work, and from where it heard of stop."""
    heard: list[str] = []
    context.on_stop(lambda: heard.append("callback"))
    context.ready()
    while not context.wait(60):
        pass
    marker.write_text(f"{context.drain_seconds():.1f} {heard}")


def chatty(context: ChildContext) -> None:
    """Fill the queue as fast as it can, for ever."""
    context.ready()
    seq = 0
    while not context.stop.is_set():
        seq += 1
        context.announce(seq)
        context.beat()


def littering(context: ChildContext) -> None:
    """Leave processes behind whose parent is gone, a few at a time; some end at once, some a little later."""
    context.ready()
    while not context.wait(0.1):
        subprocess.run(["sh", "-c", "true & sleep 0.05 & (sleep 0.3; exit 7) &"], check=True)


def printing(context: ChildContext) -> None:
    """Report how it was set up on standard output."""
    handler = signal.getsignal(signal.SIGINT)
    sys.stdout.write(f"{context.name} {os.getpid()} {handler!r}\n")
    sys.stdout.flush()


def aborting(context: ChildContext) -> None:
    context.ready()
    os.abort()


def segfaulting(context: ChildContext) -> None:
    context.ready()
    ctypes.string_at(0)


def talking(context: ChildContext) -> None:
    """Speak in every way there is."""
    sys.stdout.write("by print\n")  # on a line of its own at once, without a flush
    sys.stderr.write("by stderr\n")
    os.write(2, b"by the system\n")
    ctypes.CDLL(None).dprintf(2, b"%%3|1234567890.5|FAIL|rdkafka#producer-1| by C\n")
    context.log.info("by_the_logger")
    sys.stderr.write("the password is hunter-22\n")
    traceback.print_exc()  # "NoneType: None"
    try:
        failing(context)
    except RuntimeError:
        traceback.print_exc()
    sys.stderr.write("no end of line")
    obedient(context)


def flooding(context: ChildContext, lines: int) -> None:
    """Print far too much, and log in between."""
    context.ready()
    for number in range(lines):
        sys.stdout.write(f"{number:09} {'x' * 90}\n")
        context.beat()
    context.log.info("flooded")


def leaving_somebody(context: ChildContext) -> None:
    """End, while a process of mine lives on with my standard output."""
    sleeper = subprocess.Popen([sys.executable, "-c", "import time; print('I stay', flush=True); time.sleep(60)"])
    sys.stdout.write(f"left {sleeper.pid}\n")
    context.ready()


def logging_for_ever(context: ChildContext) -> None:
    context.ready()
    number = 0
    while not context.wait(0.002):
        number += 1
        context.log.info("said", number=number, filling="x" * 2000)


class Unborn:
    """An argument that cannot be unpickled: the child fails before anything of ours runs."""

    def __reduce__(self) -> tuple[object, ...]:
        return _not_born, ()


class Stopping:
    """Stops the process that is being born, when it is unpacked there."""

    def __setstate__(self, state: object) -> None:
        os.kill(os.getpid(), signal.SIGSTOP)

    def __getstate__(self) -> object:
        return True


def _not_born() -> None:
    raise RuntimeError("not born")
