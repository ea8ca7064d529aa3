"""A clock, requests and processes that follow a table of events; they drive the manager in tests."""

from collections.abc import Iterable
from dataclasses import dataclass, field

import structlog

from core.child import Message
from core.periodic import PeriodicTask
from supervisor.processes.child_spec import ChildSpec, Stage
from supervisor.processes.control_inbox import Reload, Request, Restart
from supervisor.processes.manager import Manager
from supervisor.processes.reload import WantedChildren
from supervisor.processes.spawned_process import Handle

#: moment, what happens, to whom: "says" (a message), "ends" (an exit code), "rings" (a reason to stop), "asks" (for its
#: restart), "reloads" (what is wanted from now on; None: the file is wrong)
Event = tuple[float, str, str, object]


class ScriptedProcess:
    """Records its messages; ends when the script says so, or on request."""

    def __init__(self, world: "World", name: str, pid: int) -> None:
        self.world = world
        self.name = name
        self.pid = pid
        self.inbox: list[Message] = []
        self.unread: list[Message] = []
        self.code: int | None = None

    def handles(self) -> list[Handle]:
        return []

    def messages(self) -> list[Message]:
        messages, self.unread = self.unread, []
        return messages

    def exit_code(self) -> int | None:
        return self.code

    def send(self, message: Message) -> None:
        self.inbox.append(message)

    def request_stop(self, deadline: float) -> None:
        self.world.did("stop", self.name)
        self.world.deadlines[self.name] = deadline
        takes = self.world.stop_takes.get(self.name, 0.0)
        if takes is not None:
            self.world.at(takes, "ends", self.name, 0)

    def terminate(self) -> None:
        self.world.did("terminate", self.name)

    def abort(self) -> None:
        self.world.did("abort", self.name)
        if self.world.obeys_abort:
            self.world.at(0.0, "ends", self.name, -6)

    def kill(self) -> None:
        self.world.did("kill", self.name)
        self.world.at(0.0, "ends", self.name, -9)

    def close(self) -> None:
        self.world.alive.pop(self.name)


@dataclass
class World:
    """The clock, and the events that happen as it advances."""

    script: list[Event] = field(default_factory=list)
    stop_takes: dict[str, float | None] = field(default_factory=dict)  # None: does not stop by itself
    now: float = 0.0
    diary: list[tuple[float, str, str]] = field(default_factory=list)
    alive: dict[str, ScriptedProcess] = field(default_factory=dict)
    deadlines: dict[str, float] = field(default_factory=dict)
    rung: list[Request] = field(default_factory=list)
    wanted: WantedChildren | None = None
    unspawnable: int = 0
    obeys_abort: bool = True
    pids: int = 100

    def clock(self) -> float:
        return self.now

    def at(self, delay: float, what: str, name: str, value: object = None) -> None:
        self.script.append((self.now + delay, what, name, value))

    def did(self, what: str, name: str) -> None:
        self.diary.append((round(self.now, 3), what, name))

    def spawn(self, spec: ChildSpec) -> ScriptedProcess:
        if self.unspawnable:
            self.unspawnable -= 1
            raise OSError("no more processes")
        self.pids += 1
        process = ScriptedProcess(self, spec.name, self.pids)
        assert spec.name not in self.alive, f"a second {spec.name} beside the first"
        self.alive[spec.name] = process
        self.did("start", spec.name)
        return process

    def wait(self, _handles: list[Handle], timeout: float) -> None:
        """Move to the next event, or to the end of the wait; apply the due events."""
        end = self.now + timeout
        upcoming = min((event[0] for event in self.script), default=end)
        self.now = max(self.now, min(upcoming, end))
        due = [event for event in self.script if event[0] <= self.now]
        self.script = [event for event in self.script if event[0] > self.now]
        for _, what, name, value in due:
            if what == "rings":
                self.rung.append(name)
                continue
            if what == "reloads":
                self.wanted = value  # type: ignore[assignment]
                self.rung.append(Reload())
                continue
            if what == "asks":
                self.rung.append(Restart(name))
                continue
            process = self.alive.get(name)
            if process is None:
                continue
            if what == "says":
                process.unread.append(value)  # type: ignore[arg-type]
            else:
                process.code = value  # type: ignore[assignment]

    def fileno(self) -> int:
        return -1

    def collect(self) -> list[Request]:
        rung, self.rung = self.rung, []
        return rung

    def manager(
        self,
        specs: Iterable[ChildSpec],
        shutdown_timeout: float = 10.0,
        *tasks: PeriodicTask,
        heartbeat_timeout: float = float("inf"),
    ) -> Manager:
        return Manager(
            list(specs),
            self.spawn,
            self,
            shutdown_timeout=shutdown_timeout,
            heartbeat_timeout=heartbeat_timeout,
            log=structlog.stdlib.get_logger("test"),
            tasks=tasks,
            reload=lambda: self.wanted,
            clock=self.clock,
            jitter=lambda: 1.0,
            wait=self.wait,
        )


def source(name: str, arguments: tuple[object, ...] = (), **more: object) -> ChildSpec:
    return ChildSpec(name, "nowhere:run", arguments, Stage.SOURCE, **more)  # type: ignore[arg-type]


def sink(name: str = "publisher", **more: object) -> ChildSpec:
    return ChildSpec(name, "nowhere:run", (), Stage.SINK, listens=True, **more)  # type: ignore[arg-type]


def companion(name: str = "broker") -> ChildSpec:
    return ChildSpec(name, "nowhere:run", (), Stage.COMPANION)
