"""Runs a command: turns the parsed command line into a call. supervisor.cli.command_parser defines the syntax."""

import argparse
import os
import sys
import time
from collections.abc import Callable, Sequence

from core.config import load_config
from core.errors import ConfigError, ExitCode, TransientError
from core.process import core_dumps
from supervisor.cli.command_parser import parse
from supervisor.cli.hidden_arguments import hide_secrets
from supervisor.display.terminal import discard_output, repair_standard_streams
from supervisor.processes.control_inbox import ControlInbox, let_through


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    core_dumps.forbid()
    hide_secrets()
    repair_standard_streams()
    options = parse(arguments)
    work = _DOES[options.command]
    try:
        return work(options) if work in (_run, _demo) else _ask(work, options)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return ExitCode.BAD_USAGE
    except TransientError as error:
        print(error, file=sys.stderr)
        return ExitCode.GAVE_UP


def _ask(work: Callable[[argparse.Namespace], int], options: argparse.Namespace) -> int:
    """Run a command whose caller waits for the result; print an early end in one line."""
    try:
        let_through()
        code = work(options)
        sys.stdout.flush()
    except KeyboardInterrupt:
        return ExitCode.GAVE_UP
    except BrokenPipeError:  # as in `check CONFIG | head -1`: the reader has enough
        discard_output(sys.stdout)
        return ExitCode.OK
    except OSError as error:  # for example another user's files, or a full disk under the output
        discard_output(sys.stdout)
        print(error, file=sys.stderr)
        return ExitCode.GAVE_UP
    return code


def _overrides(options: argparse.Namespace) -> dict[str, object]:
    given = {
        "reddit.subreddits": options.subreddits,
        "kafka.bootstrap_servers": options.kafka_servers,
        "kafka.topic": options.topic,
    }
    return {**dict(options.set), **{key: value for key, value in given.items() if value is not None}}


# Each command imports what it needs when called: `--help` is quick, and `run` does not load what `check` needs.


def _run(options: argparse.Namespace) -> int:
    inbox = ControlInbox()
    inbox.install()  # before the other imports: from here on a signal is a request and does not kill the process
    from supervisor.runtime.supervise import outlet, run  # noqa: PLC0415

    overrides = _overrides(options)
    out = outlet(sys.stdout, 1)
    try:
        return run(
            options.config, overrides, inbox, duration=options.duration, with_parent=options.with_parent, out=out
        )
    finally:
        if out is not None:
            out.close()


def _check(options: argparse.Namespace) -> int:
    from supervisor.cli.check import check  # noqa: PLC0415

    overrides = _overrides(options)
    return check(options.config, overrides, connect=options.connect, environ=os.environ, out=sys.stdout)


def _status(options: argparse.Namespace) -> int:
    from supervisor.cli.status import show_status  # noqa: PLC0415

    return show_status(options.config, as_json=options.json, watch=options.watch, out=sys.stdout)


def _logs(options: argparse.Namespace) -> int:
    from supervisor.cli.logs import show_logs  # noqa: PLC0415

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
    from supervisor.cli.restart import restart  # noqa: PLC0415

    return restart(options.config, options.process, out=sys.stdout, err=sys.stderr)


def _gaps(options: argparse.Namespace) -> int:
    from supervisor.cli.gaps import show_gaps  # noqa: PLC0415

    config = load_config(options.config, credentials=False)
    return show_gaps(
        config,
        time.time(),
        since=options.since,
        until=options.until,
        subreddits=options.subreddit,
        as_json=options.json,
        out=sys.stdout,
        err=sys.stderr,
    )


def _dead_letters(options: argparse.Namespace) -> int:
    from supervisor.cli.dead_letters_command import dead_letters  # noqa: PLC0415

    given = options.config, options.action, options.ids
    return dead_letters(*given, as_json=options.json, out=sys.stdout, err=sys.stderr)


def _demo(options: argparse.Namespace) -> int:
    inbox = ControlInbox()
    inbox.install()
    from supervisor.demo.run_demo import demo  # noqa: PLC0415

    return demo(options.duration, options.keep, inbox)


_DOES: dict[str, Callable[[argparse.Namespace], int]] = {
    "run": _run,
    "check": _check,
    "status": _status,
    "logs": _logs,
    "restart": _restart,
    "gaps": _gaps,
    "dead-letters": _dead_letters,
    "demo": _demo,
}
