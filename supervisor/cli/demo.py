"""`python -m supervisor demo`: runs the whole system on this machine, and verifies that nothing is lost."""

import argparse
from pathlib import Path

from supervisor.cli.arguments import seconds
from supervisor.cli.commands import Command
from supervisor.processes.control_inbox import ControlInbox

_DESCRIPTION = """\
Run the whole system on this machine against a simulated Reddit, with injected
faults, a burst, a killed process, items that are edited, removed or deleted
seconds later, and a crawl through two proxies, one of which fails and
recovers. At the end, compare the topics and the database with what the
simulated Reddit has shown, and audit a random sample. Needs no account."""

_EPILOG = """\
exit codes:
  0  verified: nothing was lost
  1  something was lost or is incomplete, or there is no result; the last lines
     say what
  2  bad command line, or a package that the demo needs is not installed
  3  the stop deadline passed, and a process was killed

example:
  python -m supervisor demo --duration 120 --keep /tmp/gapless"""


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    text = "length in seconds; after it the demo waits for late items (default: %(default)g)"
    parser.add_argument("--duration", type=seconds, default=60.0, metavar="SECONDS", help=text)
    text = "keep state and logs in DIR (default: a temporary directory, removed after a success)"
    parser.add_argument("--keep", type=Path, metavar="DIR", help=text)


def _run(options: argparse.Namespace) -> int:
    inbox = ControlInbox()
    inbox.install()  # before the other imports, as for `run`
    from supervisor.demo.run_demo import demo  # noqa: PLC0415

    return demo(options.duration, options.keep, inbox)


COMMAND = Command(_DESCRIPTION, _EPILOG, _add_arguments, _run, reads_config=False, handles_signals=True)
