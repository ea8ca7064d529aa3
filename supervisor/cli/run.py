"""`python -m supervisor run`: runs all processes of a configuration."""

import argparse
import sys

from supervisor.cli.arguments import add_overrides, overrides, seconds
from supervisor.cli.commands import Command
from supervisor.processes.control_inbox import ControlInbox

_DESCRIPTION = """\
Start all processes that CONFIG requires, watch them, and replace each one that
ends or hangs. On SIGTERM or Ctrl-C, stop in order: streams and scrapers, then
the publisher, then the monitor. On SIGHUP, read CONFIG again and replace only
the processes that the change affects. Logs go to standard error and to
log_dir, statistics to standard output."""

_EPILOG = """\
exit codes:
  0  stopped on request: every record is in Kafka, or safely in the spool
  1  gave up: every stream and scraper is parked; the last line names the cause
  2  bad command line or configuration, state_dir is in use by another
     supervisor, or the machine lacks something (open files, processes,
     /dev/shm)
  3  shutdown_timeout passed and a process was killed; what it captured is in
     the spool, and is sent after the next start

examples:
  python -m supervisor run config.toml
  python -m supervisor run config.toml --duration 600 --subreddits Bitcoin
  python -m supervisor run config.toml --set scraper.enabled=false"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_overrides(parser)
    text = "stop after this time, as on SIGTERM (default: run until a signal comes)"
    parser.add_argument("--duration", type=seconds, metavar="SECONDS", help=text)
    text = "stop, as on SIGTERM, when the parent process with this PID ends (default: do not watch it)"
    parser.add_argument("--with-parent", type=int, metavar="PID", help=text)


def _run(options: argparse.Namespace) -> int:
    inbox = ControlInbox()
    inbox.install()  # before the other imports: from here on a signal is a request and does not kill the process
    from supervisor.runtime.supervise import outlet, run  # noqa: PLC0415

    out = outlet(sys.stdout, 1)
    try:
        return run(
            options.config,
            overrides(options),
            inbox,
            duration=options.duration,
            with_parent=options.with_parent,
            out=out,
        )
    finally:
        if out is not None:
            out.close()


COMMAND = Command(_DESCRIPTION, _EPILOG, _add_arguments, _run, handles_signals=True)
