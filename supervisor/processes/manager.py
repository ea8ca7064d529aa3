"""The loop that keeps the children running, forwards their news, and stops them in order.

Restart decisions are in `restart_policy`; what runs is decided in `topology`. The clock, the kind of process and the
wait are arguments, so a test can drive the loop with scripted processes and its own clock.
"""

import random
import time
from collections.abc import Callable, Sequence
from multiprocessing import connection

import structlog

from core.child import Message
from core.errors import ExitCode
from core.periodic import PeriodicTask, PeriodicTasks
from supervisor.processes import restart_policy
from supervisor.processes.child_spec import ChildSpec, Stage
from supervisor.processes.control_inbox import Reload, RequestSource, Restart
from supervisor.processes.managed_child import Child
from supervisor.processes.reload import ReloadOrders, WantedChildren
from supervisor.processes.restart_policy import RestartState, State, describe_exit
from supervisor.processes.spawned_process import Handle, Process
from supervisor.processes.status_publisher import Snapshot

_MAX_WAIT_S = 60.0
_SPAWN_FAILED = 1  # exit code used where there was no process
_DEPENDENCY_TIMEOUT_S = 15.0  # wait this long for the children in `after`; then start even if they are not ready
_NOT_READY_AFTER_S = 30.0  # seconds in STARTING after which a warning is logged
_PAUSED_AFTER_S = 2.0  # seconds: a wake-up this much later than planned means that this process was paused


class Manager:
    """Supervises the children of one topology until a stop is requested and all are gone."""

    def __init__(
        self,
        specs: Sequence[ChildSpec],
        spawn: Callable[[ChildSpec], Process],
        requests: RequestSource,
        *,
        shutdown_timeout: float,
        heartbeat_timeout: float = float("inf"),
        log: structlog.stdlib.BoundLogger,
        tasks: Sequence[PeriodicTask] = (),
        publish: Callable[[Snapshot], None] = lambda _snapshot: None,
        reload: Callable[[], WantedChildren | None] = lambda: None,
        clock: Callable[[], float] = time.monotonic,
        jitter: Callable[[], float] = random.random,
        wait: Callable[[list[Handle], float], object] = connection.wait,
    ) -> None:
        self.children = {spec.name: Child(spec, RestartState(since=clock())) for spec in specs}
        self.gave_up = ""
        self._reloads = ReloadOrders(self.children, log)
        self._spawn = spawn
        self._requests = requests
        self._shutdown_timeout = shutdown_timeout
        self._heartbeat_timeout = heartbeat_timeout
        self._log = log
        self._tasks = PeriodicTasks(tasks, log)
        self._publish = publish
        self._reload = reload
        self._clock = clock
        self._jitter = jitter
        self._wait = wait
        self._started_at = clock()
        self._wake_planned_at = self._started_at
        self._stopping_since: float | None = None

    def run(self) -> ExitCode:
        """Keep everything running until it has stopped; return the exit code."""
        self._tasks.begin(self._clock())
        self._handle_requests()  # an earlier signal must prevent any start
        self._publish(self.snapshot())  # spawning takes a moment, and a client that connects now must get the names
        while not self.done:
            self.step()
        self._publish(self.snapshot())
        killed = any(child.killed for child in self.children.values())
        code = ExitCode.GAVE_UP if self.gave_up else ExitCode.KILLED if killed else ExitCode.OK
        self._log.info("stopped", exit_code=int(code), uptime_s=round(self._clock() - self._started_at, 1))
        return code

    @property
    def done(self) -> bool:
        """Whether a stop was requested and no process is left."""
        return self._stopping_since is not None and all(child.process is None for child in self.children.values())

    def step(self) -> None:
        """Do what is due, wait for the next event, and process it."""
        self._excuse_own_pause()
        self._do_due()
        self._publish(self.snapshot())
        if self.done:
            return
        now = self._clock()
        timeout = max(0.0, min([_MAX_WAIT_S, *(moment - now for moment in self._due_times())]))
        self._wake_planned_at = now + timeout
        self._wait(self._handles(), timeout)
        self._handle_requests()
        for child in list(self.children.values()):
            self._receive(child)

    def _excuse_own_pause(self) -> None:
        """Count no silence for the time in which this process itself did not run (for example a frozen container)."""
        now = self._clock()
        if now > self._wake_planned_at + _PAUSED_AFTER_S:
            for child in self.children.values():
                child.last_beat = now

    def snapshot(self) -> Snapshot:
        """Return the current state for publication."""
        children = self.children.values()
        return Snapshot(
            "RUNNING" if self._stopping_since is None else "STOPPING",
            self._started_at,
            tuple(child.row for child in children),
            tuple(child.last_beat for child in children),
        )

    def stop(self, reason: str) -> None:
        """Begin to stop everything; a second call changes nothing."""
        if self._stopping_since is None:
            self._stopping_since = self._clock()
            self._log.info("stopping", reason=reason, deadline_s=self._shutdown_timeout)
            for child in self.children.values():
                child.stop_with_all()

    def _handle_requests(self) -> None:
        for request in self._requests.collect():
            if isinstance(request, str):
                self.stop(request)
            elif self._stopping_since is None:  # nothing starts during a stop
                self._carry_out(request)

    def _carry_out(self, request: Restart | Reload) -> None:
        now = self._clock()
        if isinstance(request, Restart):
            self._reloads.restart(request.child, now, self._shutdown_timeout)
        elif (wanted := self._reload()) is not None:
            self._shutdown_timeout = wanted.shutdown_timeout
            self._heartbeat_timeout = wanted.heartbeat_timeout
            self._reloads.apply(wanted.specs, now, self._shutdown_timeout)

    # Due actions

    def _do_due(self) -> None:
        now = self._clock()
        if self._stopping_since is not None:
            self._stop_stage(now, self._stopping_since)
            return
        for child in self.children.values():
            if child.process is None and now >= self._start_at(child):
                self._start(child, now)
            if child.restart_state.state is State.STARTING and not child.not_ready_logged and child.process is not None:
                self._log_not_ready(child, now)
            child.check_heartbeat(now, self._heartbeat_timeout, self._log)
            child.escalate(now, self._log)  # does nothing unless the child is being replaced
        reason = self._tasks.do(now)
        if reason:
            self.stop(reason)

    def _start_at(self, child: Child) -> float:
        """Return when to start a child without a process: a time on the clock, or infinity for never."""
        match child.restart_state.state:
            case State.BACKOFF:
                return child.restart_state.restart_at
            case State.STARTING if self._dependencies_ready(child):
                return self._started_at
            case State.STARTING:
                return self._started_at + _DEPENDENCY_TIMEOUT_S
            case _:
                return float("inf")

    def _dependencies_ready(self, child: Child) -> bool:
        return all(self.children[name].restart_state.was_ready for name in child.spec.after if name in self.children)

    def _start(self, child: Child, now: float) -> None:
        child.restart_state = restart_policy.started(child.restart_state, now)
        child.started_at = child.last_beat = now
        child.not_ready_logged = False
        child.reset_stop()
        try:
            child.process = self._spawn(child.spec)
        except (OSError, RuntimeError) as error:  # no processes, descriptors or threads left
            self._log.error("child_not_spawned", child=child.spec.name, error=str(error))
            self._handle_exit(child, _SPAWN_FAILED)
            return
        self._log.info(
            "child_started", child=child.spec.name, child_pid=child.process.pid, restarts=child.restart_state.restarts
        )

    def _log_not_ready(self, child: Child, now: float) -> None:
        if now - child.restart_state.since >= _NOT_READY_AFTER_S:
            child.not_ready_logged = True
            self._log.warning(
                "child_not_ready", child=child.spec.name, waiting_s=round(now - child.restart_state.since, 1)
            )

    def _due_times(self) -> list[float]:
        """Return the times of the next due actions."""
        moments = [child.next_escalation() for child in self.children.values()]
        if self._stopping_since is not None:
            return moments
        moments.append(self._tasks.next_due())
        for child in self.children.values():
            if child.process is None:
                moments.append(self._start_at(child))
            elif child.restart_state.state is State.STARTING and not child.not_ready_logged:
                moments.append(child.restart_state.since + _NOT_READY_AFTER_S)
            moments.append(child.hung_at(self._heartbeat_timeout))
        return moments

    def _handles(self) -> list[Handle]:
        handles: list[Handle] = [self._requests.fileno()]
        for child in self.children.values():
            if child.process is not None:
                handles += child.process.handles()
        return handles

    # Incoming messages and exits

    def _receive(self, child: Child) -> None:
        if child.process is None:
            return
        code = child.process.exit_code()  # read first: messages sent before its death are in the queue by then
        for message in child.process.messages():
            self._handle_message(child, message)
        if code is not None:
            child.process.close()
            child.process = None
            self._handle_exit(child, code)

    def _handle_message(self, child: Child, message: Message) -> None:
        now = self._clock()
        child.last_beat = now
        match message:
            case ("ready",):
                child.restart_state = restart_policy.ready(child.restart_state, now)
                self._log.info("child_ready", child=child.spec.name)
            case ("news", _, _):
                self._forward(message)
            case ("fatal", str(reason), str(code)):
                child.fatal_reason, child.fatal_code = reason, code
            case ("beat", _):
                pass  # the beat itself is already recorded
            case _:
                self._log.warning("unknown_message", child=child.spec.name, message=repr(message))

    def _forward(self, message: Message) -> None:
        for listener in self.children.values():
            if listener.spec.listens and listener.process is not None:
                listener.process.send(message)

    def _handle_exit(self, child: Child, code: int) -> None:
        now = self._clock()
        if self._stopping_since is not None:
            child.restart_state = restart_policy.stop_requested(child.restart_state, now, alive=True)
        reason, fault = child.fatal_reason, child.fatal_code
        child.restart_state = restart_policy.exited(
            child.restart_state, code, now, self._jitter(), reason, fault=fault, hung=child.hung
        )
        child.fatal_reason = child.fatal_code = ""
        name, state = child.spec.name, child.restart_state
        if child.replacing:
            child.restart_state = restart_policy.restart_requested(state, now)
            self._log.info("child_replaced", child=name, exit=describe_exit(code))
            return
        child.log_exit(now, self._log)
        if child.removing:
            del self.children[name]
        elif state.state is State.FATAL:
            self._give_up_if_all_parked()

    def _give_up_if_all_parked(self) -> None:
        children = self.children.values()
        sources = [one for one in children if one.spec.stage is Stage.SOURCE and not one.spec.dependent]
        if all(child.restart_state.state is State.FATAL for child in sources):
            reasons = dict.fromkeys(child.restart_state.why for child in sources)
            parked = {
                why: ", ".join(one.spec.name for one in sources if one.restart_state.why == why) for why in reasons
            }
            self.gave_up = "; ".join(f"{names}: {why}" for why, names in parked.items())
            self.stop("every stream and scraper is parked")

    # Stopping

    def _stop_stage(self, now: float, since: float) -> None:
        """Ask the first stage that still has processes to stop; escalate for late children."""
        alive = [child for child in self.children.values() if child.process is not None]
        for child in self.children.values():
            if child.process is None:
                child.restart_state = restart_policy.stop_requested(child.restart_state, now, alive=False)
        first = min((child.spec.stage for child in alive), default=None)
        for child in alive:
            if child.spec.stage is first:
                if child.slot is None:
                    child.request_stop(now, since, self._shutdown_timeout)
                else:
                    child.escalate(now, self._log)
