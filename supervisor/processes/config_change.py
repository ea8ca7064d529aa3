"""What a configuration that was read again changes: which children go, come, or are replaced. Pure."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from supervisor.processes.child_spec import ChildSpec


@dataclass(frozen=True, slots=True)
class WantedChildren:
    """What the configuration asks for."""

    specs: Sequence[ChildSpec]
    shutdown_timeout: float
    heartbeat_timeout: float


@dataclass(frozen=True, slots=True)
class Change:
    """The difference between the children there are and those there are to be."""

    removed: tuple[str, ...] = ()
    added: tuple[ChildSpec, ...] = ()
    replaced: tuple[ChildSpec, ...] = ()

    def summary(self) -> dict[str, list[str]]:
        """Name whom it concerns."""
        return {
            "removed": list(self.removed),
            "added": [spec.name for spec in self.added],
            "replaced": [spec.name for spec in self.replaced],
        }


def change(before: Mapping[str, ChildSpec], after: Sequence[ChildSpec]) -> Change:
    """Compare by name, then by the slices of the configuration that the processes get."""
    names = {spec.name for spec in after}
    return Change(
        removed=tuple(name for name in before if name not in names),
        added=tuple(spec for spec in after if spec.name not in before),
        replaced=tuple(spec for spec in after if spec.name in before and before[spec.name].arguments != spec.arguments),
    )
