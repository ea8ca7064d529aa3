"""The manager's record of one child over all its incarnations, and the steps that stop one of them."""

from dataclasses import dataclass, field

import structlog

from supervisor.processes import restart_policy
from supervisor.processes.child_spec import ChildSpec, Slot, slot
from supervisor.processes.restart_policy import RestartState, State, describe_exit
from supervisor.processes.spawned_process import Process
from supervisor.processes.status_publisher import ProcessRow

#: Seconds for an aborted child to record where it hung; a child blocked by a hanging disk cannot even do that.
_ABORT_TIMEOUT_S = 0.5

#: Seconds of silence allowed to a child that is not ready: imports are slow on a busy machine.
_START_TIMEOUT_S = 60.0


@dataclass(slots=True)
class Child:
    """The manager's record of one child."""

    spec: ChildSpec
    restart_state: RestartState = field(default_factory=RestartState)
    process: Process | None = None
    started_at: float = 0.0
    last_beat: float = 0.0  #: time of its last sign of life
    not_ready_logged: bool = False
    fatal_reason: str = ""  #: this incarnation's reason why no restart can help
    fatal_code: str = ""  #: the reason as a FaultCode
    replacing: bool = False  #: this incarnation is stopped because a person requested a new one
    removing: bool = False  #: no longer in the configuration: removed from the table when it has ended
    slot: Slot | None = None  #: its deadlines, once a stop is requested
    hung: bool = False  #: aborted after too long a silence
    terminated: bool = False
    killed: bool = False

    @property
    def row(self) -> ProcessRow:
        """The part that is published."""
        state, process = self.restart_state, self.process
        pid = process.pid if process is not None else None
        return ProcessRow(
            self.spec.name,
            pid,
            state.state,
            state.restarts,
            state.last_exit,
            self.started_at,
            state.why,
            state.restart_at,
            state.since,
            state.code,
        )

    def reset_stop(self) -> None:
        """Forget any stop request: this incarnation is new, or the request no longer counts."""
        self.slot = None
        self.terminated = self.killed = self.replacing = self.hung = False

    def stop_with_all(self) -> None:
        """Stop in its stage and by the common deadline, even if it was being replaced or removed."""
        self.reset_stop()
        self.removing = False  # if it must be killed, the exit code has to show it

    def hung_at(self, timeout: float) -> float:
        """Return the time at which it counts as hung if it stays silent; infinity for never."""
        if self.process is None or self.slot is not None:
            return float("inf")
        allowed = max(timeout, _START_TIMEOUT_S) if self.restart_state.state is State.STARTING else timeout
        return self.last_beat + allowed

    def check_heartbeat(self, now: float, timeout: float, log: structlog.stdlib.BoundLogger) -> None:
        """Abort a child whose working loop has been silent for `timeout` seconds; it is restarted like one that died.

        A child that only waits (for the quota, for a broker) sends beats. One that must stop has a deadline instead.
        """
        if now < self.hung_at(timeout) or self.process is None:
            return
        silent = round(now - self.last_beat, 1)
        log.error("child_hung", child=self.spec.name, silent_s=silent, hint="its log shows where each thread was")
        self.hung = True
        self.slot = Slot(done_by=now, terminate_at=float("inf"), kill_at=now + _ABORT_TIMEOUT_S)
        self.process.abort()

    def request_stop(self, now: float, since: float, timeout: float) -> None:
        """Ask it to stop in its slot of a stop that began at `since` and may take `timeout` seconds."""
        if self.process is not None:
            self.slot = slot(self.spec.stage, since, timeout)
            self.restart_state = restart_policy.stop_requested(self.restart_state, now, alive=True)
            self.process.request_stop(self.slot.done_by)

    def escalate(self, now: float, log: structlog.stdlib.BoundLogger) -> None:
        """Escalate a stop: SIGTERM when the child is late, SIGKILL when it is still running after that."""
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

    def log_exit(self, now: float, log: structlog.stdlib.BoundLogger) -> None:
        """Log how the last process ended, and the consequence."""
        name, state = self.spec.name, self.restart_state
        how = describe_exit(state.last_exit) if state.last_exit is not None else None
        match state.state:
            case State.EXITED:
                log.info("child_stopped", child=name, exit=how)
            case State.FATAL:
                log.error("child_fatal", child=name, exit=how, why=state.why)
            case _:
                log.warning("child_died", child=name, exit=how, restart_in_s=round(state.restart_at - now, 2))

    def next_escalation(self) -> float:
        """Return the time of the next escalation, infinity for never."""
        if self.process is None or self.slot is None or self.killed:
            return float("inf")
        return self.slot.kill_at if self.terminated or self.hung else self.slot.terminate_at
