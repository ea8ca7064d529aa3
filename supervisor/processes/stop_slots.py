"""Divides the time between the first signal and the end of the last process."""

from dataclasses import dataclass

from supervisor.processes.child_spec import Stage


@dataclass(frozen=True, slots=True)
class Slot:
    """A stage's part of the stop, as moments on the clock that `started` was read from."""

    done_by: float  #: what the children are told
    terminate_at: float  #: SIGTERM to those who are late
    kill_at: float  #: SIGKILL to those who are still there


#: Until which part of the whole a stage may last if it must. Sources only put down what they hold; the publisher gets
#: all they leave; the monitor and the companions have nothing to save.
_SHARE = {Stage.SOURCE: 0.5, Stage.SINK: 0.92, Stage.WATCH: 0.95, Stage.COMPANION: 0.98}

_NOTICE = 0.03  # of the whole: between being told to be done, SIGTERM and SIGKILL
_LONGEST_NOTICE = 0.75


def slot(stage: Stage, started: float, timeout: float) -> Slot:
    """Give the stage's slot in a stop that started at `started` and must be over `timeout` seconds later."""
    notice = min(_LONGEST_NOTICE, _NOTICE * timeout)
    kill_at = started + _SHARE[stage] * timeout
    return Slot(done_by=kill_at - 2 * notice, terminate_at=kill_at - notice, kill_at=kill_at)
