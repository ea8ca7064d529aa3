"""`python -m supervisor audit`: checks an independent sample, and prints an upper bound of what is missing."""

import argparse
import contextlib
import json
import os
import signal
import sqlite3
import sys
import threading
from collections.abc import Callable, Iterator, Mapping
from typing import Protocol, TextIO

from core.config import Config, load_config
from core.config.constraints import needed_credentials
from core.errors import ExitCode, GaplessError
from core.logging import log_setup
from core.masking.external import masked
from core.masking.printable import printable_json
from core.status.audit_bound import AuditReport
from core.status.audit_status import audited_streams, read_report
from core.status.audit_store import audit_path
from supervisor.cli.arguments import count, moment, seconds
from supervisor.cli.commands import Command
from supervisor.display.audit_report import audit_text
from supervisor.display.terminal import is_terminal

_DESCRIPTION = """\
Draw a random sample of items from sources that do not depend on the capture
(comment trees, random post ids, each subreddit's own listing), check whether
each was captured, and print an upper bound of what is missing. Items in gaps
of the ledger, and items that were removed first, are reported apart. What is
found missing is captured. Requests use spare quota only; the observations of
the background audit and of earlier calls count too. Works with or without a
running supervisor. Without access to Reddit it reports on what is stored."""

_EPILOG = """\
exit codes:
  0  reported, whatever was found
  1  the observations cannot be read or written
  2  bad command line or configuration

examples:
  python -m supervisor audit config.toml --items 3000
  python -m supervisor audit config.toml --items 0 --since 7d --json"""

#: The name of its log, and of its requests in the quota.
_PROCESS = "audit"

_BROKEN = "A file that is broken is moved aside when the audit samples next."

_ITEMS = 1000
_TIMEOUT_S = 900.0


class Sampled(Protocol):
    """The result of one stream (streams.audit.command.StreamAudit)."""

    sampled: int
    waiting: int
    ended: str
    unused: Mapping[str, str]


#: Samples: (configuration, items, progress) to the result of each stream.
Sampler = Callable[[Config, int, Callable[[int, int], None]], Mapping[str, Sampled]]


def show_audit(
    config: Config,
    *,
    items: int,
    sampler: Sampler,
    since: float | None = None,
    until: float | None = None,
    as_json: bool,
    out: TextIO,
    err: TextIO,
) -> ExitCode:
    """Sample `items` items, then report on all stored observations of items created from `since` to `until`."""
    if since is not None and until is not None and since > until:
        print("--since must not be later than --until", file=err)
        return ExitCode.BAD_USAGE
    results: Mapping[str, Sampled] = {}
    if items:
        results = _sampled(config, items, sampler, err)
    streams = audited_streams(config.streams.enabled)
    try:
        report = read_report(
            config.supervisor.state_dir,
            streams,
            float("-inf") if since is None else since,
            float("inf") if until is None else until,
        )
    except sqlite3.Error as error:
        files = ", ".join(str(audit_path(config.supervisor.state_dir, stream)) for stream in streams)
        print(f"The observations cannot be read ({files}): {error}. {_BROKEN}", file=err)
        return ExitCode.GAVE_UP
    _print(report, config, results, as_json=as_json, out=out)
    return ExitCode.OK


def _sampled(config: Config, items: int, sampler: Sampler, err: TextIO) -> Mapping[str, Sampled]:
    """Sample; where that is not possible, say so: the stored observations are reported all the same."""
    stored = "so this is about the stored observations"
    if missing := [name for name in needed_credentials(config) if not getattr(config.reddit, name)]:
        print(f"Nothing new was sampled, {stored}: missing for Reddit: {', '.join(missing)}.", file=err)
        return {}
    try:
        results = sampler(config, items, _progress(err))
    except (GaplessError, sqlite3.Error, OSError, ImportError) as error:
        where = f" (a file in {config.supervisor.state_dir})" if isinstance(error, sqlite3.Error) else ""
        print(f"Nothing more could be sampled, {stored}: {masked(str(error))}{where}", file=err)
        return {}
    for stream, result in results.items():
        if result.ended:
            print(f"{stream}: {result.sampled:,} items sampled, then: {masked(result.ended)}", file=err)
        if result.waiting:
            print(f"{stream}: {result.waiting:,} items wait for a second look and are not counted yet", file=err)
    return results


def _print(report: AuditReport, config: Config, results: Mapping[str, Sampled], *, as_json: bool, out: TextIO) -> None:
    if as_json:
        print(printable_json(json.dumps(report.document(), indent=2, ensure_ascii=False)), file=out)
        return
    unused = {stream: result.unused for stream, result in results.items()}
    lines = audit_text(report, config.subreddits, unused).splitlines()
    print("\n".join(map(masked, lines)), file=out)


def _progress(err: TextIO) -> Callable[[int, int], None]:
    """Return a function that shows the progress on a terminal."""
    if not is_terminal(err):
        return lambda _sampled, _items: None

    def show(sampled: int, items: int) -> None:
        err.write(f"\rsampled {min(sampled, items):,} of {items:,}" + ("\n" if sampled >= items else ""))
        err.flush()

    return show


def _sample(timeout: float) -> Sampler:
    """Return the sampler; it ends early, and keeps what it has, after `timeout` seconds and on Ctrl-C."""

    def sample(config: Config, items: int, progress: Callable[[int, int], None]) -> Mapping[str, Sampled]:
        from streams.audit.command import run_audit  # noqa: PLC0415  PRAW, which other commands do not need

        settings = config.supervisor
        with os.fdopen(os.open(os.devnull, os.O_WRONLY), "w") as nowhere, _stopped_by_signals() as stop:
            log_setup.configure(
                _PROCESS, settings.log_dir, "json", settings.log_max_bytes, settings.log_backups, stream=nowhere
            )
            log = log_setup.get_logger(_PROCESS)
            results: Mapping[str, Sampled] = run_audit(config, items, timeout, log=log, stop=stop, progress=progress)
        return results

    return sample


@contextlib.contextmanager
def _stopped_by_signals() -> Iterator[threading.Event]:
    stop = threading.Event()
    before = {number: signal.signal(number, lambda *_: stop.set()) for number in (signal.SIGINT, signal.SIGTERM)}
    try:
        yield stop
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    text = "sample this number of items, of all streams together; 0: report on what is stored (default: %(default)s)"
    parser.add_argument("--items", type=count, default=_ITEMS, metavar="COUNT", help=text)
    text = "only items created after TIME: ISO 8601, epoch seconds, or an age such as 2h (default: all that are stored)"
    parser.add_argument("--since", type=moment, metavar="TIME", help=text)
    parser.add_argument("--until", type=moment, metavar="TIME", help="only items created before TIME (default: all)")
    text = "end the sampling after this time, and report on what there is (default: %(default)s)"
    parser.add_argument("--timeout", type=seconds, default=_TIMEOUT_S, metavar="SECONDS", help=text)
    parser.add_argument("--json", action="store_true", help="print a JSON object (default: a sentence and a table)")


def _run(options: argparse.Namespace) -> int:
    return show_audit(
        load_config(options.config, credentials=False),
        items=options.items,
        sampler=_sample(options.timeout),
        since=options.since,
        until=options.until,
        as_json=options.json,
        out=sys.stdout,
        err=sys.stderr,
    )


COMMAND = Command(_DESCRIPTION, _EPILOG, _add_arguments, _run)
