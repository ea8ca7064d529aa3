"""Carries out requests while the supervisor runs: replace one child, or apply a reloaded configuration to all."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import structlog

from supervisor.processes import restart_policy
from supervisor.processes.child_spec import ChildSpec
from supervisor.processes.managed_child import Child

_STOP_TIMEOUT_S = 10.0  # seconds that a child may take to stop when only it is replaced


@dataclass(frozen=True, slots=True)
class WantedChildren:
    """The children and timeouts that the configuration requests."""

    specs: Sequence[ChildSpec]
    shutdown_timeout: float
    heartbeat_timeout: float


@dataclass(frozen=True, slots=True)
class Change:
    """The difference between the current and the wanted children."""

    removed: tuple[str, ...] = ()
    added: tuple[ChildSpec, ...] = ()
    replaced: tuple[ChildSpec, ...] = ()

    def summary(self) -> dict[str, list[str]]:
        """Return the names of the affected children."""
        return {
            "removed": list(self.removed),
            "added": [spec.name for spec in self.added],
            "replaced": [spec.name for spec in self.replaced],
        }


def change(before: Mapping[str, ChildSpec], after: Sequence[ChildSpec]) -> Change:
    """Compare by name, then by each process's slice of the configuration."""
    names = {spec.name for spec in after}
    return Change(
        removed=tuple(name for name in before if name not in names),
        added=tuple(spec for spec in after if spec.name not in before),
        replaced=tuple(spec for spec in after if spec.name in before and before[spec.name].arguments != spec.arguments),
    )


class ReloadOrders:
    """Applies requests to the manager's table of children."""

    def __init__(self, children: dict[str, Child], log: structlog.stdlib.BoundLogger) -> None:
        self._children = children
        self._log = log

    def restart(self, name: str, now: float, timeout: float) -> None:
        """Replace a child by a new process, or wake one that is parked or waits."""
        child = self._children.get(name)
        if child is None or child.replacing or child.removing:
            return
        self._log.info("restart_asked", child=name, state=child.restart_state.state)
        if child.process is None:
            child.restart_state = restart_policy.restart_requested(child.restart_state, now)
        else:
            child.replacing = True
            child.request_stop(now, now, min(_STOP_TIMEOUT_S, timeout))

    def apply(self, specs: Sequence[ChildSpec], now: float, timeout: float) -> None:
        """Stop unwanted children, replace those that a change affects, add new ones."""
        kept = {name: child for name, child in self._children.items() if not child.removing}
        difference = change({name: child.spec for name, child in kept.items()}, specs)
        self._log.info("reloaded", **difference.summary())
        for spec in specs:
            if spec.name in kept:
                kept[spec.name].spec = spec  # the next process uses it, whenever it starts
        for name in difference.removed:
            self._remove(kept[name], now, timeout)
        for spec in difference.replaced:
            self.restart(spec.name, now, timeout)
        for spec in difference.added:
            self._add(spec, now)

    def _remove(self, child: Child, now: float, timeout: float) -> None:
        child.removing = True
        if child.process is None:
            del self._children[child.spec.name]
        else:
            child.replacing = False
            child.request_stop(now, now, min(_STOP_TIMEOUT_S, timeout))

    def _add(self, spec: ChildSpec, now: float) -> None:
        ending = self._children.get(spec.name)
        if ending is None:
            self._children[spec.name] = Child(spec, restart_policy.RestartState(since=now))
        else:  # requested again before it has ended
            ending.spec, ending.removing, ending.replacing = spec, False, True
