"""Keeps each sink's position in each source, in memory and, a moment later, on disk."""

import sqlite3
from collections import Counter
from collections.abc import Callable

import structlog

from core.periodic import Timer
from core.spool.spool_state import SpoolState
from core.storage.file_guard import FileChange
from core.storage.sqlite import is_corrupt
from streams.positions.dead_letters import DeadLetter
from streams.positions.publisher_store import KAFKA, Position, PublisherStore

#: Minimum seconds between writes of the positions: one fsync for many records instead of one for each.
_SAVE_EVERY_S = 0.15
#: Seconds until a failed write or check is retried.
_RETRY_AFTER_S = 1.0
#: Seconds between checks that the file is still at its path.
_CHECK_EVERY_S = 0.25


class PositionWriter:
    """Collects positions, counts and dead letters, and writes them in one transaction.

    What cannot be written (a full disk) stays in memory and is retried: the records themselves are in Kafka, and a
    position that lags can only repeat records, not lose them.
    """

    def __init__(
        self,
        open_store: Callable[[str | None], PublisherStore],
        log: structlog.stdlib.BoundLogger,
        clock: Callable[[], float],
    ) -> None:
        self._open_store = open_store
        self._log = log
        self._clock = clock
        self._store = open_store(None)
        self.deployment_id = self._store.deployment_id
        self._positions = {(position.sink, position.spool_id): position for position in self._store.positions()}
        self._changed: dict[tuple[str, str], Position] = {}
        self._counts: Counter[str] = Counter()
        self._dead_letters: list[DeadLetter] = []
        self._totals: Counter[str] = Counter(self._store.counters())
        self._ends: dict[str, str] = {}
        self._surveyed = self._store.surveyed()
        self._saves = Timer(_SAVE_EVERY_S)
        self._checks = Timer(_CHECK_EVERY_S)

    def position(self, source_id: str, sink: str = KAFKA) -> int:
        """Return the position of the sink in this source, 0 for a source new to the sink."""
        position = self._positions.get((sink, source_id))
        return position.seq if position else 0

    def move(self, stream: str, source_id: str, seq: int, arrived: int, sink: str = KAFKA) -> None:
        """Record that a sink's position moved to `seq`, past `arrived` records that have arrived there."""
        self._positions[sink, source_id] = self._changed[sink, source_id] = Position(stream, source_id, seq, sink)
        self._counts["published" if sink == KAFKA else f"published_{sink}"] += arrived

    def dead_letter(self, letter: DeadLetter) -> None:
        """Store a record that Kafka refuses permanently."""
        self._dead_letters.append(letter)

    @property
    def letters_kept(self) -> bool:
        """Whether every dead letter is on disk."""
        return not self._dead_letters

    def withdraw(self, spool_id: str, seq: int) -> None:
        """Delete the dead letters of a spool beyond the position from which it is resent."""
        self._dead_letters = [one for one in self._dead_letters if one.spool_id != spool_id or one.seq <= seq]
        try:
            self._store.withdraw(spool_id, seq)
        except sqlite3.Error as error:
            hint = "records that are listed as dead letters may also be delivered"
            self._log.error("dead_letters_not_withdrawn", error=str(error), hint=hint)

    def dead_letters_between(self, spool_id: str, after: int, until: int) -> int:
        """Return the number of dead letters in a range of a spool."""
        return self._store.dead_letters_between(spool_id, after, until)

    def count_errors(self, number: int) -> None:
        """Add to the errors in the statistics."""
        self._counts["errors"] += number

    def count(self, name: str, number: int) -> None:
        """Add to a counter."""
        self._counts[name] += number

    def total(self, name: str) -> int:
        """Return a counter, with what is not written yet."""
        return self._totals[name] + self._counts[name]

    def remember(self, stream: str, state: SpoolState) -> None:
        """Store a spool's state at a moment up to which it is delivered: if it is lost, its successor needs it.

        While another sink is behind, the state is not stored: the slowest sink provides it.
        """
        if all(self.position(state.spool_id, sink) >= state.last_seq for sink in self._store.sinks):
            self._store.remembered[stream] = state

    def keep_ends(self, spool_id: str, ends: str) -> None:
        """Store what the topic held before anything of this spool was sent."""
        self._ends[spool_id] = self._store.ends[spool_id] = ends

    def is_surveyed(self, spool_id: str) -> bool:
        """Return whether it is stored on disk what the topic held before anything of this spool was sent."""
        return spool_id in self._surveyed

    def save(self, *, now: bool = False) -> bool:
        """Write the changes, if it is time (or `now`); return whether everything is on disk."""
        moment = self._clock()
        if (moment >= self._checks.due or now) and not self._is_in_place(moment):
            return False
        if not (self._changed or self._dead_letters or self._counts or self._store.remembered or self._store.ends):
            return True
        if moment < self._saves.due and not now:
            return False
        try:
            self._store.save(list(self._changed.values()), self._counts, self._dead_letters)
        except sqlite3.Error as error:
            self._saves.restart(moment, _RETRY_AFTER_S)
            self._log.error(
                "position_not_written",
                error=str(error),
                hint="free disk space; after a crash, records may be repeated",
            )
            if is_corrupt(error):
                self._replace()
            return False
        self._surveyed |= self._ends.keys()
        self._totals += self._counts
        self._totals["dead_letters"] += len(self._dead_letters)
        self._changed.clear()
        self._counts.clear()
        self._dead_letters.clear()
        self._saves.restart(moment)
        return True

    def _is_in_place(self, moment: float) -> bool:
        """Check that the file is still this publisher's, recreate it if not; return whether it may be written."""
        self._checks.restart(moment)
        try:
            fault = self._store.fault()
            if fault is not None:
                self._recover(fault)
        except (OSError, sqlite3.Error) as error:
            self._checks.restart(moment, _RETRY_AFTER_S)
            self._log.error(
                "positions_not_restored",
                error=str(error),
                hint="nothing is written until this is solved; after a crash, records may be repeated",
            )
            return False
        return True

    def _recover(self, fault: FileChange) -> None:
        """Replace a file that lost its name by a new one with the same content: the old one is never written to."""
        if fault is FileChange.CHANGED:
            self._log.error(
                "positions_lost",
                fault=fault.value,
                moved_to=str(self._store.move_aside()),
                dead_letters=self._totals["dead_letters"],
                hint="a new file starts with the positions from memory; the dead letters are in the moved file",
            )
            self._replace()
            return
        moved = self._store.copy_back()
        self._log.error(
            "positions_lost",
            fault=fault.value,
            moved_to=str(moved) if moved else None,
            dead_letters=self._totals["dead_letters"],
            hint="the content of the open file was copied into a new one",
        )
        self._store.close()
        self._store = self._open_store(self.deployment_id)
        self._store.ends.update({name: text for name, text in self._ends.items() if name not in self._surveyed})

    def _replace(self) -> None:
        """Move the broken file aside; the new one starts with the known positions."""
        self._store.close()
        self._store = self._open_store(self.deployment_id)
        self._changed |= self._positions
        self._counts.update({name: total for name, total in self._totals.items() if name != "dead_letters"})
        self._totals.clear()
        self._store.ends.update(self._ends)
        self._saves = Timer(_SAVE_EVERY_S)  # due at once

    def close(self) -> None:
        """Write the rest and release the file."""
        self.save(now=True)
        self._store.close()
