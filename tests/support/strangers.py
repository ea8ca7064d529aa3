"""Other processes of this machine: one that holds a lock, and one that belongs to another user."""

import contextlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

import pytest

NOBODY = 65534

needs_root = pytest.mark.skipif(
    os.geteuid() != 0 or shutil.which("setpriv") is None, reason="only root can act as another user (with setpriv)"
)
needs_flock = pytest.mark.skipif(shutil.which("flock") is None, reason="flock (util-linux) is not installed")


def as_nobody(command: Sequence[str]) -> list[str]:
    return ["setpriv", f"--reuid={NOBODY}", f"--regid={NOBODY}", "--clear-groups", "--", *command]


def nobody_can(command: Sequence[str], path: Path) -> bool:
    """Return whether another user succeeds with this command on the path."""
    run = subprocess.run(as_nobody([*command, str(path)]), capture_output=True, timeout=10, check=False)
    return run.returncode == 0


@contextlib.contextmanager
def lock_held(path: Path, *, by_nobody: bool = False) -> Iterator[int]:
    """Hold a lock on the file or directory in another process; yields its pid."""
    command = ["flock", "--no-fork", str(path), "sh", "-c", "echo held; exec sleep 60"]
    process = subprocess.Popen(as_nobody(command) if by_nobody else command, stdout=subprocess.PIPE)
    try:
        assert process.stdout is not None
        assert process.stdout.readline() == b"held\n", "the lock was not to be had"
        yield process.pid
    finally:
        process.kill()
        process.communicate()


@contextlib.contextmanager
def public_directory() -> Iterator[Path]:
    """Yield a directory that other users may enter: those of pytest are closed to them."""
    directory = Path(tempfile.mkdtemp(prefix="gapless-public-"))
    directory.chmod(0o755)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def umask(mask: int) -> Iterator[None]:
    former = os.umask(mask)
    try:
        yield
    finally:
        os.umask(former)


def open_to_others(directory: Path) -> list[str]:
    """List the directory and everything in it that other users may use."""
    paths = [directory, *directory.rglob("*")]
    return [f"{path} {path.lstat().st_mode:o}" for path in paths if path.lstat().st_mode & 0o077]
