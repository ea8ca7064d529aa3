"""`python -m supervisor logs`: prints the logs of the processes, merged by time, and follows them."""

import argparse
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TextIO

from core.config import Config, load_config
from core.errors import ExitCode
from supervisor.cli.arguments import count
from supervisor.cli.commands import Command
from supervisor.cli.log_follower import LogFollower
from supervisor.cli.log_line import LogLine, dated, parse, renderer
from supervisor.display.terminal import has_colours, until_reader_closes
from supervisor.runtime.topology import topology

_DESCRIPTION = """\
Show the last lines of each process's log, merged by time. With -f, continue
with new lines, across rotations and restarts. Also works when the supervisor
is stopped."""

_EPILOG = """\
exit codes:
  0  shown (also when there are no logs yet, and after Ctrl-C)
  2  bad command line or configuration, or no process of that name

examples:
  python -m supervisor logs config.toml -f
  python -m supervisor logs config.toml comments publisher --level warning"""

_LEVELS = ("debug", "info", "warning", "error", "critical")
_POLL_INTERVAL_S = 0.2


class MergedLogs:
    """The logs of several processes. Without names: of every process that has a log, also of later ones."""

    def __init__(self, log_dir: Path, names: Sequence[str], level: str | None) -> None:
        self._log_dir = log_dir
        self._names = names
        self._level = level
        self._followers = {name: LogFollower(self._path(name)) for name in names or names_with_logs(log_dir)}
        self._last_times = dict.fromkeys(self._followers, "")

    def last(self, wanted: int, *, unfinished: bool) -> list[LogLine]:
        """Return each process's last lines; `unfinished` adds a line whose end was never written."""
        merged: list[LogLine] = []
        for name, follower in self._followers.items():
            lines = follower.last(wanted, lambda raw: parse(raw).is_at_least(self._level))
            if unfinished and wanted and (rest := follower.unfinished()):
                lines = [*lines, rest][-wanted:]
            merged += self._dated(name, lines)
        return sorted(merged, key=lambda line: line.timestamp)

    def fresh(self) -> list[LogLine]:
        """Return the lines written since the last call."""
        for name in [] if self._names else names_with_logs(self._log_dir):
            if name not in self._followers:
                self._followers[name] = LogFollower(self._path(name), from_beginning=True)
        merged: list[LogLine] = []
        for name, follower in self._followers.items():
            merged += [line for line in self._dated(name, follower.fresh()) if line.is_at_least(self._level)]
        return sorted(merged, key=lambda line: line.timestamp)

    def _dated(self, name: str, raw: Sequence[bytes]) -> list[LogLine]:
        lines = dated([parse(line) for line in raw], self._last_times.get(name, ""))
        if lines:
            self._last_times[name] = lines[-1].timestamp
        return lines

    def _path(self, name: str) -> Path:
        return self._log_dir / f"{name}.log"


def names_with_logs(log_dir: Path) -> list[str]:
    """Return the processes that have a log; a log file may be between two names during a rotation."""
    found = {path.name.partition(".log")[0] for pattern in ("*.log", "*.log.1") for path in log_dir.glob(pattern)}
    return sorted(found)


def show_logs(
    path: Path,
    names: Sequence[str],
    *,
    lines: int,
    follow: bool,
    level: str | None,
    out: TextIO,
    err: TextIO,
    sleep: Callable[[float], None] = time.sleep,
) -> ExitCode:
    """Print the last `lines` of each process, then new ones with `follow`; works without a supervisor too."""
    config = load_config(path, credentials=False)
    log_dir = config.supervisor.log_dir
    known = _known(config)
    unknown = [name for name in names if name not in known]
    if unknown:
        print(f"unknown process {', '.join(map(repr, unknown))}; there are: {', '.join(known)}", file=err)
        return ExitCode.BAD_USAGE
    logs = MergedLogs(log_dir, list(dict.fromkeys(names)), level)
    show = renderer(colours=has_colours(out))
    if not follow and not any(name in names_with_logs(log_dir) for name in names or known):
        print(f"no process has written a log in {log_dir} yet", file=err)
    with until_reader_closes(out):
        _print(logs.last(lines, unfinished=not follow), show, out)
        while follow:
            _print(logs.fresh(), show, out)
            sleep(_POLL_INTERVAL_S)
    return ExitCode.OK


def _known(config: Config) -> list[str]:
    """Return the configured processes, and those that have left a log."""
    configured = [spec.name for spec in topology(config)]
    return list(dict.fromkeys(["supervisor", *configured, *names_with_logs(config.supervisor.log_dir)]))


def _print(lines: Sequence[LogLine], show: Callable[[LogLine], str], out: TextIO) -> None:
    for line in lines:
        out.write(f"{show(line)}\n")
    out.flush()


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    text = "only these processes, such as comments (default: all)"
    parser.add_argument("process", metavar="PROCESS", nargs="*", help=text)
    text = "the number of last lines for each process (default: %(default)s)"
    parser.add_argument("-n", "--lines", type=count, default=20, metavar="LINES", help=text)
    text = "follow: print new lines until Ctrl-C (default: print and exit)"
    parser.add_argument("-f", "--follow", action="store_true", help=text)
    text = f"only lines of this level or above: {', '.join(_LEVELS)}; lines that are not log records, such as the"
    text += " output of a crash, are always shown (default: all lines)"
    parser.add_argument("--level", type=str.lower, choices=_LEVELS, metavar="LEVEL", help=text)


def _run(options: argparse.Namespace) -> int:
    return show_logs(
        options.config,
        options.process,
        lines=options.lines,
        follow=options.follow,
        level=options.level,
        out=sys.stdout,
        err=sys.stderr,
    )


COMMAND = Command(_DESCRIPTION, _EPILOG, _add_arguments, _run, operands="[PROCESS ...]", list_operand="process")
