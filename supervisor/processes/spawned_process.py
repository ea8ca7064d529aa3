"""One incarnation of a child: a spawned process and its own channels, discarded together.

A killed child may hold any lock of its Queue or Event for ever. So none is shared with a sibling or with the next
incarnation, and the parent takes no lock that the child ever holds.
"""

import contextlib
import multiprocessing
import os
import queue
import select
import signal
from multiprocessing.connection import Connection
from multiprocessing.sharedctypes import RawValue
from typing import Protocol, cast

from core import child
from core.child import ChildArguments, Message, Number
from core.config.secret_texts import Secrets
from core.config.slices import LogConfig
from core.logging import log_setup
from core.masking import external
from core.masking.external import hide
from supervisor.processes import spawning
from supervisor.processes.child_output import OutputReader
from supervisor.processes.child_spec import ChildSpec
from supervisor.processes.spawning import reading_end, set_without_waiting, start_with_pipe

_NO_SECRETS = Secrets()

_CONTEXT = multiprocessing.get_context("spawn")

#: Maximum number of unread messages: above it the writer drops news (newer will follow), so memory does not grow.
_UNREAD = 1000

#: A handle for `multiprocessing.connection.wait`.
Handle = int | Connection


class Process(Protocol):
    """The manager's interface to a process; tests drive it with a scripted one."""

    @property
    def pid(self) -> int:
        """Return the process id."""

    def handles(self) -> list[Handle]:
        """Return the handles that become readable when there are messages, or when the process has ended."""

    def messages(self) -> list[Message]:
        """Return the messages that have arrived."""

    def exit_code(self) -> int | None:
        """Return the exit code (minus the signal's number if a signal killed it), None while it runs."""

    def send(self, message: Message) -> None:
        """Put a message into the child's inbox, if it has one and it is not full."""

    def request_stop(self, deadline: float) -> None:
        """Ask the child to stop by `deadline` on the monotonic clock."""

    def terminate(self) -> None:
        """Send SIGTERM."""

    def abort(self) -> None:
        """Send SIGABRT: the child records where each of its threads was, and ends."""

    def kill(self) -> None:
        """Send SIGKILL."""

    def close(self) -> None:
        """Release the channels of an ended process."""


class SpawnedProcess:
    """A spawned process with its real channels."""

    def __init__(self, spec: ChildSpec, logging: LogConfig, masked: Secrets = _NO_SECRETS) -> None:
        spawning.install()
        hide(*masked.texts, logins=masked.logins)
        self._up: multiprocessing.Queue[Message] = _CONTEXT.Queue(_UNREAD)
        self._waiting = select.poll()  # the Queue's own poll builds this anew each time: most of an idle loop
        self._waiting.register(reading_end(self._up), select.POLLIN)
        self._inbox: multiprocessing.Queue[Message] | None = _CONTEXT.Queue(_UNREAD) if spec.listens else None
        self._stop = _CONTEXT.Event()
        self._deadline = cast(Number, RawValue("d", 0.0))
        child_arguments = ChildArguments(
            name=spec.name,
            entry=spec.entry,
            arguments=spec.arguments,
            logging=logging,
            parent_pid=os.getpid(),
            up=self._up,
            stop=self._stop,
            deadline=self._deadline,
            inbox=self._inbox,
            compact=spec.compact,
            hidden=external.known.registered,
        )
        # daemon: if this process ever ends by an error of its own, it sends SIGTERM instead of waiting for ever.
        self._process = _CONTEXT.Process(target=child.main, args=(child_arguments,), name=spec.name, daemon=True)
        if self._inbox is not None:
            # Our own exit must not wait for a hung child to empty its inbox.
            self._inbox.cancel_join_thread()
        # The child inherits the blocked signals and unblocks them when it can handle them (see core.child).
        blocked = signal.pthread_sigmask(signal.SIG_BLOCK, child.SIGNALS)
        try:
            output = start_with_pipe(self._process)
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, blocked)
        file = log_setup.child_file(spec.name, logging.log_dir, logging.max_bytes, logging.backups)
        try:
            self._output = OutputReader(spec.name, self.pid, output, self._process.sentinel, file)
        except BaseException:  # no thread or descriptor left: the process must not run on unsupervised
            self._process.kill()
            self._process.join()
            os.close(output)
            raise

    @property
    def pid(self) -> int:
        """Return the process id."""
        assert self._process.pid is not None  # noqa: S101 - it was started in the constructor
        return self._process.pid

    def handles(self) -> list[Handle]:
        """Return the Queue's reading end and the process's sentinel."""
        return [reading_end(self._up), self._process.sentinel]

    def messages(self) -> list[Message]:
        """Drain the Queue; safe at any time, since writes below PIPE_BUF are atomic."""
        messages: list[Message] = []
        with contextlib.suppress(queue.Empty):
            while len(messages) < _UNREAD and self._waiting.poll(0):
                messages.append(self._up.get_nowait())
        return messages

    def exit_code(self) -> int | None:
        """Return the exit code; also reaps the process."""
        return self._process.exitcode

    def send(self, message: Message) -> None:
        """Put a message into the inbox; if it is full, the child already has a reason to check."""
        if self._inbox is not None:
            # RuntimeError: no thread is available to deliver it. The child also checks by itself now and then.
            with contextlib.suppress(queue.Full, RuntimeError):
                self._inbox.put_nowait(message)

    def request_stop(self, deadline: float) -> None:
        """Set the deadline, then the Event."""
        self._deadline.value = deadline
        set_without_waiting(self._stop)

    def terminate(self) -> None:
        """Send SIGTERM."""
        self._process.terminate()

    def abort(self) -> None:
        """Send SIGABRT (see faulthandler in core.child); continue a process that SIGSTOP holds, so that it ends."""
        with contextlib.suppress(ProcessLookupError):
            os.kill(self.pid, signal.SIGABRT)
            os.kill(self.pid, signal.SIGCONT)

    def kill(self) -> None:
        """Send SIGKILL."""
        self._process.kill()

    def close(self) -> None:
        """Close both queues and the process object; its last output is in its log by then, or follows."""
        self._output.finish()
        self._up.close()
        if self._inbox is not None:
            self._inbox.close()
        self._process.close()
