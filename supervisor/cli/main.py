"""Builds the parser from the table of commands (supervisor.cli.commands), and runs the command that was called."""

import argparse
import re
import sys
from collections.abc import Collection, Sequence
from pathlib import Path
from typing import NoReturn

from core.errors import ConfigError, ExitCode, TransientError
from core.process import core_dumps, program
from core.version import VERSION
from supervisor.cli.arguments import suggestion
from supervisor.cli.commands import COMMANDS, Command
from supervisor.cli.hidden_arguments import hide_secrets
from supervisor.display.terminal import discard_output, repair_standard_streams
from supervisor.processes.control_inbox import unblock_signals

_DESCRIPTION = """\
Gapless captures new posts and comments from Reddit into Kafka, and crawls
subreddits into a database. It supervises its processes, loses nothing that
Reddit has shown to it, and records every interval that may be incomplete."""

_EPILOG = """\
examples:
  python -m supervisor demo                           needs no account
  python -m supervisor check config.toml --connect    before the first start
  python -m supervisor run config.toml
  python -m supervisor status config.toml --watch     in another terminal

exit codes:
  0  success; of run: stopped on request, all records are sent or spooled
  1  failure; `COMMAND --help` explains it for each command
  2  bad command line or configuration: nothing was done
  3  of run and demo: the stop deadline passed, and a process was killed

CONFIG is a TOML file; config.toml at the root of the repository explains
every key. The credentials come from environment variables or from the file
.env: see .env.example. docs/operations.md explains what to do about a problem."""


def main(arguments: Sequence[str] | None = None) -> int:
    """Run the command line; return the exit code."""
    core_dumps.forbid()
    hide_secrets()
    repair_standard_streams()
    options = parse(arguments)
    command: Command = options.command
    try:
        return command.run(options) if command.handles_signals else _run_interruptible(command, options)
    except ConfigError as error:
        print(error, file=sys.stderr)
        return ExitCode.BAD_USAGE
    except TransientError as error:
        print(error, file=sys.stderr)
        return ExitCode.GAVE_UP


def _run_interruptible(command: Command, options: argparse.Namespace) -> int:
    """Run a command that Ctrl-C may end at any time; print the reason of an early end in one line."""
    try:
        unblock_signals()
        code = command.run(options)
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


class CommandParser(argparse.ArgumentParser):
    """An argument parser whose errors also name the help to read."""

    def error(self, message: str) -> NoReturn:
        """Print the error and exit."""
        self.print_usage(sys.stderr)
        self.exit(ExitCode.BAD_USAGE, f"{self.prog}: error: {message}\nFor help: `{self._help()}`\n")

    def _help(self) -> str:
        return f"{program.command()}{self.prog.removeprefix(program.name())} --help"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse the command line; `command` of the result is the Command, `parser` its parser."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    called = next((word for word in given if word in COMMANDS), None)
    top = build_parser([] if called is None else [called])
    if not given:
        top.exit(ExitCode.BAD_USAGE, top.format_help())
    if not given[0].startswith("-") and given[0] not in COMMANDS:
        top.error(f"unknown command {given[0]!r}; there are: {', '.join(COMMANDS)}{suggestion(given[0], COMMANDS)}")
    options, rest = top.parse_known_args(given)
    # argparse alone accepts the names of `logs CONFIG -n 5 NAME` only before the options
    values = getattr(options, options.command.list_operand, None) if options.command.list_operand else None
    if rest and (values is None or any(text.startswith("-") for text in rest)):
        parser: argparse.ArgumentParser = options.parser
        known = re.findall(r"--[a-z-]+", parser.format_help())
        meant = next(filter(None, (suggestion(word, known) for word in rest if word.startswith("-"))), "")
        parser.error(f"unrecognized arguments: {' '.join(rest)}{meant}")
    if values is not None:
        values += rest
    return options


def build_parser(names: Collection[str] = tuple(COMMANDS)) -> CommandParser:
    """Build the parser; only the commands in `names` are loaded and get their arguments."""
    top = CommandParser(
        prog=program.name(),
        description=_DESCRIPTION,
        epilog=_with_program_name(_EPILOG),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    version = f"{program.SCRIPT} {VERSION}"
    top.add_argument("--version", action="version", version=version, help="print the version and exit")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", required=True)
    for name, entry in COMMANDS.items():
        if name not in names:
            commands.add_parser(name, help=entry.summary)
            continue
        command = entry.load()
        operands = " ".join(filter(None, ("CONFIG" if command.reads_config else "", command.operands, "[OPTION ...]")))
        parser = commands.add_parser(
            name,
            usage=f"%(prog)s {operands}",  # required operands first: an option may consume all that follows
            help=entry.summary,
            description=command.description,
            epilog=_with_program_name(command.epilog),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        parser.set_defaults(command=command, parser=parser)
        if command.reads_config:
            parser.add_argument(
                "config", metavar="CONFIG", type=Path, help="the configuration file, such as config.toml"
            )
        command.add_arguments(parser)
    return top


def _with_program_name(text: str) -> str:
    """Replace the program name in the examples by the name that was called."""
    return text.replace(program.MODULE, program.name())
