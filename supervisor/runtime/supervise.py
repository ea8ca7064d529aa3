"""`python -m supervisor run`: from the configuration to the exit code."""

import contextlib
import errno
import faulthandler
import math
import os
import sys
import time
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TextIO

from core.config import Config, load_config
from core.config.slices import log_config
from core.errors import ConfigError, ExitCode, Problem, TransientError
from core.logging import log_setup
from core.logging.nonblocking_stderr import NonBlockingStderr
from core.periodic import PeriodicTask, PeriodicTasks
from core.process.parent_guard import is_orphan
from core.status.statistics_block import Meter, render
from core.storage.private_files import make_directory, set_umask
from supervisor.processes.child_spec import ChildSpec
from supervisor.processes.control_inbox import ControlInbox, RequestSource
from supervisor.processes.control_server import controlled
from supervisor.processes.manager import Manager
from supervisor.processes.spawned_process import SpawnedProcess
from supervisor.processes.status_publisher import Snapshot, StatusPublisher
from supervisor.runtime.config_holder import ConfigHolder
from supervisor.runtime.preflight import require_machine
from supervisor.runtime.private_directories import DirectoryCheck, examine, make_private, privacy_task
from supervisor.runtime.proxy_alarm import proxy_task
from supervisor.runtime.state_lock import StateLock, StateLockedError, lock_task
from supervisor.runtime.systemd_notify import Notifier
from supervisor.runtime.zombies import reaping_tasks

_PARENT_CHECK_INTERVAL_S = 1.0
_MAX_PROBLEMS = 10
_NO_ROOM = (errno.ENOSPC, errno.EDQUOT)
_READER_GONE = (errno.EPIPE, errno.EIO)  # from a pipe, from a terminal


def run(
    path: str | Path,
    overrides: Mapping[str, object],
    inbox: ControlInbox,
    *,
    environ: Mapping[str, str] = os.environ,
    duration: float | None = None,
    with_parent: int | None = None,
    out: TextIO | NonBlockingStderr | None = sys.stdout,
    err: TextIO = sys.stderr,
) -> ExitCode:
    """Run everything that the configuration requires until SIGTERM or SIGINT."""
    try:
        current = ConfigHolder(load_config(path, overrides, environ), lambda: load_config(path, overrides, environ))
        require_machine(current.config, environ, children=len(current.specs), prepare=True)
        lock = claim(current.config)
    except (ConfigError, StateLockedError) as error:
        print(error, file=err)
        return ExitCode.BAD_USAGE
    config = current.config
    notifier = Notifier.from_environ(os.environ, log_setup.get_logger("notify"))
    try:
        tasks = [statistics_task(current, out)]
        tasks += [*notifier.tasks(), *reaping_tasks(log_setup.get_logger("reaper"))]
        tasks.append(lock_task(lock, log_setup.get_logger("supervisor")))
        directories = (config.supervisor.state_dir, config.supervisor.log_dir)
        tasks.append(privacy_task(directories, log_setup.get_logger("supervisor")))
        if duration is not None:
            tasks.append(PeriodicTask(duration, lambda: f"the duration of {duration:g} s is over"))
        tasks.append(proxy_task(lambda: current.config))
        if with_parent is not None:
            tasks.append(PeriodicTask(_PARENT_CHECK_INTERVAL_S, _parent_check(with_parent)))
        with controlled(config.supervisor.state_dir, inbox) as status_publisher:
            manager = supervise(current, current.specs, inbox, tasks, status_publisher, notifier=notifier)
            code = status_publisher.exit_code = manager.run()
        PeriodicTasks(tasks[:1], log_setup.get_logger("supervisor")).do(
            math.inf
        )  # a failure here must not change the exit code
    finally:
        notifier.close()
        lock.close()
    if manager.gave_up:
        print(f"gave up: {manager.gave_up}{_more_in(config.supervisor.log_dir)}", file=err)
    return code


def _more_in(log_dir: Path) -> str:
    """Return a hint at the log directory if it has logs: after a full disk or too few open files there may be none."""
    return f"\nDetails are in the logs in {log_dir}." if any(log_dir.glob("*.log")) else ""


def claim(config: Config) -> StateLock:
    """Create the directories, lock the state directory, and start logging."""
    settings = config.supervisor
    set_umask()
    with _usable("supervisor.log_dir", settings.log_dir):
        make_directory(settings.log_dir)
        _refuse(examine(settings.log_dir), "supervisor.log_dir")
    with _usable("supervisor.state_dir", settings.state_dir):
        make_directory(settings.state_dir)
        _refuse(examine(settings.state_dir), "supervisor.state_dir")
        lock = StateLock(settings.state_dir)
    try:
        examined = [make_private(directory) for directory in dict.fromkeys((settings.state_dir, settings.log_dir))]
        _start_logging(config)
        for one in examined:
            one.log(log_setup.get_logger("supervisor"))
    except BaseException:
        lock.close()
        raise
    return lock


def _refuse(found: DirectoryCheck, key: str) -> None:
    """Raise a ConfigError for a directory that is not ours alone."""
    if found.problems:
        more = len(found.problems) - _MAX_PROBLEMS
        lines = [*found.problems[:_MAX_PROBLEMS], *([f"and {more} more"] if more > 0 else [])]
        raise ConfigError([Problem(key, "\n".join(lines), str(found.directory))])


def _start_logging(config: Config) -> None:
    settings = config.supervisor
    log_format, size, backups = settings.log_format, settings.log_max_bytes, settings.log_backups
    stream = outlet(sys.stderr, 2)
    if stream is not None:
        faulthandler.enable(2)  # a crash of this interpreter writes directly to standard error
    log_setup.configure("supervisor", settings.log_dir, log_format, size, backups, stream=stream)


@contextlib.contextmanager
def _usable(key: str, directory: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        if error.errno in _NO_ROOM:  # temporary, and no error of the configuration
            raise TransientError(f"{directory} cannot be used ({error}): free disk space, then start again") from error
        advice = f"cannot be used ({error}): make it writable, or change {key}"
        raise ConfigError([Problem(key, advice, str(directory))]) from error


def outlet(stream: TextIO | None, descriptor: int) -> NonBlockingStderr | None:
    """Return a writer to standard output or error that never blocks the loop, even when nobody reads."""

    def report_loss(lines: int) -> None:
        log = log_setup.get_logger("supervisor")
        log.warning(
            "lines_not_shown",
            descriptor=descriptor,
            lines=lines,
            hint="the reader of this stream was too slow or has gone; the log files contain every line",
        )

    return (
        NonBlockingStderr(descriptor, report_loss) if stream is not None else None
    )  # None: the stream was closed before our start


def supervise(
    current: ConfigHolder,
    specs: list[ChildSpec],
    requests: RequestSource,
    tasks: list[PeriodicTask],
    status_publisher: StatusPublisher,
    *,
    notifier: Notifier | None = None,
) -> Manager:
    """Build the manager of these children, with real processes."""
    config, log = current.config, log_setup.get_logger("supervisor")
    service_manager = notifier or Notifier("", None, log)

    def publish(snapshot: Snapshot) -> None:
        status_publisher.publish(snapshot)
        service_manager.notify(snapshot)

    return Manager(
        specs,
        lambda spec: SpawnedProcess(spec, log_config(current.config), current.config.all_secrets()),
        requests,
        shutdown_timeout=config.supervisor.shutdown_timeout,
        heartbeat_timeout=config.supervisor.heartbeat_timeout,
        log=log,
        tasks=tasks,
        publish=publish,
        reload=lambda: service_manager.during_reload(current.reload),
        clock=time.monotonic,
    )


def statistics_task(current: ConfigHolder, out: TextIO | NonBlockingStderr | None) -> PeriodicTask:
    """Build the periodic task that prints and logs the statistics of this run, from now on."""
    meter = Meter(current.config.supervisor.state_dir)
    log = log_setup.get_logger("statistics")

    def report() -> None:
        statistics = meter.read()
        log.info("statistics", **statistics.as_dict())
        try:
            print(render(statistics), file=out, flush=True)
        except OSError as error:
            if error.errno not in _READER_GONE:  # for example a full disk: that may pass
                log.warning("statistics_not_shown", error=str(error), hint="the log contains them")
                return
            # The reader of our output has gone. The buffered rest must not fail again at exit.
            if out is not None:
                os.dup2(os.open(os.devnull, os.O_WRONLY), out.fileno())
            log.warning("stdout_closed", hint="the statistics continue in the log")

    return PeriodicTask(lambda: current.config.supervisor.stats_interval, report)


def _parent_check(parent: int) -> Callable[[], str | None]:
    def check() -> str | None:
        return "the parent process has ended" if is_orphan(parent) else None

    return check
