"""Checks the machine before the first child starts.

A child that lacks a resource fails before its first log line, again and again, and nothing shows the reason.
"""

import multiprocessing
import os
import resource
from collections.abc import Iterator, Mapping
from contextlib import suppress
from multiprocessing.sharedctypes import RawValue
from pathlib import Path

from core.config import Config
from core.config.network_variables import network
from core.errors import ConfigError, Problem
from supervisor.runtime.topology import topology, wants_broker

# Measured: the supervisor keeps 14 files of its own and 7 pipes per child; a start takes 5 more for a moment,
# and commands such as `status` connect to it.
_SUPERVISOR = 25
_PER_CHILD = 7

#: Files that a child other than a scraper opens: databases, logs, pipes, connections to brokers or from browsers.
_CHILD = 60

#: Files that a scraper opens besides its requests in flight.
_SCRAPER = 60

#: The soft limit is raised to this where it is too low and the hard limit allows it.
_COMFORTABLE = 1024

#: Processes and threads: the supervisor, its helper and some threads; a child's own threads and its reader thread.
_TASKS = 5
_TASKS_PER_CHILD = 5

#: Semaphores per child: two queues with 3 each, and an event with 5.
_SEMAPHORES = 11


def require_machine(
    config: Config, environ: Mapping[str, str], *, children: int | None = None, prepare: bool = False
) -> None:
    """Raise a ConfigError that names everything that the machine lacks for this number of children.

    `prepare`: raise the soft limit on open files where it is too low.
    """
    if children is None:
        children = len(topology(config)) + wants_broker(config)
    problems = [*_files(config, children, prepare=prepare), *_tasks(children), *_semaphores(children)]
    if config.streams.enabled:
        problems += network(environ).problems()
    if problems:
        raise ConfigError(problems, "this machine")


def needed_files(config: Config, children: int) -> int:
    """Return the minimum number of files that one process may have open; every child inherits the limit."""
    scraper = _SCRAPER + config.scraper.concurrency if config.scraper.enabled else 0
    return max(_SUPERVISOR + _PER_CHILD * children, _CHILD, scraper)


def _files(config: Config, children: int, *, prepare: bool) -> Iterator[Problem]:
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    needed = needed_files(config, children)
    if _allows(soft, needed):
        return
    if not _allows(hard, needed):
        yield Problem(
            "open files",
            f"the limit is {hard} (ulimit -n), {children} processes need {needed}: raise the limit with\n"
            "`ulimit -n 1024`, `docker run --ulimit nofile=1024`, or LimitNOFILE=1024 in the unit",
        )
    elif prepare:
        target = _COMFORTABLE if _allows(hard, _COMFORTABLE) else hard
        resource.setrlimit(resource.RLIMIT_NOFILE, (max(target, needed), hard))


def _allows(limit: int, needed: int) -> bool:
    return limit == resource.RLIM_INFINITY or limit >= needed


def _tasks(children: int) -> Iterator[Problem]:
    needed = _TASKS + _TASKS_PER_CHILD * children
    for limit, used, advice in _task_limits():
        if limit - used < needed:
            yield Problem(
                "processes and threads",
                f"the limit is {limit}, {used} are in use, {children} processes need {needed} more:\n{advice}",
            )


def _task_limits() -> Iterator[tuple[int, int, str]]:
    """Yield each limit on processes and threads that applies here, the number in use, and how to raise the limit."""
    for place in _cgroups(Path("/proc/self/cgroup")):
        with suppress(OSError, ValueError):  # "max", or no such file: no limit
            limit = int((place / "pids.max").read_text())
            used = int((place / "pids.current").read_text())
            yield limit, used, "raise it with `docker run --pids-limit`, or TasksMax= in the unit"
    soft, _ = resource.getrlimit(resource.RLIMIT_NPROC)
    if soft != resource.RLIM_INFINITY and os.geteuid() != 0:  # the limit does not apply to root
        yield soft, sum(_threads_of(os.getuid())), "raise it with `ulimit -u`, or LimitNPROC= in the unit"


def _cgroups(listing: Path) -> Iterator[Path]:
    """Yield the directories of our control group: in version 2, and of the controller of processes in version 1."""
    with suppress(OSError):
        for line in listing.read_text().splitlines():
            _, controllers, path = line.split(":", 2)
            if controllers in {"", "pids"}:
                root = Path("/sys/fs/cgroup", controllers)
                yield from dict.fromkeys((root / path.lstrip("/"), root))  # a container sees its own group as the root


def _threads_of(user: int) -> Iterator[int]:
    for directory in Path("/proc").glob("[0-9]*"):
        with suppress(OSError):
            if directory.stat().st_uid == user:
                yield sum(1 for _ in (directory / "task").iterdir())


def _semaphores(children: int) -> Iterator[Problem]:
    """Create all semaphores that the children will share; each takes a page of /dev/shm."""
    try:
        # semaphores of the fork context are unlinked at once, and need no process to clean up after them
        context = multiprocessing.get_context("fork")
        held = [context.Semaphore(1) for _ in range(_SEMAPHORES * children)]
        RawValue("d", 0.0)
        del held
    except (OSError, ImportError) as error:
        reason = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
        yield Problem(
            "/dev/shm",  # noqa: S108 (glibc's place for semaphores)
            f"cannot be used ({reason}); the processes share semaphores there, about {_SEMAPHORES * children * 4} KB.\n"
            "It must be a tmpfs with free space that this user may write to. In a container: --shm-size 64m, and with\n"
            "a read-only root also --tmpfs /dev/shm (Kubernetes: an emptyDir with medium: Memory at /dev/shm)",
        )
