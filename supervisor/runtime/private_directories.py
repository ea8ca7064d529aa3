"""Make `state_dir` and `log_dir` private: only our user may read, write or lock what is in them.

The umask protects what is made from now on. This corrects what was there before. Nothing is changed in a directory that
is not for us alone: one that everybody shares, or one with files of another user.
"""

import contextlib
import os
import pwd
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

import structlog

from core.storage.private_files import DIRECTORY_MODE, OTHERS, open_private
from supervisor.processes.periodic_tasks import PeriodicTask

#: Directories of the system: their rights are not ours to change.
_SYSTEM = frozenset(
    Path("/", *name.split("/"))
    for name in (
        *("", "bin", "boot", "dev", "dev/shm", "etc", "home", "lib", "media", "mnt", "opt", "proc", "run", "sbin"),
        *("srv", "sys", "tmp", "usr", "usr/local", "var", "var/lib", "var/log", "var/run", "var/tmp"),
    )
)

_DATABASE = (".db", ".db-wal", ".db-shm")
_LOCK = ".lock"
_OURS = "supervisor.lock"  # held by this process already
_MOST_NAMED = 5
_LOOK_EVERY_S = 5.0
_ROOT = 0


@dataclass(slots=True)
class DirectoryCheck:
    """What was found in a directory.

    Attributes:
        open_to_others: files and directories that others may use, with their mode.
        unchangeable: those of them that belong to root, while we do not.
        problems: what only a person can correct, a line each.
        loose: a directory above it in which others may rename what is ours.
    """

    directory: Path
    open_to_others: dict[Path, int] = field(default_factory=dict)
    unchangeable: list[Path] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    loose: Path | None = None

    def log(self, log: structlog.stdlib.BoundLogger) -> None:
        """Log what was corrected, and what could not be."""
        if self.open_to_others:
            named = [f"{path} {mode:04o}" for path, mode in list(self.open_to_others.items())[:_MOST_NAMED]]
            hint = "others could read or change them; now only this user can"
            count = len(self.open_to_others)
            log.warning("permissions_corrected", path=str(self.directory), count=count, examples=named, hint=hint)
        if self.unchangeable:
            named = [str(path) for path in self.unchangeable[:_MOST_NAMED]]
            hint = "they belong to root: give them to this user, or let nobody else reach the directory"
            count = len(self.unchangeable)
            log.warning("permissions_not_corrected", path=str(self.directory), count=count, examples=named, hint=hint)
        if self.loose is not None:
            hint = f"other users may write in {self.loose}, and so put a directory of theirs in the place of ours"
            log.warning("directory_above_open", path=str(self.directory), hint=hint)


def examine(directory: Path) -> DirectoryCheck:
    """Look at the directory and all that is in it, and change nothing. Raises OSError."""
    found = DirectoryCheck(directory)
    place = directory.resolve()
    status = place.stat()
    if place in _SYSTEM:
        found.problems.append(f"{place} is a directory that others use too: name one for Gapless alone")
        return found
    found.loose = next((above for above in place.parents if _is_loose(above.stat().st_mode)), None)
    _judge(found, directory, status)
    if not found.problems:
        for path, inner in _walk(place, status.st_dev):
            _judge(found, path, inner)
    return found


def make_private(directory: Path) -> DirectoryCheck:
    """Take the rights of others away, from the directory down; return what there was to do. Raises OSError."""
    found = examine(directory)
    if found.problems:
        return found
    for path, mode in list(found.open_to_others.items()):
        if not _correct(path, mode, renew=path.suffix == _LOCK and path.name != _OURS):
            del found.open_to_others[path]
            found.unchangeable.append(path)
    return found


def keep_closed(directory: Path) -> int | None:
    """Close the directory again if somebody opened it; return the mode that it had then, None if it was closed.

    Costs one stat. Raises OSError.
    """
    mode = stat.S_IMODE(directory.stat().st_mode)
    return mode if mode & OTHERS and _correct(directory, mode) else None


def privacy_task(directories: Iterable[Path], log: structlog.stdlib.BoundLogger) -> PeriodicTask:
    """Make the chore that keeps the directories private, which is enough for all that is in them."""
    places = tuple(dict.fromkeys(directories))

    def keep() -> None:
        for directory in places:
            with contextlib.suppress(OSError):  # it is away: whoever needs it says so
                mode = keep_closed(directory)
                if mode is not None:
                    path = str(directory)
                    log.warning("permissions_corrected", path=path, count=1, examples=[f"{path} {mode:04o}"])

    return PeriodicTask(_LOOK_EVERY_S, keep)


def _is_loose(mode: int) -> bool:
    """Tell whether others may rename what is in the directory; where it is sticky (/tmp) only the owners may."""
    return bool(mode & stat.S_IWOTH) and not mode & stat.S_ISVTX


def _walk(directory: Path, device: int) -> Iterator[tuple[Path, os.stat_result]]:
    """Yield what is in the directory, each directory before its content; other disks and links are not entered."""
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
                continue  # root's alone


def _judge(found: DirectoryCheck, path: Path, status: os.stat_result) -> None:
    mode = stat.S_IMODE(status.st_mode)
    if status.st_uid not in {os.geteuid(), _ROOT}:
        owner, ours = _user(status.st_uid), _user(os.geteuid())
        found.problems.append(f"{path} belongs to {owner}, and this is {ours}: change its owner, or remove it")
    elif stat.S_ISLNK(status.st_mode):
        # other links are removed when a file is made in their place; these may be somebody's intention
        if path.name.endswith(_DATABASE) or path.is_dir():
            found.problems.append(f"{path} is a symbolic link, which is not followed: move its target here")
    elif not (stat.S_ISREG(status.st_mode) or stat.S_ISDIR(status.st_mode) or stat.S_ISSOCK(status.st_mode)):
        found.problems.append(f"{path} is a pipe or a device: remove it")
    elif mode & OTHERS:
        found.open_to_others[path] = mode


def _correct(path: Path, mode: int, *, renew: bool = False) -> bool:
    """Take the rights of others away. `renew`: put a copy in its place, since others may hold the file open."""
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
    """Put a copy of a lock file in its place: a lock that a stranger holds on the former file holds nobody up."""
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
