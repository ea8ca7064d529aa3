"""What there is to know about a child before it is born."""

import enum
from dataclasses import dataclass
from typing import Any


class Stage(enum.IntEnum):
    """When a child is stopped: a stage begins when all before it are gone."""

    SOURCE = 0  #: takes things in
    SINK = 1  #: hands on what the sources left in their spools
    WATCH = 2  #: tells how it goes: the monitor, which sees the others out
    COMPANION = 3  #: what they talk to: the embedded broker, the simulator


@dataclass(frozen=True, slots=True)
class ChildSpec:
    """One child of the topology."""

    name: str
    entry: str  #: "package.module:function", called with a ChildContext and `arguments`
    #: its slice of the configuration (see core.config.slices); a reload that changes them replaces the child
    arguments: tuple[Any, ...]
    stage: Stage
    listens: bool = False  #: gets the news of the sources in its inbox
    after: tuple[str, ...] = ()  #: names of children that are ready before this one is started
