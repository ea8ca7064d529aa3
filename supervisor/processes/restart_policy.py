"""The restart policy: a pure function of a child's state, the time and the event.

The words are supervisord's. STARTING: spawned (or about to be), not ready yet. RUNNING: it reported ready. BACKOFF: it
died and waits for its restart. STOPPING: asked to stop. EXITED: stopped as asked. FATAL: parked until a person acts.
"""

import enum
import signal
from dataclasses import dataclass, replace

from core.errors import PERMANENT_EXIT, FaultCode

FIRST_DELAY = 0.25
LONGEST_DELAY = 30.0
LONGEST_AFTER_KILL = 8.0  # seconds: a child killed from outside will work again
STABLE_AFTER = 30.0  # seconds ready after which earlier failures are forgotten
MOST_FAILURES = 10  # within WINDOW; at this number the child is parked
WINDOW = 600.0  # seconds over which failures are counted

_KILLED = -signal.SIGKILL


class State(enum.StrEnum):
    """The states of a child."""

    STARTING = "STARTING"
    RUNNING = "RUNNING"
    BACKOFF = "BACKOFF"
    STOPPING = "STOPPING"
    EXITED = "EXITED"
    FATAL = "FATAL"


@dataclass(frozen=True, slots=True)
class RestartState:
    """The restart state of one child over all its incarnations."""

    state: State = State.STARTING
    since: float = 0.0  #: when it entered this state
    deaths: tuple[float, ...] = ()  #: deaths within the window since it was last stable: they lengthen the backoff
    failures: tuple[float, ...] = ()  #: deaths that were its own fault: too many of them park it
    was_ready: bool = False
    restart_at: float = 0.0  #: in BACKOFF: when the restart is due
    restarts: int = 0
    last_exit: int | None = None
    why: str = ""  #: in FATAL: the reason
    code: str = ""  #: the reason as a FaultCode


def started(current: RestartState, now: float) -> RestartState:
    """Return the state after a spawn."""
    restarts = current.restarts + (current.state is State.BACKOFF)
    return replace(current, state=State.STARTING, since=now, restarts=restarts)


def ready(current: RestartState, now: float) -> RestartState:
    """Return the state after the child reported ready. During a stop the report changes nothing."""
    if current.state is not State.STARTING:
        return current
    return replace(current, state=State.RUNNING, since=now, was_ready=True)


def stop_requested(current: RestartState, now: float, alive: bool) -> RestartState:
    """Return the state after a stop was requested: a child without a process is already stopped."""
    if current.state in {State.EXITED, State.FATAL}:
        return current
    return replace(current, state=State.STOPPING if alive else State.EXITED, since=now)


def restart_requested(current: RestartState, now: float) -> RestartState:
    """Return the state after a person requested a child that has no process: due at once, old faults forgiven."""
    return replace(current, state=State.BACKOFF, since=now, restart_at=now, deaths=(), failures=(), why="", code="")


def exited(
    current: RestartState,
    code: int,
    now: float,
    jitter: float,
    reason: str = "",
    *,
    fault: str = "",
    hung: bool = False,
) -> RestartState:
    """Return the state after the process ended with `code`; `jitter` (0 to 1) is the jitter of its backoff.

    `reason`: the child's own reason why no restart can help.
    `fault`: the reason as a FaultCode. `hung`: we killed it because it was silent.
    """
    current = replace(current, last_exit=code)
    if current.state is State.STOPPING:
        return replace(current, state=State.EXITED, since=now)
    if code == PERMANENT_EXIT:
        why = reason or "it reported a permanent error"
        return replace(current, state=State.FATAL, since=now, why=why, code=fault or FaultCode.OTHER.value)
    stable = current.state is State.RUNNING and now - current.since >= STABLE_AFTER
    deaths = (*_within_window(() if stable else current.deaths, now), now)
    # a kill from outside is not the child's own fault
    own = (now,) if hung or code != _KILLED else ()
    failures = (*_within_window(() if stable else current.failures, now), *own)
    current = replace(current, since=now, deaths=deaths, failures=failures)
    if len(failures) >= MOST_FAILURES:
        why = f"it failed {len(failures)} times within {now - failures[0]:.0f} s"
        why = why if current.was_ready else f"{why}, and was never ready"
        return replace(current, state=State.FATAL, why=why, code=FaultCode.TOO_MANY_FAILURES.value)
    delay = backoff(len(deaths), jitter, LONGEST_DELAY if own else LONGEST_AFTER_KILL)
    return replace(current, state=State.BACKOFF, restart_at=now + delay)


def _within_window(moments: tuple[float, ...], now: float) -> tuple[float, ...]:
    return tuple(moment for moment in moments if now - moment < WINDOW)


def backoff(failures: int, jitter: float, longest: float = LONGEST_DELAY) -> float:
    """Return the seconds to wait after the n-th failure in a row: half to all of 0.25, 0.5, 1, … `longest` s."""
    return min(longest, FIRST_DELAY * 2.0 ** min(failures - 1, 16)) * (0.5 + 0.5 * jitter)


def describe_exit(code: int) -> str:
    """Describe an exit code: `code 1`, `SIGKILL`."""
    if code >= 0:
        return f"code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
