"""Reads delivered records from the spools of the streams, and adds each item to the duties."""

import re
import sqlite3
from collections.abc import Callable
from datetime import datetime
from pathlib import Path
from typing import Any

import orjson
import structlog

from core.record_value import REDDIT, own_fields
from core.spool import SpoolReader
from core.spool.committed_positions import read_positions
from core.stream_kinds import StreamKind
from streams.changes.duties import Duties, NewDuty
from streams.changes.duty_block import Duty
from streams.changes.look import known_of, shown_of
from streams.changes.schedule import Schedule

#: Rows of one transaction.
_PORTION = 1000

#: A fullname that can be put into a request.
_NAME = re.compile(r"t[0-9]_[0-9a-z]{1,13}")


class Follower:
    """Follows the spools of the streams up to the delivered position of Kafka.

    Only delivered items are looked at again: so no change, and no tombstone, precedes the record of its item.

    Args:
        state_dir: the folder of the spools.
        kinds: of the streams that are followed.
        duties: where items and positions are stored.
        schedule: of the looks.
        log: of the process.
        clock: epoch seconds.
    """

    def __init__(
        self,
        state_dir: Path,
        kinds: tuple[StreamKind, ...],
        duties: Duties,
        schedule: Schedule,
        *,
        log: structlog.stdlib.BoundLogger,
        clock: Callable[[], float],
    ) -> None:
        self._state_dir = state_dir
        self._kinds = kinds
        self._duties = duties
        self._schedule = schedule
        self._log = log
        self._clock = clock
        self._readers: dict[str, SpoolReader] = {}
        self._failing: set[str] = set()
        #: the fullname of the item that was delivered last
        self.newest: str | None = None
        #: records that are not looked at again, since this was last set to 0
        self.skipped = 0

    def follow(self) -> int:
        """Read one portion of each spool; return how many rows there were. Raises ChangesFileError."""
        try:
            delivered = read_positions(self._state_dir)
        except sqlite3.Error as error:
            self._failed("publisher", error)
            return 0
        self._failing.discard("publisher")
        return sum(self._follow_one(kind, delivered) for kind in self._kinds)

    def _follow_one(self, kind: StreamKind, delivered: dict[str, int]) -> int:
        try:
            reader = self._reader(kind.name)
            if reader is None:
                return 0
            end, after = delivered.get(reader.spool_id, 0), self._duties.position(reader.spool_id)
            if after >= end:
                return 0
            rows = reader.read_plain(after, min(_PORTION, end - after))
        except sqlite3.Error as error:
            self._failed(kind.name, error)
            return 0
        self._failing.discard(kind.name)
        rows = [row for row in rows if row[0] <= end]
        # rows up to `end` that are not there any more were pruned, and the writer of the spool has counted them
        seq = rows[-1][0] if rows else end
        duties = [one for row in rows if (one := self._duty(kind, *row[1:])) is not None]
        self.skipped += len(rows) - len(duties)
        self._duties.add(duties, stream=kind.name, spool_id=reader.spool_id, seq=seq)
        if duties:
            self.newest = f"{kind.prefix}_{duties[-1].duty.id}"
        return len(rows)

    def _reader(self, stream: str) -> SpoolReader | None:
        reader = self._readers.get(stream)
        if reader is not None and reader.moved():
            del self._readers[stream]
            reader.close()
            reader = None
        if reader is None:
            reader = SpoolReader.open(self._state_dir, stream)
            if reader is not None:
                self._readers[stream] = reader
        return reader

    def _failed(self, what: str, error: sqlite3.Error) -> None:
        if what not in self._failing:
            self._failing.add(what)
            self._log.warning("spool_not_followed", spool=what, error=str(error), hint="it is tried again")

    def _duty(self, kind: StreamKind, key: bytes, value: bytes, schema: str) -> NewDuty | None:
        """Return the duty of a record; None for one that is not looked at again."""
        name = key.decode(errors="replace")
        if schema != kind.schema or not _NAME.fullmatch(name) or not name.startswith(f"{kind.prefix}_"):
            return None
        try:
            content = _content(value)
            data = content.get(REDDIT)
            known = known_of(shown_of(content, data if isinstance(data, dict) else {}))
            # a clock that was ahead at the capture
            captured_at = min(datetime.fromisoformat(content["timestamp"]).timestamp(), self._clock())
            created = content["created_utc"]
            subreddit = str(content["subreddit"])
        except (ValueError, KeyError, TypeError, AttributeError):
            return None  # a record of another program
        created = int(captured_at) if created is None else int(created)
        due = self._schedule.first_due(created, captured_at)
        if due is None:
            return None  # it was captured after its last age
        return NewDuty(kind.name, subreddit, due, Duty(name.partition("_")[2], created, 0, known))

    def close(self) -> None:
        """Close the spools."""
        for reader in self._readers.values():
            reader.close()
        self._readers.clear()


def _content(value: bytes) -> dict[str, Any]:
    """Return a decoded record; without what Reddit served if that is nested too deeply. Raises ValueError."""
    try:
        content = orjson.loads(value)
    except orjson.JSONDecodeError:
        return own_fields(value)
    if not isinstance(content, dict):
        raise ValueError("a record is a JSON object")  # noqa: TRY004 (one error for all that is none)
    return content
