"""The table of commands, and what the file of a command defines.

A new command is one file with a `COMMAND`, and one row in `COMMANDS`.
"""

import argparse
import importlib
from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Command:
    """One command: its help, its arguments and its function. Texts fit 80 columns.

    Attributes:
        description: what it does; printed before the options.
        epilog: its exit codes and examples; printed after the options.
        add_arguments: adds its arguments to the parser; CONFIG is there already.
        run: does the work; returns the exit code.
        operands: the operands after CONFIG, as the usage line shows them.
        reads_config: whether CONFIG is its first operand.
        list_operand: name of the operand whose values may stand before and after the options.
        handles_signals: whether `run` handles SIGINT and SIGTERM itself. Otherwise Ctrl-C ends it at once.
    """

    description: str
    epilog: str
    add_arguments: Callable[[argparse.ArgumentParser], None]
    run: Callable[[argparse.Namespace], int]
    operands: str = ""
    reads_config: bool = True
    list_operand: str = ""
    handles_signals: bool = False


@dataclass(frozen=True, slots=True)
class CommandEntry:
    """A row of the table: one line of help, and the module that has the `COMMAND`."""

    summary: str
    module: str

    def load(self) -> Command:
        """Import the module and return its command: only the one that is called, so that each start is quick."""
        command: Command = importlib.import_module(self.module).COMMAND
        return command


COMMANDS = {
    "run": CommandEntry("run all processes until SIGTERM or Ctrl-C", "supervisor.cli.run"),
    "check": CommandEntry("validate the configuration and print all problems at once", "supervisor.cli.check"),
    "status": CommandEntry("show the processes and the data flow, also after a stop", "supervisor.cli.status"),
    "logs": CommandEntry("show the last log lines of the processes, merged by time", "supervisor.cli.logs"),
    "restart": CommandEntry("restart a process, or start a parked one; wait until it runs", "supervisor.cli.restart"),
    "gaps": CommandEntry("show how far each stream is proven complete, and all gaps", "supervisor.cli.gaps"),
    "dead-letters": CommandEntry(
        "list, resend or drop the records that Kafka refused", "supervisor.cli.dead_letters_command"
    ),
    "backfill": CommandEntry("publish dumps of earlier years to the topic", "supervisor.cli.backfill"),
    "audit": CommandEntry("check a random sample; print a bound of what is missing", "supervisor.cli.audit"),
    "demo": CommandEntry("run everything against a simulated Reddit; verify the result", "supervisor.cli.demo"),
}
