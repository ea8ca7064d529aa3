"""The syntax of the command line: every command, its options, exit codes and an example. Texts fit 80 columns.

supervisor.cli.main runs the commands.
"""

import argparse
import re
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import NoReturn

from core.config.suggestions import likeness, nearest
from core.errors import ExitCode
from core.process import program
from core.version import VERSION
from supervisor.cli.argument_types import assignment, count, moment, seconds, subreddit

#: The actions of `dead-letters`.
DEAD_LETTER_ACTIONS = ("list", "resend", "drop")

_ALIKE = 0.6  # similarity from which a misspelt word gets a suggestion

#: The help of each command, one line each.
COMMANDS = {
    "run": "run everything until SIGTERM or Ctrl-C",
    "check": "validate the configuration and print every problem at once",
    "status": "show the processes and what flows, running or not",
    "logs": "show the last lines of each process's log, merged by time",
    "restart": "replace one process, or wake a parked one, and wait until it runs",
    "gaps": "print up to when all is proven, and every interval that is not",
    "dead-letters": "list, resend or drop the records that Kafka refused for good",
    "demo": "show it all on this machine alone, and prove that nothing is lost",
}

_TOP = """\
Reddit into Kafka and a database, supervised, with nothing lost, and able to
prove it."""

_TOP_END = """\
examples:
  python -m supervisor demo                           no account needed
  python -m supervisor check config.toml --connect    before the first start
  python -m supervisor run config.toml
  python -m supervisor status config.toml --watch     in another terminal

exit codes:
  0  done; of run: stopped as asked, everything drained or safely spooled
  1  it failed; `COMMAND --help` says what that means
  2  bad command line or configuration: nothing was done
  3  of run and demo: the stop deadline passed, something had to be killed

CONFIG is a TOML file; config.toml at the root of the repository explains
every key. The credentials come from the environment or from .env: see
.env.example. docs/operations.md says what to do when something is wrong."""

_RUN = """\
Start every process that CONFIG asks for, watch them, replace those that die
or hang; on SIGTERM or Ctrl-C stop in order: streams and scrapers, publisher,
monitor. SIGHUP reads CONFIG again and replaces only whom a change concerns.
Logs go to standard error and to log_dir, statistics to standard output."""

_RUN_END = """\
exit codes:
  0  stopped as asked: everything is in Kafka, or safely in the spool
  1  gave up: every stream and scraper is parked; the last line says why
  2  bad command line or configuration, state_dir is another supervisor's, or
     the machine lacks something (open files, processes, /dev/shm)
  3  shutdown_timeout passed and a process was killed; what it had captured
     is in the spool and leaves at the next start

examples:
  python -m supervisor run config.toml
  python -m supervisor run config.toml --duration 600 --subreddits Bitcoin
  python -m supervisor run config.toml --set scraper.enabled=false"""

_CHECK = """\
Read CONFIG as `run` would, and print every problem at once, each with its key
and what would be right. Nothing is started."""

_CHECK_END = """\
exit codes:
  0  all is right; with --connect: and all that is named answers
  1  with --connect: something does not answer, or refuses
  2  bad command line or configuration

example:
  python -m supervisor check config.toml --connect"""

_STATUS = """\
Show the processes and what flows. Works without a supervisor too: then it
says since when there is none, and shows what the files say."""

_STATUS_END = """\
exit codes:
  0  the supervisor runs (whether all flows: see /readyz of the monitor)
  1  the supervisor does not run, or does not answer within 5 s
  2  bad command line or configuration

examples:
  python -m supervisor status config.toml --watch
  python -m supervisor status config.toml --json"""

_LOGS = """\
Show the last lines of each process's log, merged by time; with -f go on as
they are written, over rotation and restarts. Works without a supervisor."""

_LOGS_END = """\
exit codes:
  0  shown (also when there is nothing yet, and after Ctrl-C)
  2  bad command line or configuration, or no process of that name

examples:
  python -m supervisor logs config.toml -f
  python -m supervisor logs config.toml comments publisher --level warning"""

_RESTART = """\
Ask the supervisor to stop one process and start a new one, or to wake one that
is parked (FATAL), and wait up to 30 s until it says that it works."""

_RESTART_END = """\
exit codes:
  0  the new process runs
  1  it does not run within 30 s, or there is no supervisor to ask
  2  bad command line or configuration, or no process of that name

example:
  python -m supervisor restart config.toml comments"""

_GAPS = """\
Print up to when each stream is proven, and the loss ledger: each interval that
could not be proven complete, its state, why, and how many items were found in
it afterwards. Up to the proven time all is whole outside the gaps that are not
repaired; what was created since is not read yet.

states:
  open      its items may still be read, or are being read
  repaired  proven complete later
  filled    items came from an archive; nothing proves that they are all
  lost      Reddit no longer lists it"""

_GAPS_END = """\
exit codes:
  0  the ledger was read, whether it holds gaps or none
  1  the ledger cannot be read
  2  bad command line or configuration, or a subreddit that nobody knows

example:
  python -m supervisor gaps config.toml --since 24h --subreddit Bitcoin"""

_DEAD_LETTERS = """\
List the records that Kafka refused for good, with the reason; send them to
the topic again, or drop them. All of them, or those whose ID is given. Works
while the supervisor runs (`resend` waits up to 30 s) and when it is stopped
(then they leave at the next start). Each leaves once and is a dead letter no
more; what Kafka refuses again stays one."""

_DEAD_LETTERS_END = """\
exit codes:
  0  listed; dropped; delivered, or on the way
  1  Kafka refused one again, or the file cannot be read or written
  2  bad command line or configuration, or no dead letter of that ID

examples:
  python -m supervisor dead-letters config.toml
  python -m supervisor dead-letters config.toml resend
  python -m supervisor dead-letters config.toml drop 3 4"""

_DEMO = """\
Run the whole system against a simulated Reddit with faults, a burst, a killed
process, and a crawl through two proxies, one of which dies and comes back;
then hold the topic and the database against what was shown."""

_DEMO_END = """\
exit codes:
  0  proven: nothing was lost
  1  something was lost or unfinished, or there is no proof: the end says what
  2  bad command line, or packages of the demo are not installed
  3  the stop deadline passed and something had to be killed

example:
  python -m supervisor demo --duration 120 --keep /tmp/gapless"""


class Parser(argparse.ArgumentParser):
    """An argument parser whose errors also name the help to read."""

    def error(self, message: str) -> NoReturn:
        """Print the error and exit."""
        self.print_usage(sys.stderr)
        self.exit(ExitCode.BAD_USAGE, f"{self.prog}: error: {message}\n`{self._help()}` explains.\n")

    def _help(self) -> str:
        return f"{program.command()}{self.prog.removeprefix(program.name())} --help"


def parse(arguments: Sequence[str] | None) -> argparse.Namespace:
    """Parse; argparse alone accepts the names of `logs CONFIG -n 5 NAME` only before the options."""
    given = sys.argv[1:] if arguments is None else list(arguments)
    described = parser()
    if not given:
        described.exit(ExitCode.BAD_USAGE, described.format_help())
    if not given[0].startswith("-") and given[0] not in COMMANDS:
        described.error(f"there is no command {given[0]!r}; there are: {', '.join(COMMANDS)}")
    options, rest = described.parse_known_args(given)
    names = getattr(options, "process", getattr(options, "words", None))
    if rest and (not isinstance(names, list) or any(text.startswith("-") for text in rest)):
        command: argparse.ArgumentParser = options.described
        command.error(f"unrecognized arguments: {' '.join(rest)}{_meant(rest, command)}")
    if isinstance(names, list):
        names += rest
    if options.command == "dead-letters":
        _read_dead_letters(options)
    return options


def _meant(words: Sequence[str], command: argparse.ArgumentParser) -> str:
    """Return a hint at the option that is most like a misspelt one."""
    known = dict.fromkeys(re.findall(r"--[a-z-]+", command.format_help()))
    for word in words:
        best = nearest(word, {option: option for option in known})
        if word.startswith("-") and likeness(word, best) >= _ALIKE:
            return f"\n{best} may be meant"
    return ""


def parser() -> Parser:
    """Build the parser of all commands and their options."""
    top = Parser(
        prog=program.name(),
        description=_TOP,
        epilog=_as_called(_TOP_END),
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    version = f"{program.SCRIPT} {VERSION}"
    top.add_argument("--version", action="version", version=version, help="print the version and exit")
    commands = top.add_subparsers(title="commands", metavar="COMMAND", dest="command", required=True)

    def add(name: str, description: str, end: str, operands: str = "CONFIG ") -> Parser:
        command = commands.add_parser(
            name,
            usage=f"%(prog)s {operands}[OPTION ...]",  # required operands first: an option may consume all that follows
            help=COMMANDS[name],
            description=description,
            epilog=_as_called(end),
            formatter_class=argparse.RawDescriptionHelpFormatter,
        )
        command.set_defaults(described=command)
        if operands:
            command.add_argument("config", metavar="CONFIG", type=Path, help="the configuration, such as config.toml")
        return command

    _add_run(add("run", _RUN, _RUN_END))
    _add_check(add("check", _CHECK, _CHECK_END))
    _add_status(add("status", _STATUS, _STATUS_END))
    _add_logs(add("logs", _LOGS, _LOGS_END, "CONFIG [PROCESS ...] "))
    restart = add("restart", _RESTART, _RESTART_END, "CONFIG PROCESS ")
    restart.add_argument("process", metavar="PROCESS", help="its name, as `status` shows it, such as comments")
    _add_gaps(add("gaps", _GAPS, _GAPS_END))
    _add_dead_letters(add("dead-letters", _DEAD_LETTERS, _DEAD_LETTERS_END, "CONFIG [ACTION [ID ...]] "))
    _add_demo(add("demo", _DEMO, _DEMO_END, ""))
    return top


def _as_called(text: str) -> str:
    """Replace the program name in the examples by the name that was called."""
    return text.replace(program.MODULE, program.name())


def _add_run(run: Parser) -> None:
    _add_overrides(run)
    text = "stop by itself, as if asked to, after so many seconds (default: run until asked)"
    run.add_argument("--duration", type=seconds, metavar="SECONDS", help=text)
    text = "stop, as if asked to, when the parent process, which is PID, ends (default: do not look)"
    run.add_argument("--with-parent", type=int, metavar="PID", help=text)


def _add_check(check: Parser) -> None:
    _add_overrides(check)
    text = "also try Reddit, Kafka, the database and each proxy, all at once, for 10 s at most; one line each"
    check.add_argument("--connect", action="store_true", help=f"{text} (default: only read)")


def _add_status(status: Parser) -> None:
    status.add_argument("--json", action="store_true", help="for programs; with --watch one object a line")
    status.add_argument("--watch", action="store_true", help="look again every second, with rates, until Ctrl-C")


def _add_gaps(gaps: Parser) -> None:
    when = "ISO 8601, epoch seconds, or an age such as 2h"
    gaps.add_argument("--since", type=moment, metavar="TIME", help=f"only gaps that end later: {when} (default: all)")
    gaps.add_argument("--until", type=moment, metavar="TIME", help="only gaps that begin earlier (default: all)")
    text = "only what concerns this subreddit; may be repeated (default: all)"
    gaps.add_argument("--subreddit", action="append", default=[], type=subreddit, metavar="NAME", help=text)
    gaps.add_argument("--json", action="store_true", help="a JSON object, for programs (default: a table)")


def _add_logs(logs: Parser) -> None:
    logs.add_argument("process", metavar="PROCESS", nargs="*", help="only of these, such as comments (default: all)")
    text = "so many last lines of each process (default: %(default)s)"
    logs.add_argument("-n", "--lines", type=count, default=20, metavar="LINES", help=text)
    text = "go on with what is written, until Ctrl-C (default: end)"
    logs.add_argument("-f", "--follow", action="store_true", help=text)
    levels = ("debug", "info", "warning", "error", "critical")
    text = f"only what is at least so severe: {', '.join(levels)}; what is no log record, such as the last words of"
    text += " a crash, is always shown (default: everything)"
    logs.add_argument("--level", type=str.lower, choices=levels, metavar="LEVEL", help=text)


def _add_dead_letters(letters: Parser) -> None:
    text = "list (default), resend or drop; after it the IDs, as `list` shows them (default: all)"
    letters.add_argument("words", metavar="ACTION", nargs="*", help=text)
    letters.add_argument("--json", action="store_true", help="for programs (default: a table)")


def _read_dead_letters(options: argparse.Namespace) -> None:
    """Split the words of `dead-letters` into an action and ids."""
    action, *ids = options.words or ["list"]
    if action not in DEAD_LETTER_ACTIONS:
        best = nearest(action, {name: name for name in DEAD_LETTER_ACTIONS})
        meant = f"; {best} may be meant" if likeness(action, best) >= _ALIKE else ""
        options.described.error(f"there is no {action!r}; there are: {', '.join(DEAD_LETTER_ACTIONS)}{meant}")
    wrong = [text for text in ids if not (text.isascii() and text.isdecimal())]
    if wrong:
        options.described.error(f"{wrong[0]!r} is no ID: IDs are the numbers that `list` shows")
    options.action, options.ids = action, [int(text) for text in ids]


def _add_demo(demo: Parser) -> None:
    text = "how long it plays, in seconds; what is late at the end is waited for (default: %(default)g)"
    demo.add_argument("--duration", type=seconds, default=60.0, metavar="SECONDS", help=text)
    text = "keep state and logs in DIR (default: a temporary directory, removed when all is well)"
    demo.add_argument("--keep", type=Path, metavar="DIR", help=text)


def _add_overrides(command: Parser) -> None:
    group = command.add_argument_group("instead of what CONFIG, .env and the environment say")
    group.add_argument(
        "--subreddits", nargs="+", metavar="NAME", help="capture these; CONFIG stands before (reddit.subreddits)"
    )
    text = 'host:port,host:port, or "embedded": a broker in memory, to try things out (kafka.bootstrap_servers)'
    group.add_argument("--kafka-servers", metavar="LIST", help=text)
    group.add_argument("--topic", metavar="NAME", help="the Kafka topic (kafka.topic)")
    text = "any other key, such as supervisor.stats_interval=10s; may be repeated"
    group.add_argument("--set", action="append", default=[], type=assignment, metavar="KEY=VALUE", help=text)
