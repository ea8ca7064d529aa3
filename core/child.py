"""The frame of every child process: its start, the call of `run(context, …)`, and its end.

The supervisor gives a child its channels at its start, new ones for each incarnation: a Queue up (news, heartbeats),
an Event down (stop), a plain shared number (the deadline for draining) and, if needed, an inbox (news of others).
"""

import contextlib
import faulthandler
import importlib
import io
import os
import queue
import signal
import sys
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from multiprocessing import Queue
from multiprocessing.synchronize import Event
from typing import Any, Protocol

import setproctitle
import structlog

from core.config.network_variables import network
from core.config.slices import LogConfig
from core.errors import PERMANENT_EXIT, FaultCode, PermanentError
from core.logging import log_setup
from core.masking.external import hide, outside
from core.masking.masking import NOTHING, Registered
from core.process import core_dumps, parent_guard
from core.process.memory_tuning import gc_paused, tune_malloc
from core.storage import private_files

#: A message to the supervisor: ("ready",), ("beat", monotonic seconds), ("news", stream, seq) or
#: ("fatal", reason, FaultCode).
#: Small on purpose: a write up to PIPE_BUF is atomic, whenever the writer is killed.
Message = tuple[Any, ...]

_TICK = 1.0  # longest sleep between two heartbeats
_BEAT_EVERY = 0.9  # each wakes the supervisor; just below a second, so that rounding skips none
_WATCH_EVERY = 0.25  # interval of checks for a SIGTERM or the parent's death
_DRAIN_ALONE = 5.0  # stopped by SIGTERM alone: there is no deadline
_DRAIN_ORPHANED = 1.0
_LONGEST_REASON = 500  # characters: far below PIPE_BUF in any script

#: Signals that may reach a whole group of processes. The supervisor spawns with these blocked, so that none hits a
#: half-started process.
SIGNALS = frozenset({signal.SIGINT, signal.SIGTERM, signal.SIGHUP})


class Number(Protocol):
    """A number in shared memory (multiprocessing.RawValue): it has no lock that a killed process could keep."""

    value: float


@dataclass(frozen=True, slots=True)
class ChildArguments:
    """The arguments that a child gets from the supervisor when it is spawned."""

    name: str
    entry: str  #: "package.module:function", imported in the child only, to keep the supervisor small
    arguments: tuple[Any, ...]  #: the entry's argument after the context: its ProcessConfig
    logging: LogConfig
    parent_pid: int
    up: "Queue[Message]"
    stop: Event
    deadline: Number  #: time.monotonic() at which a stopping child should be done; 0 while there is no deadline
    inbox: "Queue[Message] | None" = None
    compact: bool = False  #: tunes the allocator, before any thread starts
    #: every text that the supervisor masks, also secrets of earlier configurations: a server may echo any of them
    hidden: Registered = NOTHING


class ChildContext:
    """The link between a child's code and the supervisor: stop and news down, heartbeats and reports up."""

    def __init__(
        self,
        name: str,
        log: structlog.stdlib.BoundLogger,
        send: Callable[[Message], None] = lambda _message: None,
        deadline: Callable[[], float] = lambda: 0.0,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.name = name
        self.log = log
        self.stop = threading.Event()
        self._send = send
        self._deadline = deadline
        self._clock = clock
        self._wake = threading.Event()
        self._next_beat = 0.0
        self._alone_until = 0.0
        self._callbacks: list[Callable[[], None]] = []
        self._lock = threading.Lock()

    def wait(self, seconds: float) -> bool:
        """Sleep for at most `seconds`, less if stop is requested or news arrives; return whether stop is requested.

        Sends heartbeats meanwhile. After a stop it returns at once, so a draining loop must wait on something else.
        """
        end = self._clock() + seconds
        while not self.stop.is_set():
            self.beat()
            remaining = end - self._clock()
            if self._wake.wait(max(0.0, min(_TICK, remaining))) or remaining <= _TICK:
                break
        self._wake.clear()
        return self.stop.is_set()

    def beat(self) -> None:
        """Send a heartbeat from the working loop; cheap enough for every round, sent about once a second."""
        now = self._clock()
        if now >= self._next_beat:
            self._next_beat = now + _BEAT_EVERY
            self._send(("beat", now))

    def ready(self) -> None:
        """Report that this child works (RUNNING)."""
        self._send(("ready",))

    def announce(self, last_seq: int) -> None:
        """Report that this stream's spool holds new rows up to `last_seq`: a hint, never the only copy."""
        self._send(("news", self.name, last_seq))

    def give_up(self, reason: str, code: FaultCode = FaultCode.OTHER) -> None:
        """Report why no restart can help, before exiting with PERMANENT_EXIT."""
        self._send(("fatal", outside(reason, _LONGEST_REASON), code.value))

    def drain_seconds(self) -> float:
        """Return the seconds that a stopping child may still work."""
        until = self._deadline() or self._alone_until
        return max(0.0, until - self._clock()) if until else _DRAIN_ALONE

    def on_stop(self, callback: Callable[[], None]) -> None:
        """Call `callback` (from another thread) when stop is requested; at once if it already was."""
        with self._lock:
            late = self.stop.is_set()
            if not late:
                self._callbacks.append(callback)
        if late:
            self._call(callback)

    def ask_stop(self, drain_alone: float = _DRAIN_ALONE) -> None:
        """Request a stop of this child; `drain_alone` (seconds) applies when the supervisor set no deadline."""
        with self._lock:
            if self.stop.is_set():
                return
            self._alone_until = self._clock() + drain_alone
            self.stop.set()
            callbacks, self._callbacks = self._callbacks, []
        self._wake.set()
        for callback in callbacks:
            self._call(callback)

    def wake(self) -> None:
        """End the current (or next) `wait`: there is work."""
        self._wake.set()

    def _call(self, callback: Callable[[], None]) -> None:
        try:
            callback()
        except Exception:
            self.log.exception("stop_callback_failed")


class StartGate:
    """Marks when a child begins to work. Before that it only imports, and a stop ends it without delay."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._crossed = False

    def cross(self) -> None:
        """Begin; from now on the child ends by an ordered stop."""
        with self._lock:
            self._crossed = True

    def end_before(self, log: structlog.stdlib.BoundLogger) -> None:
        """End this process if it has not begun: imports take seconds on a busy machine, and the deadline is near."""
        with self._lock:
            if not self._crossed:
                log.info("ended", asked=True, hint="stopped before it began to work")
                os._exit(0)


def main(child: ChildArguments) -> None:
    """Run the child described by `child`; the exit code shows whether a restart can help."""
    core_dumps.forbid()
    private_files.set_umask()
    if child.compact:
        tune_malloc()
    terminated = _install_signals()
    setproctitle.setproctitle(child.name)
    faulthandler.enable()
    parent_guard.die_with_parent(child.parent_pid)
    if isinstance(sys.stdout, io.TextIOWrapper):
        sys.stdout.reconfigure(line_buffering=True)  # stdout is a pipe: show a library's output before the end
    outer = network(os.environ)
    hidden = child.hidden
    hide(*hidden.secrets, *outer.secrets(), logins=(*hidden.logins, *outer.logins()))
    # Always JSON: the supervisor parses it, and shows it in the configured format.
    log_setup.configure(child.name, child.logging.log_dir, "json", child.logging.max_bytes, child.logging.backups)
    context = ChildContext(
        child.name,
        log_setup.get_logger(child.name),
        send=_sender(child.up),
        deadline=lambda: child.deadline.value,
    )
    gate = StartGate()
    _start_thread("watcher", _watch, context, child, terminated, gate)
    if child.inbox is not None:
        _start_thread("inbox", _listen, context, child.inbox)
    sys.exit(_run(context, child, gate))


def _run(context: ChildContext, child: ChildArguments, gate: StartGate) -> int:
    """Import and call the entry; return its exit code."""
    try:
        module, _, function = child.entry.partition(":")
        with gc_paused():
            work = getattr(importlib.import_module(module), function)
        gate.cross()
        work(context, *child.arguments)
    except PermanentError as error:
        # expected, with a clear message: the traceback helps developers only
        context.log.error("fatal", error=str(error))  # noqa: TRY400
        context.log.debug("raised_here", exc_info=True)
        context.give_up(str(error), error.code)
        return PERMANENT_EXIT
    except Exception:
        context.log.exception("crashed")
        return 1
    context.log.info("ended", asked=context.stop.is_set())
    return 0


def _install_signals() -> list[int]:
    """Ignore Ctrl-C and the terminal's end, which the parent handles; SIGTERM appends to the returned list.

    The handler only appends: setting a threading.Event there could find its lock held by the code it interrupted.
    """
    terminated: list[int] = []
    for number in (signal.SIGINT, signal.SIGHUP):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda number, _frame: terminated.append(number))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, SIGNALS)
    return terminated


def _sender(up: "Queue[Message]") -> Callable[[Message], None]:
    def send(message: Message) -> None:
        # Full: the supervisor does not read now. Drop it: newer messages will follow.
        with contextlib.suppress(queue.Full):
            up.put_nowait(message)

    return send


def _start_thread(name: str, target: Callable[..., None], *args: object) -> None:
    threading.Thread(target=target, args=args, name=name, daemon=True).start()


def _watch(context: ChildContext, child: ChildArguments, terminated: list[int], gate: StartGate) -> None:
    """Wait for a reason to stop: the supervisor's Event, a SIGTERM, or the supervisor's death."""
    while not child.stop.wait(_WATCH_EVERY):
        if terminated:
            context.log.info("stop_asked", by="SIGTERM")
            context.ask_stop()
            break
        if parent_guard.is_orphan(child.parent_pid):
            break
    else:
        context.log.debug("stop_asked", by="supervisor")
        context.ask_stop()
    if context.stop.is_set():
        gate.end_before(context.log)
    while not parent_guard.is_orphan(child.parent_pid):
        time.sleep(_WATCH_EVERY)
    # Only where the kernel did not kill this process with its parent (see core.process.parent_guard).
    context.log.warning("supervisor_died", hint="nothing is lost: the next start continues from the spool")
    context.ask_stop(_DRAIN_ORPHANED)
    time.sleep(_DRAIN_ORPHANED)
    os._exit(1)


def _listen(context: ChildContext, inbox: "Queue[Message]") -> None:
    """End the current wait at each message in the inbox: its content is in the spool."""
    while True:
        inbox.get()
        context.wake()
