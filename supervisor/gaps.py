"""`python -m supervisor gaps`: the loss ledger, every interval that could not be proven complete."""

import contextlib
import json
import sqlite3
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, TextIO

from core.errors import ExitCode
from core.spool import SpoolReader
from core.spool.model import Gap
from core.statistics import STREAMS
from supervisor.table import table

_HEADINGS = ("STREAM", "FROM", "TO", "REASON", "FOUND", "REPAIRED", "SUBREDDITS")


def show_gaps(state_dir: Path, *, as_json: bool, out: TextIO, err: TextIO) -> ExitCode:
    """Print the ledger of both streams, running or stopped."""
    ledgers: dict[str, list[Gap]] = {}
    code = ExitCode.OK
    for stream in STREAMS:
        try:
            reader = SpoolReader.open(state_dir, stream)
            if reader is not None:
                with contextlib.closing(reader):
                    ledgers[stream] = reader.gaps()
        except sqlite3.DatabaseError as error:
            print(f"the ledger of {stream} cannot be read ({error}); is {state_dir} the right state_dir?", file=err)
            code = ExitCode.GAVE_UP
    gaps = [gap for ledger in ledgers.values() for gap in ledger]
    if as_json:
        print(json.dumps([_as_json(gap) for gap in gaps], indent=2, ensure_ascii=False), file=out)
    elif gaps:
        print(table([_HEADINGS, *map(_as_row, gaps)]), file=out)
    elif code is ExitCode.OK:
        nothing = f"Nothing was captured into {state_dir} yet."
        print(f"No gaps: {' and '.join(ledgers)} are proven contiguous." if ledgers else nothing, file=out)
    return code


def _as_json(gap: Gap) -> dict[str, Any]:
    """Give moments in seconds, comparable with created_utc, and as text; "since before we know" is 0."""
    return {
        "stream": gap.stream,
        "subreddits": list(gap.unproven or gap.subreddits),
        "from": gap.start or 0.0,
        "to": gap.end,
        "from_time": _moment(gap.start) if gap.start else None,
        "to_time": None if gap.end is None else _moment(gap.end),
        "reason": gap.reason,
        "found": gap.found,
        "state": gap.state.value,
        "recorded_at": _moment(gap.recorded_at),
        "closed_at": _moment(gap.closed_at) if gap.closed_at else None,
    }


def _as_row(gap: Gap) -> tuple[str, ...]:
    start = _moment(gap.start) if gap.start else "the beginning"
    repaired = "yes" if gap.repaired else "no"
    names = " ".join(gap.unproven or gap.subreddits)
    end = "still away" if gap.end is None else _moment(gap.end)
    return gap.stream, start, end, gap.reason, str(gap.found), repaired, names


def _moment(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
