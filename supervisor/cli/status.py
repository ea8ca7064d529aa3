"""`python -m supervisor status`: prints the state of the system, once or continuously."""

import argparse
import json
import sys
import time
from collections import deque
from collections.abc import Callable
from pathlib import Path
from typing import TextIO

from core.config import load_config
from core.config.slices import status_config
from core.errors import ExitCode
from core.masking.printable import printable_json
from core.status.completeness import longest_silence
from core.status.stream_stats import StreamFlow
from core.status.system_status import read_status
from supervisor.cli.commands import Command
from supervisor.display.status_panel import Panel, Rates
from supervisor.display.terminal import HOME, has_colours, is_terminal, until_reader_closes

_DESCRIPTION = """\
Show the processes and the data flow. Also works when the supervisor is
stopped: then it shows since when, and what the files in state_dir contain."""

_EPILOG = """\
exit codes:
  0  the supervisor runs (/readyz of the monitor shows whether all data flows)
  1  the supervisor does not run, or does not answer within 5 s
  2  bad command line or configuration

examples:
  python -m supervisor status config.toml --watch
  python -m supervisor status config.toml --json"""

_REFRESH_INTERVAL_S = 1.0  # seconds between two samples
_RATE_WINDOW_S = 10.0  # seconds over which rates are averaged


class RateMeter:
    """Items per second, from samples of counters that only grow (or restart from zero with a new spool)."""

    def __init__(self) -> None:
        self._samples: deque[tuple[float, dict[str, StreamFlow]]] = deque()

    def rates(self, now: float, streams: dict[str, StreamFlow]) -> dict[str, Rates]:
        """Add a sample and return each stream's rates; none after the first sample."""
        self._samples.append((now, streams))
        while now - self._samples[0][0] > _RATE_WINDOW_S:
            self._samples.popleft()
        then, before = self._samples[0]
        if now <= then:
            return {}
        return {name: _rates(before[name], stream, now - then) for name, stream in streams.items() if name in before}


def show_status(
    path: Path,
    *,
    as_json: bool,
    watch: bool,
    out: TextIO,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> ExitCode:
    """Print the state, repeatedly with `watch`. Return 0 if the supervisor runs, 1 if it does not or is silent."""
    config = load_config(path, credentials=False)
    max_age = longest_silence(config.streams.max_poll_interval)
    panel = Panel(path, config.supervisor.log_dir, has_colours(out), watch and is_terminal(out), max_age)
    meter = RateMeter()

    def show() -> ExitCode:
        status = read_status(status_config(config), time.time())
        if as_json:
            document = json.dumps(status.document(), indent=None if watch else 2)
            print(printable_json(document), file=out, flush=True)
        else:
            rates = meter.rates(clock(), status.flow.streams) if watch else None
            _show_text(panel.render(status, rates), out, watch=watch)
        return ExitCode.OK if status.runs else ExitCode.GAVE_UP

    code = ExitCode.OK
    with until_reader_closes(out):
        code = show()
        while watch:
            sleep(_REFRESH_INTERVAL_S)
            code = show()
    return code


def _show_text(text: str, out: TextIO, *, watch: bool) -> None:
    if watch and is_terminal(out):
        out.write(f"{HOME}{text}\n")
    else:
        out.write(f"{text}\n\n" if watch else f"{text}\n")
    out.flush()


def _rates(before: StreamFlow, now: StreamFlow, seconds: float) -> Rates:
    return Rates(
        captured=max(0, now.captured - before.captured) / seconds,
        published=max(0, now.published - before.published) / seconds,
    )


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("--json", action="store_true", help="print JSON; with --watch, one object a line")
    parser.add_argument("--watch", action="store_true", help="refresh every second, with rates, until Ctrl-C")


def _run(options: argparse.Namespace) -> int:
    return show_status(options.config, as_json=options.json, watch=options.watch, out=sys.stdout)


COMMAND = Command(_DESCRIPTION, _EPILOG, _add_arguments, _run)
