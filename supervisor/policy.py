"""What becomes of a child: a pure function of its state, the time and what happened to it.

The words are supervisord's. STARTING: spawned (or about to be), not ready yet. RUNNING: it said so itself. BACKOFF: it
died and waits for its restart. STOPPING: asked to stop. EXITED: stopped as asked. FATAL: parked until a person acts.
"""

import enum
import signal
from dataclasses import dataclass, replace

from core.errors import PERMANENT_EXIT

FIRST_DELAY = 0.25
LONGEST_DELAY = 8.0
STABLE_AFTER = 30.0  # ready for so long: what went wrong before is forgotten
MOST_FAILURES = 10  # in a row, by a child that was never ready

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
class Life:
    """What is known of one child over all its incarnations."""

    state: State = State.STARTING
    since: float = 0.0  #: when it came into this state
    failures: int = 0  #: deaths since it was last stable: they stretch the backoff
    never_ready: int = 0  #: failed starts while it has never been ready at all
    was_ready: bool = False
    restart_at: float = 0.0  #: in BACKOFF: when it is due
    restarts: int = 0
    last_exit: int | None = None
    why: str = ""  #: in FATAL: the reason


def started(life: Life, now: float) -> Life:
    """Give the life after a spawn."""
    restarts = life.restarts + (life.state is State.BACKOFF)
    return replace(life, state=State.STARTING, since=now, restarts=restarts)


def ready(life: Life, now: float) -> Life:
    """Give the life after the child said that it works. Said while stopping, it changes nothing."""
    if life.state is not State.STARTING:
        return life
    return replace(life, state=State.RUNNING, since=now, was_ready=True, never_ready=0)


def asked_to_stop(life: Life, now: float, alive: bool) -> Life:
    """Give the life after stop was asked: a child without a process has nothing left to do."""
    if life.state in {State.EXITED, State.FATAL}:
        return life
    return replace(life, state=State.STOPPING if alive else State.EXITED, since=now)


def woken(life: Life, now: float) -> Life:
    """Give the life after a person asked for a child without a process: due at once, old faults forgiven."""
    return replace(life, state=State.BACKOFF, since=now, restart_at=now, failures=0, never_ready=0, why="")


def exited(life: Life, code: int, now: float, draw: float, reason: str = "") -> Life:
    """Give the life after the child's process ended with `code`; `draw` (0 to 1) is the jitter of its backoff.

    `reason`: what the child itself said of why no restart can help.
    """
    life = replace(life, last_exit=code)
    if life.state is State.STOPPING:
        return replace(life, state=State.EXITED, since=now)
    if code == PERMANENT_EXIT:
        return replace(life, state=State.FATAL, since=now, why=reason or "it says that no restart can help")
    stable = life.state is State.RUNNING and now - life.since >= STABLE_AFTER
    failures = 1 if stable else life.failures + 1
    # Killed from outside is no fault of its own; a child that has worked once may work again.
    blamed = not life.was_ready and code != _KILLED
    never_ready = life.never_ready + blamed
    life = replace(life, since=now, failures=failures, never_ready=never_ready)
    if never_ready >= MOST_FAILURES:
        return replace(life, state=State.FATAL, why=f"it failed {never_ready} times and was never ready")
    return replace(life, state=State.BACKOFF, restart_at=now + backoff(failures, draw))


def backoff(failures: int, draw: float) -> float:
    """Give the seconds to wait after the n-th failure in a row: between half and all of 0.25, 0.5, 1, … 8 s."""
    longest = min(LONGEST_DELAY, FIRST_DELAY * 2.0 ** min(failures - 1, 16))
    return longest * (0.5 + 0.5 * draw)


def describe_exit(code: int) -> str:
    """Put an exit code into words: `code 1`, `SIGKILL`."""
    if code >= 0:
        return f"code {code}"
    try:
        return signal.Signals(-code).name
    except ValueError:
        return f"signal {-code}"
