"""`python -m supervisor backfill`: publishes dumps to the topic."""

import argparse
import contextlib
import os
import re
import signal
import sqlite3
import sys
import threading
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TextIO

from core.config import EMBEDDED, Config, load_config
from core.config.slices import publisher_config
from core.errors import ConfigError, ExitCode, GaplessError, Problem
from core.logging import log_setup
from core.masking.external import masked
from core.masking.printable import printable
from core.stream_kinds import stream_names
from streams.publisher.dump_publisher import PROCESS, Backfill, BackfillOptions, BackfillResult, Progress
from streams.sources.dump_files import STDIN
from streams.sources.dump_record import Wanted
from supervisor.cli.arguments import moment, subreddit
from supervisor.cli.commands import Command
from supervisor.display.formatting import duration
from supervisor.display.terminal import is_terminal

_DESCRIPTION = """\
Publish dumps to the topic: files with a post or a comment as a JSON object in
each line, compressed with zstd, gzip, bzip2 or xz, or not; `-` is standard
input. Records are the same as captured ones, with `source` = `archive`. A run
that was stopped or killed continues where it stopped; a dump that is complete
is not published again. Works with or without a running supervisor. Lines that
are no items are counted, and kept in STATE_DIR/backfill/bad-lines."""

_EPILOG = """\
exit codes:
  0  everything is published, or it was stopped on request: run it again
  1  a dump could not be read to its end, or Kafka refused records
  2  bad command line or configuration

examples:
  python -m supervisor backfill config.toml RC_2023-01.zst --subreddits Bitcoin
  python -m supervisor backfill config.toml RS_*.zst --since 2023-01-01"""

_MEMORY = "3G"
_SIZE = re.compile(r"([0-9]{1,12})([KMGT]?)(?:i?B)?", re.IGNORECASE)
_UNITS = {"": 1, "K": 1024, "M": 1024**2, "G": 1024**3, "T": 1024**4}


def backfill(
    config: Config,
    paths: Sequence[Path],
    options: BackfillOptions,
    *,
    out: TextIO,
    err: TextIO,
    stop: threading.Event | None = None,
) -> ExitCode:
    """Publish the dumps; print the result in the last line."""
    servers = config.kafka.bootstrap_servers
    if servers in ("", EMBEDDED):
        advice = "backfill needs a broker that runs and keeps its records: set its host:port"
        raise ConfigError([Problem("kafka.bootstrap_servers", advice, repr(servers))])
    bar = ProgressLine(err) if is_terminal(err) else None
    with _logging(config), _stopped_by_signals(stop or threading.Event()) as stopping:
        run = Backfill(
            publisher_config(config),
            options,
            log=log_setup.get_logger(PROCESS),
            stop=stopping,
            progress=bar.show if bar else lambda _progress: None,
        )
        try:
            result = run.run(paths)
        except (GaplessError, OSError, sqlite3.Error) as error:
            print(masked(f"backfill ends: {error}"), file=err)
            return ExitCode.GAVE_UP
        finally:
            if bar:
                bar.clear()
    _report(result, out, err)
    return ExitCode.GAVE_UP if result.failures or result.dead else ExitCode.OK


def _report(result: BackfillResult, out: TextIO, err: TextIO) -> None:
    for failure in result.failures:
        print(masked(failure), file=err)
    if result.dead:
        print(f"Kafka refused {result.dead} records permanently: see backfill.log (dead_letter)", file=err)
    if result.other_kind:
        print(f"{result.other_kind} items of another kind are skipped: publish them with --kind", file=err)
    for path in result.bad_files:
        print(f"bad lines are kept in {printable(str(path))}", file=err)
    if result.stopped:
        print("Stopped. The same command continues there.", file=err)
    print(f"{result.published} records published, {result.skipped} skipped, {result.bad} bad lines", file=out)


class ProgressLine:
    """The progress on a terminal, in one line that is overwritten."""

    def __init__(self, err: TextIO) -> None:
        self._err = err

    def show(self, progress: Progress) -> None:
        """Show it."""
        self._err.write("\r" + progress_text(progress)[:79].ljust(79))
        self._err.flush()

    def clear(self) -> None:
        """Remove the line."""
        self._err.write("\r" + " " * 79 + "\r")
        self._err.flush()


def progress_text(progress: Progress) -> str:
    """Return a line of text: share, lines, records, speed and remaining time."""
    speed = progress.consumed / max(progress.seconds, 0.001)
    parts = [f"{progress.number}/{progress.count}" if progress.count > 1 else "", printable(progress.path.name)[:24]]
    if progress.size:
        parts.append(f"{100 * progress.consumed / progress.size:.0f} %")
    parts += [f"{progress.lines:,} lines", f"{progress.records:,} records", f"{speed / 1e6:.1f} MB/s"]
    if progress.blocked:
        parts.append("Kafka does not answer")
    elif progress.size and progress.consumed:
        parts.append(f"{duration((progress.size - progress.consumed) / speed)} left")
    return "  ".join(filter(None, parts))


@contextlib.contextmanager
def _logging(config: Config) -> Iterator[None]:
    settings = config.supervisor
    with os.fdopen(os.open(os.devnull, os.O_WRONLY), "w") as nowhere:
        log_setup.configure(
            PROCESS, settings.log_dir, "json", settings.log_max_bytes, settings.log_backups, stream=nowhere
        )
        yield


@contextlib.contextmanager
def _stopped_by_signals(stop: threading.Event) -> Iterator[threading.Event]:
    if threading.current_thread() is not threading.main_thread():
        yield stop
        return
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _size(text: str) -> int:
    """Parse a number of bytes, such as 512M or 3G."""
    match = _SIZE.fullmatch(text.strip())
    if match is None or not int(match[1]):
        raise argparse.ArgumentTypeError(f"{text!r}: expected a size, such as 512M or 3G")
    return int(match[1]) * _UNITS[match[2].upper()]


def _author(text: str) -> str:
    name = text.strip().removeprefix("/").removeprefix("u/")
    if not name:
        raise argparse.ArgumentTypeError(f"{text!r}: expected the name of an author")
    return name


def _check_files(paths: Sequence[Path], parser: argparse.ArgumentParser) -> None:
    for path in paths:
        if path != STDIN and not path.exists():
            parser.error(f"{str(path)!r}: there is no such file")
        if path.is_dir():
            parser.error(f"{str(path)!r} is a directory: name the files in it")


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    parser.add_argument("files", metavar="FILE", nargs="+", type=Path, help="dumps; -: standard input")
    text = "only items of these, in any case; the files must come before this option (default: all)"
    parser.add_argument("--subreddits", nargs="+", type=subreddit, default=[], metavar="NAME", help=text)
    text = "only items of this author; repeatable (default: all)"
    parser.add_argument("--author", action="append", type=_author, default=[], metavar="NAME", help=text)
    text = "only items created at TIME or later: ISO 8601, epoch seconds, or an age such as 2h (default: all)"
    parser.add_argument("--since", type=moment, metavar="TIME", help=text)
    parser.add_argument("--until", type=moment, metavar="TIME", help="only items created before TIME (default: all)")
    text = "only items of this kind (default: what the first lines of each file are)"
    parser.add_argument("--kind", choices=stream_names(), help=text)
    text = "largest window of a file's compression that is accepted (default: %(default)s; monthly dumps need 2G)"
    parser.add_argument("--memory", type=_size, default=_MEMORY, metavar="SIZE", help=text)


def _run(options: argparse.Namespace) -> int:
    if options.since is not None and options.until is not None and options.since > options.until:
        options.parser.error("--since must not be later than --until")
    paths = [Path(name) for name in options.files]  # those after the options come as texts
    _check_files(paths, options.parser)
    config = load_config(options.config, credentials=False)
    wanted = Wanted(frozenset(options.subreddits), frozenset(options.author), options.since, options.until)
    chosen = BackfillOptions(wanted, options.kind, options.memory, config.streams.payload == "full")
    return backfill(config, paths, chosen, out=sys.stdout, err=sys.stderr)


COMMAND = Command(_DESCRIPTION, _EPILOG, _add_arguments, _run, operands="FILE ...", list_operand="files")
