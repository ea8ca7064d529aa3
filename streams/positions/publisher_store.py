"""The publisher's own file: each sink's position in each source, the dead letters, the deployment's identity."""

import contextlib
import json
import sqlite3
import time
import uuid
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import structlog

from core.spool.committed_positions import publisher_path
from core.spool.spool_files import move_aside, put_in_place, remove_database, sync_directory
from core.spool.spool_state import SpoolState
from core.storage.file_guard import FileChange, FileGuard
from core.storage.sqlite import connect, is_sound, is_unreadable, transaction
from streams.positions import dead_letters as letters
from streams.positions import migrations
from streams.positions.dead_letters import DeadLetter
from streams.positions.store_note import Note, read_note, report_loss, write_note

#: The sink that owned every position before there were others.
KAFKA = "kafka"

#: An older copy put in the place of a spool must not replace the state of the newer one.
_KEEP_NEWEST = (
    "INSERT INTO spool_states VALUES (?, ?, ?, ?, ?) ON CONFLICT DO UPDATE"
    " SET commits = excluded.commits, state = excluded.state, at = excluded.at WHERE excluded.commits >= commits"
)

#: Spools remembered per stream: each loss leaves one.
_FORGET = (
    "DELETE FROM spool_states WHERE stream = ? AND spool_id NOT IN"
    " (SELECT spool_id FROM spool_states WHERE stream = ? ORDER BY at DESC LIMIT 8)"
)


@dataclass(frozen=True, slots=True)
class Position:
    """Every record of a source up to `seq` is delivered to the sink, or a dead letter."""

    stream: str
    spool_id: str
    seq: int
    sink: str = KAFKA


class PublisherStore:
    """Reads and writes publisher.db. Every `save` is one durable transaction."""

    def __init__(self, path: Path, connection: sqlite3.Connection, clock: Callable[[], float] = time.time) -> None:
        self._path = path
        self._connection = connection
        self._clock = clock
        identity = dict(connection.execute("SELECT name, value FROM identity"))
        self.deployment_id = str(identity["deployment"])
        #: the spool_id under which dead letters are resent
        self.resends_id = str(identity["resends"])
        #: the sinks that every record must reach
        self.sinks = tuple(str(name) for (name,) in connection.execute("SELECT name FROM sinks ORDER BY name"))
        #: by stream, its spool's state at a moment up to which it is delivered; written with the next `save`
        self.remembered: dict[str, SpoolState] = {}
        #: by spool_id, what the topic held before it was sent, as JSON; written with the next `save`
        self.ends: dict[str, str] = {}
        self._saves = self._read_saves()
        self._letters = self._count_letters()
        self._data_version = self._read_data_version()
        self._guard = FileGuard(path, sole_writer=True)
        self._guard.learn()

    @classmethod
    def open(
        cls,
        state_dir: Path,
        log: structlog.stdlib.BoundLogger,
        *,
        deployment_id: str | None = None,
        clock: Callable[[], float] = time.time,
        sinks: Sequence[str] = (KAFKA,),
    ) -> "PublisherStore":
        """Open or create the file; move a broken one aside and log that. A new one takes `deployment_id`, if given.

        `sinks` are those that records must reach before they may be dropped; a name is never reused for another sink.
        """
        state_dir.mkdir(parents=True, exist_ok=True)
        path = publisher_path(state_dir)
        note, there = read_note(state_dir), path.exists()
        silent = deployment_id is not None  # the code that replaces a file has logged the reason
        if there and not (path.is_file() and is_sound(path)):
            silent = True
            log.error(
                "positions_moved_aside",
                moved_to=str(move_aside(path)),
                hint="the file is corrupt: the records in the spools are sent again",
            )
        # a new file of the same deployment: Kafka then ends the open transaction of the former one
        known = deployment_id or (note.deployment if note else uuid.uuid4().hex)
        connection = connect(path, cache_kib=512)
        try:
            _ensure_tables(connection, known)
            _name_sinks(connection, sinks)
            store = cls(path, connection, clock)
            if not silent:
                report_loss(note, store.note() if there else None, log)
            write_note(state_dir, store.note())
        except BaseException:
            connection.close()
            raise
        return store

    def positions(self) -> list[Position]:
        """Return all positions as last saved."""
        rows = self._connection.execute("SELECT stream, spool_id, seq, sink FROM sink_positions")
        return [Position(*row) for row in rows]

    def save(
        self,
        positions: Sequence[Position] = (),
        counts: Mapping[str, int] | None = None,
        dead_letters: Sequence[DeadLetter] = (),
    ) -> None:
        """Write positions and remembered states, add to counters and store dead letters, all or nothing.

        A dead letter counts once the position has passed it: until then the record may be sent again, and arrive.
        """
        now = self._clock()
        try:
            self._save(positions, counts or {}, dead_letters, now)
        finally:
            self._guard.wrote()
        self._saves += 1
        self.remembered.clear()
        self.ends.clear()
        write_note(self._path.parent, self.note())

    def note(self) -> Note:
        """Return the file's identity and counts, as for its note."""
        return Note(self.deployment_id, self._saves, self._letters)

    def _save(
        self,
        positions: Sequence[Position],
        counts: Mapping[str, int],
        dead_letters: Sequence[DeadLetter],
        now: float,
    ) -> None:
        counted = Counter(counts)
        with transaction(self._connection) as connection:
            connection.execute("INSERT OR REPLACE INTO identity VALUES ('saves', ?)", (str(self._saves + 1),))
            for letter in dead_letters:
                if letter.spool_id == self.resends_id:
                    letters.record_refusal(connection, letter.seq, letter.reason, now)
                else:
                    letters.store(connection, letter, now)
            connection.executemany(
                "INSERT OR REPLACE INTO sink_positions VALUES (?, ?, ?, ?, ?)",
                [(one.sink, one.spool_id, one.stream, one.seq, now) for one in positions],
            )
            for position in positions:
                if position.sink != KAFKA:
                    continue  # dead letters are Kafka's
                if position.spool_id == self.resends_id:
                    counted["dead_letters_resent"] += letters.remove_resent(connection, position.seq)
                else:
                    counted["dead_letters"] += letters.finalize(connection, position.spool_id, position.seq)
            connection.executemany(letters.COUNT, [(name, amount) for name, amount in counted.items() if amount])
            for stream, state in self.remembered.items():
                connection.execute(_KEEP_NEWEST, (stream, state.spool_id, state.commits, state.to_json(), now))
                connection.execute(_FORGET, (stream, stream))
            ends = [(spool_id, text, now) for spool_id, text in self.ends.items()]
            connection.executemany("INSERT OR REPLACE INTO topic_ends VALUES (?, ?, ?)", ends)
            changed = bool(dead_letters) or counted["dead_letters_resent"] > 0
            held = self._count_letters() if changed else self._letters
        self._letters = held

    def _count_letters(self) -> int:
        return int(self._connection.execute("SELECT count(*) FROM dead_letters").fetchone()[0])

    def fault(self) -> FileChange | None:
        """Return what happened to the file, None while it is this publisher's; costs a few stat calls.

        Raises OSError or sqlite3.Error if that cannot be determined now.
        """
        fault = self._guard.change()
        if fault is not FileChange.CHANGED:
            return fault
        try:
            self._connection.execute("PRAGMA shrink_memory")
            version, saves = self._read_data_version(), self._read_saves()
            # another program's transaction is allowed; a copy written over the file is not
            held = self._count_letters()
            sound = version != self._data_version or (held == self._letters and is_sound(self._path))
            ours = saves == self._saves and sound
        except sqlite3.DatabaseError as error:
            if not is_unreadable(error):
                raise
            return fault
        if not ours:
            return fault
        self._data_version, self._letters = version, held
        self._guard.wrote()
        return None

    def copy_back(self) -> Path | None:
        """Recreate the file from the open one, which lost its path; return where a foreign file there was moved.

        Nothing is written to the open one; the caller closes it. Raises OSError or sqlite3.Error on failure.
        """
        self._path.parent.mkdir(parents=True, exist_ok=True)
        building = self._path.with_name(self._path.name + ".building")
        remove_database(building)
        with contextlib.closing(sqlite3.connect(building)) as target:
            self._connection.backup(target)
        moved = put_in_place(building, self._path)
        sync_directory(self._path.parent)
        return moved

    def move_aside(self) -> Path:
        """Rename the file, whose content is foreign, and return its new name."""
        return move_aside(self._path)

    def _read_saves(self) -> int:
        row = self._connection.execute("SELECT value FROM identity WHERE name = 'saves'").fetchone()
        return int(row[0]) if row else 0

    def _read_data_version(self) -> int:
        return int(self._connection.execute("PRAGMA data_version").fetchone()[0])

    def surveyed(self) -> set[str]:
        """Return the spools for which it is stored what the topic held before them."""
        return {str(spool_id) for (spool_id,) in self._connection.execute("SELECT spool_id FROM topic_ends")}

    def counters(self) -> dict[str, int]:
        """Return the durable counters."""
        return dict(self._connection.execute("SELECT name, value FROM counters"))

    def withdraw(self, spool_id: str, seq: int) -> None:
        """Delete the dead letters of a spool beyond the position from which it is resent."""
        try:
            with transaction(self._connection) as connection:
                letters.withdraw(connection, spool_id, seq)
            self._letters = self._count_letters()
        finally:
            self._guard.wrote()

    def dead_letters_between(self, spool_id: str, after: int, until: int) -> int:
        """Return the number of dead letters in a range of a spool."""
        return letters.count_between(self._connection, spool_id, after, until)

    def close(self) -> None:
        """Release the file."""
        self._connection.close()


def _ensure_tables(connection: sqlite3.Connection, deployment_id: str) -> None:
    """Create the tables in a new file, or migrate those of an older version."""
    if migrations.upgrade(connection):
        return
    with transaction(connection):
        migrations.migrate(connection)
        connection.execute("INSERT OR IGNORE INTO identity VALUES ('deployment', ?)", (deployment_id,))


def _name_sinks(connection: sqlite3.Connection, sinks: Sequence[str]) -> None:
    """Store the current sinks; the positions of others stay, and delay nothing."""
    with transaction(connection):
        connection.execute("DELETE FROM sinks WHERE name NOT IN (SELECT value FROM json_each(?))", (json.dumps(sinks),))
        connection.executemany("INSERT OR IGNORE INTO sinks VALUES (?)", [(name,) for name in sinks])
