"""Computes which children a reloaded configuration removes, adds or replaces. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from supervisor.processes.child_spec import ChildSpec


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
