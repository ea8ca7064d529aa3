"""Single children for tests, spawned as the supervisor spawns them."""

from pathlib import Path
from typing import Any

from core.config.slices import LogConfig
from supervisor.processes.child_spec import ChildSpec, Stage
from supervisor.processes.spawned_process import SpawnedProcess
from tests.support.waiting import PATIENCE, wait_until


class Nursery:
    """Spawns children for tests and ends them all."""

    def __init__(self, log_dir: Path) -> None:
        self.log_dir = log_dir
        self.logging = LogConfig(log_dir, max_bytes=10_000_000, backups=5)
        self.born: list[SpawnedProcess] = []

    def spawn(self, entry: str, *arguments: Any, listens: bool = False) -> SpawnedProcess:
        return self.spawn_of(f"tests.core.entries:{entry}", *arguments, listens=listens)

    def spawn_of(self, entry: str, *arguments: Any, listens: bool = False) -> SpawnedProcess:
        spec = ChildSpec("comments", entry, arguments, Stage.SOURCE, listens=listens)
        self.born.append(SpawnedProcess(spec, self.logging))
        return self.born[-1]

    def ready(self, entry: str, *arguments: Any, listens: bool = False) -> SpawnedProcess:
        child = self.spawn(entry, *arguments, listens=listens)
        wait_until(lambda: ("ready",) in child.messages(), what=f"{entry} to be ready")
        return child

    def log(self) -> str:
        path = self.log_dir / "comments.log"
        return path.read_text() if path.exists() else ""

    def clear(self) -> None:
        """Leave no process behind."""
        for child in self.born:
            if child.exit_code() is None:
                child.kill()
            ended(child)
            child.close()


def ended(child: SpawnedProcess, timeout: float = PATIENCE) -> int:
    wait_until(lambda: child.exit_code() is not None, timeout, "the child to end")
    code = child.exit_code()
    assert code is not None
    return code
