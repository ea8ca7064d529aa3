"""The specification of a child process."""

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
    after: tuple[str, ...] = ()  #: names of children that must be ready before this one starts
