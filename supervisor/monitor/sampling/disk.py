"""Free space on the disks that Gapless writes to."""

import os
from dataclasses import dataclass
from pathlib import Path

from core.config.slices import MonitorConfig

_MIB = 2**20

#: A disk is nearly full below this share, or below the floor; above the ceiling it never is.
_SHARE = 0.05
_FLOOR = 64 * _MIB
_PLENTY = 2048 * _MIB


@dataclass(frozen=True, slots=True)
class Disk:
    """Free space of one of our directories."""

    what: str  #: "state", "logs", "database"
    path: str
    free: int  #: bytes available to us
    size: int

    @property
    def nearly_full(self) -> bool:
        """Whether a person should act before writes fail."""
        return self.free < _FLOOR or (self.free < _SHARE * self.size and self.free < _PLENTY)


def directories(config: MonitorConfig) -> dict[str, Path]:
    """Return the directories that grow."""
    found = {"state": config.state_dir, "logs": config.logging.log_dir}
    database = config.database_path
    if database is not None:
        found["database"] = database.parent
    return found


def sample_disks(config: MonitorConfig) -> tuple[Disk, ...]:
    """Measure each directory; a missing one is skipped. Raises OSError when the disk does not answer."""
    disks = []
    for what, path in directories(config).items():
        try:
            answer = os.statvfs(path)
        except FileNotFoundError:
            continue  # not created yet: there is nothing to measure
        disks.append(Disk(what, str(path), answer.f_bavail * answer.f_frsize, answer.f_blocks * answer.f_frsize))
    return tuple(disks)
