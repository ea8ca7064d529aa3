"""Make `state_dir` and `log_dir` private: only our user may read, write or lock files in them.

The umask protects new files. This module corrects existing ones. It changes nothing in a directory that is not ours
alone: a shared one, or one with files of another user.
"""

import contextlib
import os
import pwd
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from core.periodic import PeriodicTask
from core.storage.private_files import DIRECTORY_MODE, OTHERS, open_private

#: System directories: their permissions are not ours to change.
_SYSTEM = frozenset(
    Path("/", *name.split("/"))
    for name in (
        *("", "bin", "boot", "dev", "dev/shm", "etc", "home", "lib", "media", "mnt", "opt", "proc", "run", "sbin"),
        *("srv", "sys", "tmp", "usr", "usr/local", "var", "var/lib", "var/log", "var/run", "var/tmp"),
    )
)

_DATABASE = (".db", ".db-wal", ".db-shm")
_LOCK = ".lock"
_OURS = "supervisor.lock"  # already held by this process
_MAX_NAMED = 5
_CHECK_INTERVAL_S = 5.0
_ROOT = 0


@dataclass(slots=True)
class DirectoryCheck:
    """The result of the check of one directory.

    Attributes:
        open_to_others: files and directories that others may use, with their mode.
        unchangeable: those of them that belong to root, while we are another user.
        problems: what only a person can correct, one line each.
        loose: a directory above it in which others may rename our directory.
    """

    directory: Path
    open_to_others: dict[Path, int] = field(default_factory=dict)
    unchangeable: list[Path] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    loose: Path | None = None

    def log(self, log: structlog.stdlib.BoundLogger) -> None:
        """Log what was corrected, and what could not be."""
        if self.open_to_others:
            named = [f"{path} {mode:04o}" for path, mode in list(self.open_to_others.items())[:_MAX_NAMED]]
            hint = "other users could read or change them; now only this user can"
            count = len(self.open_to_others)
            log.warning("permissions_corrected", path=str(self.directory), count=count, examples=named, hint=hint)
        if self.unchangeable:
            named = [str(path) for path in self.unchangeable[:_MAX_NAMED]]
            hint = "they belong to root: change their owner to this user, or deny other users access to the directory"
            count = len(self.unchangeable)
            log.warning("permissions_not_corrected", path=str(self.directory), count=count, examples=named, hint=hint)
        if self.loose is not None:
            hint = f"other users can write to {self.loose}, and so replace this directory; remove that permission"
            log.warning("directory_above_open", path=str(self.directory), hint=hint)


def examine(directory: Path) -> DirectoryCheck:
    """Check the directory and its whole content without changes. Raises OSError."""
    found = DirectoryCheck(directory)
    place = directory.resolve()
    status = place.stat()
    if place in _SYSTEM:
        found.problems.append(f"{place} is a shared system directory: set a directory that only Gapless uses")
        return found
    found.loose = next((above for above in place.parents if _is_loose(above.stat().st_mode)), None)
    _classify(found, directory, status)
    if not found.problems:
        for path, inner in _walk(place, status.st_dev):
            _classify(found, path, inner)
    return found


def make_private(directory: Path) -> DirectoryCheck:
    """Remove the permissions of others, from the directory down; return the findings. Raises OSError."""
    found = examine(directory)
    if found.problems:
        return found
    for path, mode in list(found.open_to_others.items()):
        if not _correct(path, mode, renew=path.suffix == _LOCK and path.name != _OURS):
            del found.open_to_others[path]
            found.unchangeable.append(path)
    return found


def keep_closed(directory: Path) -> int | None:
    """Make the directory private again if it was opened; return its former mode, None if nothing was changed.

    Costs one stat. Raises OSError.
    """
    mode = stat.S_IMODE(directory.stat().st_mode)
    return mode if mode & OTHERS and _correct(directory, mode) else None


def privacy_task(directories: Iterable[Path], log: structlog.stdlib.BoundLogger) -> PeriodicTask:
    """Build the periodic task that keeps the directories private, which protects their content too."""
    places = tuple(dict.fromkeys(directories))

    def keep() -> None:
        for directory in places:
            with contextlib.suppress(OSError):  # the directory is missing: the processes that need it report that
                mode = keep_closed(directory)
                if mode is not None:
                    path = str(directory)
                    log.warning("permissions_corrected", path=path, count=1, examples=[f"{path} {mode:04o}"])

    return PeriodicTask(_CHECK_INTERVAL_S, keep)


def _is_loose(mode: int) -> bool:
    """Return whether others may rename entries of the directory; with the sticky bit (/tmp) only the owners may."""
    return bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX


def _walk(directory: Path, device: int) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield the content of the directory, each directory before its content; do not enter other disks or links."""
    with os.scandir(directory) as entries:
        paths = [Path(entry.path) for entry in entries]
    for path in paths:
        try:
            status = path.lstat()
        except FileNotFoundError:
            continue  # its process removed it
        yield path, status
        if stat.S_ISDIR(status.st_mode) and status.st_dev == device and status.st_uid in {os.geteuid(), _ROOT}:
            try:
                yield from _walk(path, device)
            except PermissionError:
                continue  # belongs to root


def _classify(found: DirectoryCheck, path: Path, status: os.stat_result) -> None:
    mode = stat.S_IMODE(status.st_mode)
    if status.st_uid not in {os.geteuid(), _ROOT}:
        owner, ours = _user(status.st_uid), _user(os.geteuid())
        found.problems.append(f"{path} belongs to {owner}, but Gapless runs as {ours}: change its owner, or remove it")
    elif stat.S_ISLNK(status.st_mode):
        # other links are removed when a file is made in their place; these may be intended
        if path.name.endswith(_DATABASE) or path.is_dir():
            found.problems.append(f"{path} is a symbolic link, which Gapless does not follow: move its target here")
    elif not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode) or stat.S_ISSOCK(status.st_mode)):
        found.problems.append(f"{path} is a pipe or a device: remove it")
    elif mode & OTHERS:
        found.open_to_others[path] = mode


def _correct(path: Path, mode: int, *, renew: bool = False) -> bool:
    """Remove the permissions of others. `renew`: replace the file by a copy, since others may hold it open."""
    wanted = mode & ~OTHERS
    try:
        if path.is_dir():
            wanted |= DIRECTORY_MODE
        elif renew:
            _renew(path)
            return True
        path.chmod(wanted)
    except FileNotFoundError:
        return True  # its process removed it
    except PermissionError:
        return False
    return True


def _renew(path: Path) -> None:
    """Replace a lock file by a copy: another user's lock on the former file then blocks nobody."""
    fresh = path.with_name(f"{path.name}.new")
    fresh.unlink(missing_ok=True)
    with os.fdopen(open_private(fresh, os.O_WRONLY | os.O_CREAT | os.O_EXCL), "wb") as file:
        file.write(path.read_bytes())
    fresh.replace(path)


def _user(number: int) -> str:
    try:
        return f"user {pwd.getpwuid(number).pw_name} (id {number})"
    except KeyError:
        return f"user id {number}"
