"""A memory limit as in a container, if this machine permits one."""

import contextlib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

_FIRST = Path("/sys/fs/cgroup/memory")
_SECOND = Path("/sys/fs/cgroup")


@dataclass(frozen=True)
class Cgroup:
    """A control group with a limit; it applies to a process that writes its pid into `procs`, and to its children."""

    path: Path
    limit: str  #: file of the limit
    events: str  #: file that counts the killed processes

    @property
    def procs(self) -> Path:
        return self.path / "cgroup.procs"

    def command(self, command: list[str]) -> list[str]:
        """The command that joins, and becomes `command`."""
        return ["sh", "-c", 'echo $$ > "$0" && exec "$@"', str(self.procs), *command]

    @property
    def killed(self) -> int:
        lines = dict(line.split() for line in (self.path / self.events).read_text().splitlines())
        return int(lines["oom_kill"])


@contextlib.contextmanager
def limited_to(mib: int) -> Iterator[Cgroup | None]:
    """Create one while the block runs; yield None if it is not permitted, as in most containers."""
    name = f"gapless-test-{os.getpid()}"
    candidates = (
        Cgroup(_FIRST / name, "memory.limit_in_bytes", "memory.oom_control"),
        Cgroup(_SECOND / name, "memory.max", "memory.events"),
    )
    for group in candidates:
        try:
            group.path.mkdir()
        except OSError:
            continue  # this version is not mounted, or not writable here
        try:
            (group.path / group.limit).write_text(str(mib * 2**20))
        except OSError:  # version 2 without the memory controller for children
            group.path.rmdir()
            continue
        try:
            yield group
        finally:
            group.path.rmdir()
        return
    yield None
