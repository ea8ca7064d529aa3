"""One line of the manager's table: a child over all its incarnations, and how one of them is ended."""

from dataclasses import dataclass, field

import structlog

from supervisor.processes import restart_policy
from supervisor.processes.child_spec import ChildSpec
from supervisor.processes.restart_policy import RestartState, State, describe_exit
from supervisor.processes.spawned_process import Process
from supervisor.processes.status_publisher import ProcessRow
from supervisor.processes.stop_slots import Slot, slot

#: An aborted child has so long to write down where it hung; one that a hanging disk holds cannot even do that.
_LAST_WORDS = 0.5

#: Until it is ready a child may be silent for so long, seconds: importing takes its time on a busy machine.
_START_TIMEOUT = 60.0


@dataclass(slots=True)
class Child:
    """What the manager knows of one child."""

    spec: ChildSpec
    life: RestartState = field(default_factory=RestartState)
    process: Process | None = None
    started_at: float = 0.0
    last_beat: float = 0.0  #: when it was last heard of
    silence_reported: bool = False
    last_words: str = ""  #: why this incarnation says that no restart can help
    last_code: str = ""  #: the same as a FaultCode
    replacing: bool = False  #: this incarnation ends because a person asked for the next one
    leaving: bool = False  #: the configuration does not know it any more: when it has ended, it is forgotten
    slot: Slot | None = None  #: once asked to stop: by when
    hung: bool = False  #: silent for so long that it was aborted
    terminated: bool = False
    killed: bool = False

    @property
    def row(self) -> ProcessRow:
        """What others may see of it."""
        life, process = self.life, self.process
        pid = process.pid if process is not None else None
        return ProcessRow(
            self.spec.name,
            pid,
            life.state,
            life.restarts,
            life.last_exit,
            self.started_at,
            life.why,
            life.restart_at,
            life.since,
            life.code,
        )

    def forget_press(self) -> None:
        """Begin anew: nobody has asked this incarnation to stop, or what was asked counts no more."""
        self.slot = None
        self.terminated = self.killed = self.replacing = self.hung = False

    def leave_with_all(self) -> None:
        """Stop in its turn and by the deadline of all, though it was being replaced or dismissed by itself."""
        self.forget_press()
        self.leaving = False  # should it have to be killed, the exit code is to say so

    def hung_at(self, timeout: float) -> float:
        """Return from when on it counts as hung, should nothing more be heard of it; infinity for never."""
        if self.process is None or self.slot is not None:
            return float("inf")
        allowed = max(timeout, _START_TIMEOUT) if self.life.state is State.STARTING else timeout
        return self.last_beat + allowed

    def check_pulse(self, now: float, timeout: float, log: structlog.stdlib.BoundLogger) -> None:
        """Abort a child whose working loop has been silent for `timeout` seconds; it is replaced like one that died.

        One that only waits (for the quota, for a broker) beats on. One that is asked to stop has a deadline instead.
        """
        if now < self.hung_at(timeout) or self.process is None:
            return
        silent = round(now - self.last_beat, 1)
        log.error("child_hung", child=self.spec.name, silent_s=silent, hint="its log says where each thread was")
        self.hung = True
        self.slot = Slot(done_by=now, terminate_at=float("inf"), kill_at=now + _LAST_WORDS)
        self.process.abort()

    def ask_stop(self, now: float, since: float, timeout: float) -> None:
        """Ask it to stop in its slot of a stop that began at `since` and may take `timeout` seconds."""
        if self.process is not None:
            self.slot = slot(self.spec.stage, since, timeout)
            self.life = restart_policy.asked_to_stop(self.life, now, alive=True)
            self.process.ask_stop(self.slot.done_by)

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

    def report_end(self, now: float, log: structlog.stdlib.BoundLogger) -> None:
        """Log how the last process ended, and what follows from it."""
        name, life = self.spec.name, self.life
        how = describe_exit(life.last_exit) if life.last_exit is not None else None
        match life.state:
            case State.EXITED:
                log.info("child_stopped", child=name, exit=how)
            case State.FATAL:
                log.error("child_fatal", child=name, exit=how, why=life.why)
            case _:
                log.warning("child_died", child=name, exit=how, restart_in_s=round(life.restart_at - now, 2))

    def next_press(self) -> float:
        """Return when it is to be reminded next, infinity for never."""
        if self.process is None or self.slot is None or self.killed:
            return float("inf")
        return self.slot.kill_at if self.terminated or self.hung else self.slot.terminate_at
