"""The specification of a child process, and the deadlines of its stage when everything stops."""

import enum
from dataclasses import dataclass
from typing import Any


class Stage(enum.IntEnum):
    """The order in which children stop: a stage begins when all earlier stages are gone."""

    SOURCE = 0  #: reads from Reddit
    SINK = 1  #: sends on what the sources left in their spools
    WATCH = 2  #: reports on the system: the monitor, which outlasts the other two
    COMPANION = 3  #: what they connect to: the embedded broker, the simulator


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """One child of the topology."""

    name: str
    entry: str  #: "package.module:function", called with a ChildContext and `arguments`
    #: its slice of the configuration (see core.config.slices); a reload that changes it replaces the child
    arguments: tuple[Any, ...]
    stage: Stage
    listens: bool = False  #: receives the news of the sources in its inbox
    compact: bool = False  #: its allocator is told to return memory (see core.process.memory_tuning)
    dependent: bool = False  #: has no work of its own once every other source is parked
    after: tuple[str, ...] = ()  #: names of children that must be ready before this one starts


@dataclass(frozen=True, slots=True)
class Slot:
    """A stage's part of the stop, as times on the clock of `started`."""

    done_by: float  #: the deadline given to the children
    terminate_at: float  #: SIGTERM to late children
    kill_at: float  #: SIGKILL to children still running


#: The latest end of each stage, as a share of the whole. Sources only write down what they hold; the publisher sends
#: all they leave; the monitor and the external programs have nothing to save.
_SHARE = {Stage.SOURCE: 0.5, Stage.SINK: 0.92, Stage.WATCH: 0.95, Stage.COMPANION: 0.98}

_NOTICE = 0.03  # share of the whole: between the stop request's deadline and SIGTERM, and between SIGTERM and SIGKILL
_MAX_NOTICE_S = 0.75


def slot(stage: Stage, started: float, timeout: float) -> Slot:
    """Return the stage's slot in a stop that started at `started` and must be over `timeout` seconds later."""
    notice = min(_MAX_NOTICE_S, _NOTICE * timeout)
    kill_at = started + _SHARE[stage] * timeout
    return Slot(done_by=kill_at - 2 * notice, terminate_at=kill_at - notice, kill_at=kill_at)
