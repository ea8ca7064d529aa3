"""The command line: what a person types, turned into calls."""

import argparse
import os
import sys
import tomllib
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from core.config import load_config
from core.errors import ConfigError, ExitCode
from supervisor.bell import Bell

_DESCRIPTION = """\
Reddit's submissions and comments into Kafka, with nothing lost, and able to prove it.
"""

_EPILOG = """\
exit codes:
  0  stopped as asked, everything drained or safely spooled
  1  gave up after failures; of status and restart: the supervisor or the process does not run
  2  bad command line or configuration
  3  the stop deadline passed and something had to be killed

See config.toml for every key, and .env.example for the credentials.
"""


def main(arguments: Sequence[str] | None = None) -> int:
    """Do what the command line says; return the exit code."""
    options = parse(arguments)
    command: Callable[[argparse.Namespace], int] = options.command
    try:
        return int(command(options))
    except ConfigError as error:
        print(error, file=sys.stderr)
        return ExitCode.BAD_USAGE


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse; argparse by itself takes the names of `logs CONFIG -n 5 NAME` only before the options."""
    described = parser()
    options, rest = described.parse_known_args(arguments)
    names = getattr(options, "process", None)
    if rest and (not isinstance(names, list) or any(text.startswith("-") for text in rest)):
        described.error(f"unrecognized arguments: {' '.join(rest)}")
    if isinstance(names, list):
        names += rest
    return options


def parser() -> argparse.ArgumentParser:
    """Describe all commands and their options."""
    top = argparse.ArgumentParser(
        prog="python -m supervisor",
        description=_DESCRIPTION,
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    _add_run(commands)
    _add_check(commands)
    _add_status(commands)
    _add_logs(commands)
    _add_restart(commands)
    _add_gaps(commands)
    _add_demo(commands)
    return top


def _add_run(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    run = _command(commands, "run", _run, "run everything until SIGTERM or Ctrl-C")
    _add_overrides(run)
    run.add_argument("--duration", type=_seconds, metavar="SECONDS", help="stop as if asked to after so long")
    run.add_argument(
        "--with-parent", type=int, metavar="PID", help="stop as if asked to when the parent, which is PID, ends"
    )


def _add_check(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    check = _command(commands, "check", _check, "validate the configuration and print every problem at once")
    _add_overrides(check)
    check.add_argument(
        "--connect", action="store_true", help="also try Reddit, Kafka, the database and each proxy, one line each"
    )


def _add_status(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    summary = "show the processes and what flows, also when the supervisor is down (then exit code 1)"
    status = _command(commands, "status", _status, summary)
    status.add_argument("--json", action="store_true", help="for programs; with --watch one object a line")
    status.add_argument("--watch", action="store_true", help="look again every second, with rates, until Ctrl-C")


def _add_logs(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    logs = _command(commands, "logs", _logs, "show the last lines of each process's log, merged by time")
    logs.add_argument("process", metavar="PROCESS", nargs="*", help="only of these, such as comments (default: all)")
    logs.add_argument(
        "-n", dest="lines", type=_count, default=20, metavar="LINES", help="lines of each process (%(default)s)"
    )
    logs.add_argument(
        "-f", "--follow", action="store_true", help="go on with what is written, over rotation and restarts"
    )
    logs.add_argument(
        "--level",
        type=str.lower,
        choices=("debug", "info", "warning", "error", "critical"),
        metavar="LEVEL",
        help="only what is as severe as debug, info, warning, error or critical, and what is no log record, such as "
        "the last words of a crash",
    )


def _add_restart(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    summary = "replace one process by a new one, or wake a parked one, and wait until it runs"
    restart = _command(commands, "restart", _restart, summary)
    restart.add_argument("process", metavar="PROCESS", help="its name, such as comments")


def _add_gaps(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    gaps = _command(commands, "gaps", _gaps, "list every interval that could not be proven complete")
    gaps.add_argument("--json", action="store_true", help="for programs")


def _add_demo(commands: "argparse._SubParsersAction[argparse.ArgumentParser]") -> None:
    summary = "show the whole system on this machine alone, and prove that nothing is lost"
    demo = commands.add_parser(
        "demo",
        help=summary,
        description=f"{summary[0].upper()}{summary[1:]}: a simulated Reddit with faults, a burst, a killed process, "
        "and a crawl through two proxies, one of which dies and comes back.",
    )
    demo.set_defaults(command=_demo)
    demo.add_argument(
        "--duration",
        type=_seconds,
        default=60.0,
        metavar="SECONDS",
        help="how long it runs, what is late at the end aside (%(default)g)",
    )
    demo.add_argument("--keep", type=Path, metavar="DIR", help="keep state and logs here (else removed if all is well)")


def _command(
    commands: "argparse._SubParsersAction[argparse.ArgumentParser]",
    name: str,
    function: Callable[[argparse.Namespace], int],
    summary: str,
) -> argparse.ArgumentParser:
    command = commands.add_parser(name, help=summary, description=f"{summary[0].upper()}{summary[1:]}.")
    command.set_defaults(command=function)
    command.add_argument("config", metavar="CONFIG", type=Path, help="the configuration file, such as config.toml")
    return command


def _add_overrides(command: argparse.ArgumentParser) -> None:
    group = command.add_argument_group("instead of what the file says")
    group.add_argument("--subreddits", nargs="+", metavar="NAME", help="capture these")
    group.add_argument("--kafka-servers", metavar="LIST", help='host:port,host:port, or "embedded" for a local broker')
    group.add_argument("--topic", metavar="NAME", help="the Kafka topic")
    group.add_argument(
        "--set",
        action="append",
        default=[],
        type=_assignment,
        metavar="KEY=VALUE",
        help="any other key, such as supervisor.stats_interval=10; may be repeated",
    )


def _overrides(options: argparse.Namespace) -> dict[str, object]:
    given = {
        "reddit.subreddits": options.subreddits,
        "kafka.bootstrap_servers": options.kafka_servers,
        "kafka.topic": options.topic,
    }
    return {**dict(options.set), **{key: value for key, value in given.items() if value is not None}}


def _assignment(text: str) -> tuple[str, object]:
    """Read KEY=VALUE; the value as TOML where it is that, otherwise as a plain text."""
    key, equals, value = text.partition("=")
    if not equals or not key:
        raise argparse.ArgumentTypeError(f"{text!r} should look like supervisor.stats_interval=10")
    try:
        parsed: Any = tomllib.loads(f"value = {value}")["value"]
    except tomllib.TOMLDecodeError:
        parsed = value
    return key.strip(), parsed


def _seconds(text: str) -> float:
    try:
        seconds = float(text)
    except ValueError:
        seconds = -1.0
    if not 0 < seconds < float("inf"):
        raise argparse.ArgumentTypeError(f"{text} should be a number of seconds above 0")
    return seconds


def _count(text: str) -> int:
    if not text.isdecimal():
        raise argparse.ArgumentTypeError(f"{text} should be a number of lines, 0 or more")
    return int(text)


# Each command imports what it needs when it is called: `--help` is quick, and `run` does not carry what `check` needs.


def _run(options: argparse.Namespace) -> int:
    bell = Bell()
    bell.install()  # before the rest is even imported: from here on a signal is a request and not the end
    from supervisor.run import outlet, run  # noqa: PLC0415

    overrides = _overrides(options)
    out = outlet(sys.stdout, 1)
    try:
        return run(options.config, overrides, bell, duration=options.duration, with_parent=options.with_parent, out=out)
    finally:
        if out is not None:
            out.close()


def _check(options: argparse.Namespace) -> int:
    from supervisor.check import check  # noqa: PLC0415

    overrides = _overrides(options)
    return check(options.config, overrides, connect=options.connect, environ=os.environ, out=sys.stdout)


def _status(options: argparse.Namespace) -> int:
    from supervisor.status import show_status  # noqa: PLC0415

    return show_status(options.config, as_json=options.json, watch=options.watch, out=sys.stdout)


def _logs(options: argparse.Namespace) -> int:
    from supervisor.logs import show_logs  # noqa: PLC0415

    return show_logs(
        options.config,
        options.process,
        lines=options.lines,
        follow=options.follow,
        level=options.level,
        out=sys.stdout,
        err=sys.stderr,
    )


def _restart(options: argparse.Namespace) -> int:
    from supervisor.restart import restart  # noqa: PLC0415

    return restart(options.config, options.process, out=sys.stdout, err=sys.stderr)


def _gaps(options: argparse.Namespace) -> int:
    from supervisor.gaps import show_gaps  # noqa: PLC0415

    config = load_config(options.config, credentials=False)
    return show_gaps(config.supervisor.state_dir, as_json=options.json, out=sys.stdout, err=sys.stderr)


def _demo(options: argparse.Namespace) -> int:
    bell = Bell()
    bell.install()
    from supervisor.demo.run import demo  # noqa: PLC0415

    return demo(options.duration, options.keep, bell)
