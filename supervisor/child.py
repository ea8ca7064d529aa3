"""One line of the manager's table: a child over all its incarnations, and how one of them is ended."""

from dataclasses import dataclass, field

import structlog

from supervisor.board import ProcessRow
from supervisor.policy import Life
from supervisor.process import Process
from supervisor.spec import ChildSpec
from supervisor.stopping import Slot


@dataclass(slots=True)
class Child:
    """What the manager knows of one child."""

    spec: ChildSpec
    life: Life = field(default_factory=Life)
    process: Process | None = None
    started_at: float = 0.0
    last_beat: float = 0.0  #: when it was last heard of
    silence_reported: bool = False
    last_words: str = ""  #: why this incarnation says that no restart can help
    replacing: bool = False  #: this incarnation ends because a person asked for the next one
    slot: Slot | None = None  #: once asked to stop: by when
    terminated: bool = False
    killed: bool = False

    @property
    def row(self) -> ProcessRow:
        """What others may see of it."""
        life, process = self.life, self.process
        pid = process.pid if process is not None else None
        return ProcessRow(
            self.spec.name, pid, life.state, life.restarts, life.last_exit, self.started_at, life.why, life.restart_at
        )

    def forget_press(self) -> None:
        """Begin anew: nobody has asked this incarnation to stop, or what was asked counts no more."""
        self.slot = None
        self.terminated = self.killed = self.replacing = False

    def press(self, now: float, log: structlog.stdlib.BoundLogger) -> None:
        """Remind a child that was asked to stop: SIGTERM when it is late, SIGKILL when it is still there."""
        if self.process is None or self.slot is None:
            return
        if now >= self.slot.kill_at and not self.killed:
            self.killed = True
            log.error("child_killed", child=self.spec.name, hint="it did not stop in time; see its log")
            self.process.kill()
        elif now >= self.slot.terminate_at and not self.terminated:
            self.terminated = True
            log.warning("child_late", child=self.spec.name)
            self.process.terminate()

    def next_press(self) -> float:
        """Return when it is to be reminded next, infinity for never."""
        if self.process is None or self.slot is None or self.killed:
            return float("inf")
        return self.slot.kill_at if self.terminated else self.slot.terminate_at
