"""`python -m supervisor dead-letters`: lists, resends or drops the records that Kafka refused permanently."""

import argparse
import contextlib
import json
import os
import sqlite3
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import TextIO

from core import control_client
from core.config import Config, load_config
from core.control_client import ControlError
from core.errors import ExitCode, TransientError
from core.logging import log_setup
from core.masking.external import masked
from core.masking.printable import printable_json
from core.spool.committed_positions import publisher_path, read_publisher_counters
from core.storage.sqlite import connect, transaction
from streams.positions import dead_letters as letters
from streams.positions.dead_letters import StoredLetter
from streams.positions.migrations import upgrade
from supervisor.cli.arguments import suggestion
from supervisor.cli.commands import Command
from supervisor.display.formatting import table, utc_text

_DESCRIPTION = """\
List the records that Kafka refused permanently, with the reason; send them
again, or drop them: all of them, or those with the given IDs. Works while the
supervisor runs (`resend` then waits up to 30 s) and while it is stopped (they
are sent after the next start). A record that is delivered or dropped is no
longer a dead letter; one that Kafka refuses again remains one."""

_EPILOG = """\
exit codes:
  0  listed, dropped, delivered, or waiting to be sent
  1  Kafka refused a record again, or publisher.db cannot be read or written
  2  bad command line or configuration, or no dead letter with that ID

examples:
  python -m supervisor dead-letters config.toml
  python -m supervisor dead-letters config.toml resend
  python -m supervisor dead-letters config.toml drop 3 4"""

_ACTIONS = ("list", "resend", "drop")
_HEADINGS = ("ID", "WHEN", "STREAM", "KEY", "SIZE", "REASON")
_PROCESS = "dead-letters"  # the name of the log of these actions

_LOGGED_AT_ONCE = 50  # dead letters per log line

_POLL_INTERVAL_S = 0.1
_RESEND_TIMEOUT_S = 30.0  # seconds to wait for a running publisher to deliver the requested records


def dead_letters(
    path: Path,
    action: str,
    ids: Sequence[int],
    *,
    as_json: bool,
    out: TextIO,
    err: TextIO,
    sleep: Callable[[float], None] = time.sleep,
    clock: Callable[[], float] = time.monotonic,
) -> ExitCode:
    """Do `action` with these dead letters, or with all. Return 1 if one was refused again, 2 for an unknown id."""
    config = load_config(path, credentials=False)
    with _opened(config.supervisor.state_dir) as connection:
        known = letters.list_letters(connection) if connection is not None else []
        unknown = sorted(set(ids) - {letter.id for letter in known})
        if unknown:
            existing = f"there are: {_numbers(letter.id for letter in known)}" if known else "there are none"
            print(f"no dead letter has the ID {_numbers(unknown)}; {existing}", file=err)
            return ExitCode.BAD_USAGE
        chosen = [letter for letter in known if letter.id in ids or not ids]
        if action == "list":
            _print(chosen, config.supervisor.state_dir, as_json=as_json, out=out)
            return ExitCode.OK
        if connection is None or not chosen:
            _print_result({action: 0}, "There are no dead letters.", as_json=as_json, out=out)
            return ExitCode.OK
        if action == "drop":
            return _drop(connection, chosen, config, as_json=as_json, out=out)
        with transaction(connection):
            letters.request_resend(connection, letters.list_letters(connection) if not ids else chosen)
        _log(config, "dead_letters_resend_requested", chosen)
        if _publisher_runs(config.supervisor.state_dir):
            deadline = clock() + _RESEND_TIMEOUT_S
            while clock() < deadline and any(one.resending for one in _left(connection, chosen)):
                sleep(_POLL_INTERVAL_S)
        return _report(chosen, _left(connection, chosen), as_json=as_json, out=out)


@contextlib.contextmanager
def _opened(state_dir: Path) -> Iterator[sqlite3.Connection | None]:
    """Open publisher.db with its current tables; None if there is no file."""
    path = publisher_path(state_dir)
    if not path.exists():
        yield None
        return
    try:
        with contextlib.closing(connect(path, cache_kib=512)) as connection:
            # a file without tables is new, or was never used
            yield connection if upgrade(connection) else None
    except sqlite3.Error as error:
        raise TransientError(f"{path} cannot be read or written at the moment: {error}") from error


def _drop(
    connection: sqlite3.Connection, chosen: Sequence[StoredLetter], config: Config, *, as_json: bool, out: TextIO
) -> ExitCode:
    with transaction(connection):
        ids = {one.id for one in chosen}
        found = [one for one in letters.list_letters(connection) if one.id in ids]
        dropped = [one for one in found if not one.resending]
        letters.drop(connection, dropped)
    _log(config, "dead_letters_dropped", dropped)
    text = f"{_count(len(dropped))} dropped, {sum(one.size for one in dropped):,} bytes."
    if len(found) > len(dropped):
        text += f" Not dropped, because they are being sent again: {_numbers(one.id for one in found if one.resending)}"
    _print_result({"drop": len(dropped), "on_the_way": len(found) - len(dropped)}, text, as_json=as_json, out=out)
    return ExitCode.OK


def _left(connection: sqlite3.Connection, chosen: Sequence[StoredLetter]) -> list[StoredLetter]:
    """Return those of the chosen that are still dead letters."""
    ids = {one.id for one in chosen}
    return [one for one in letters.list_letters(connection) if one.id in ids]


def _report(chosen: Sequence[StoredLetter], left: Sequence[StoredLetter], *, as_json: bool, out: TextIO) -> ExitCode:
    waiting = [one for one in left if one.resending]
    refused = [one for one in left if not one.resending]
    lines = []
    if delivered := len(chosen) - len(left):
        lines.append(f"{_count(delivered)} delivered.")
    if waiting:
        lines.append(
            f"{_count(len(waiting))} waiting: the publisher sends them when it runs and Kafka accepts records."
        )
    lines += [f"{one.id}: Kafka refused it again: {masked(one.reason)}" for one in refused]
    numbers = {"resend": len(chosen), "delivered": delivered, "on_the_way": len(waiting), "refused": len(refused)}
    _print_result(numbers, "\n".join(lines), as_json=as_json, out=out)
    return ExitCode.GAVE_UP if refused else ExitCode.OK


def _print(chosen: Sequence[StoredLetter], state_dir: Path, *, as_json: bool, out: TextIO) -> None:
    counters = read_publisher_counters(state_dir)
    resent, dropped = counters.get("dead_letters_resent", 0), counters.get("dead_letters_dropped", 0)
    if as_json:
        listed = [asdict(one) | {"reason": masked(one.reason), "at_time": utc_text(one.at)} for one in chosen]
        document = {"dead_letters": listed, "resent": resent, "dropped": dropped}
        print(printable_json(json.dumps(document, indent=2)), file=out)
        return
    if chosen:
        print(table([_HEADINGS, *map(_row, chosen)], right=(0, 4)), file=out)
    totals = f"In total, {resent:,} resent and {dropped:,} dropped."
    print(f"{_count(len(chosen)) if chosen else 'No dead letters'}. {totals}", file=out)


def _row(letter: StoredLetter) -> tuple[str, ...]:
    name = letter.reason.partition(":")[0]
    reason = f"{name} (being sent again)" if letter.resending else name
    return str(letter.id), utc_text(letter.at)[:16] + "Z", letter.stream, letter.key, _size(letter.size), reason


def _size(number: int) -> str:
    kilobytes, megabytes = number / 1000, number / 1_000_000
    return f"{number} B" if number < 1000 else f"{kilobytes:.1f} kB" if kilobytes < 1000 else f"{megabytes:.1f} MB"


def _print_result(numbers: dict[str, int], text: str, *, as_json: bool, out: TextIO) -> None:
    print(json.dumps(numbers) if as_json else text, file=out)


def _count(number: int) -> str:
    return f"{number:,} dead letter{'' if number == 1 else 's'}"


def _numbers(ids: Iterable[int]) -> str:
    return ", ".join(map(str, ids))


def _publisher_runs(state_dir: Path) -> bool:
    try:
        processes = control_client.ask(state_dir, {"command": "status"})["processes"]
    except ControlError:
        return False
    return any(process["name"] == "publisher" and process["state"] == "RUNNING" for process in processes)


def _log(config: Config, event: str, chosen: Sequence[StoredLetter]) -> None:
    """Log the action, in a log of its own, because the supervisor may not run."""
    settings = config.supervisor
    file = log_setup.child_file(_PROCESS, settings.log_dir, settings.log_max_bytes, settings.log_backups)
    which = [{"id": one.id, "stream": one.stream, "seq": one.seq, "key": one.key, "size": one.size} for one in chosen]
    for start in range(0, len(which), _LOGGED_AT_ONCE):
        part = which[start : start + _LOGGED_AT_ONCE]
        file.append(log_setup.compose(_PROCESS, os.getpid(), "warning", event, count=len(part), letters=part))
    file.close()


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    text = "list (default), resend or drop; then the IDs, as `list` shows them (default: all)"
    parser.add_argument("words", metavar="ACTION", nargs="*", help=text)
    parser.add_argument("--json", action="store_true", help="print a JSON object (default: a table)")


def _run(options: argparse.Namespace) -> int:
    action, ids = _read_words(options)
    return dead_letters(options.config, action, ids, as_json=options.json, out=sys.stdout, err=sys.stderr)


def _read_words(options: argparse.Namespace) -> tuple[str, list[int]]:
    """Split the operands into an action and IDs; exit with an error if they are not."""
    action, *ids = options.words or ["list"]
    if action not in _ACTIONS:
        options.parser.error(
            f"unknown action {action!r}; there are: {', '.join(_ACTIONS)}{suggestion(action, _ACTIONS)}"
        )
    wrong = [text for text in ids if not (text.isascii() and text.isdecimal())]
    if wrong:
        options.parser.error(f"{wrong[0]!r} is not an ID; IDs are the numbers that `list` shows")
    return action, [int(text) for text in ids]


COMMAND = Command(_DESCRIPTION, _EPILOG, _add_arguments, _run, operands="[ACTION [ID ...]]", list_operand="words")
