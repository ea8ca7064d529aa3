"""The shards of this machine, as its stream holds them: takes over what the publisher gives, and lets go of the rest.

The publisher writes into the mailbox which shards this machine owns (core.cluster.mailbox). A shard is captured once
the spool holds the state and the names of its last owner, and the note of that: all in one commit.
"""

import contextlib
import sqlite3
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from dataclasses import dataclass

from core.child import ChildContext
from core.cluster.mailbox import Adoption, Leftover, MailboxReader, Name, Term, mailbox_path
from core.cluster.shards import Homes, subreddits_of
from core.config.slices import ClusterConfig, StreamConfig
from core.spool import Batch, Seen, SpoolWriter
from core.spool.stream_state import ShardNote, StateChange
from core.storage.file_guard import file_identity
from streams.capture import leftovers
from streams.capture.coverage import Coverage
from streams.capture.seen_names import FOREIGN
from streams.capture.shard_moves import ShardMoves

#: Seconds between two looks into the mailbox.
CHECK_EVERY_S = 0.2

#: Leftovers taken in one commit.
_AT_ONCE = 500


@dataclass(frozen=True, slots=True)
class Plan:
    """The difference between the mailbox and the spool."""

    adopt: frozenset[int] = frozenset()  #: to take over, with a state
    keep: frozenset[int] = frozenset()  #: to note: the spool has the state
    held: frozenset[int] = frozenset()  #: noted, and still this machine's
    waiting: frozenset[int] = frozenset()  #: this machine's, but what is there to adopt is for another spool

    @property
    def owned(self) -> frozenset[int]:
        """The shards that the stream captures when the plan is done."""
        return self.adopt | self.keep | self.held


def plan(notes: Mapping[int, ShardNote], shards: Iterable[int], terms: Mapping[int, Term], spool_id: str) -> Plan:
    """Compare the notes of the spool with this machine's shards and what the mailbox has to adopt. Pure."""
    adopt: set[int] = set()
    keep: set[int] = set()
    held: set[int] = set()
    waiting: set[int] = set()
    for shard in shards:
        note, term = notes.get(shard), terms.get(shard)
        if term is None:
            (waiting if note is None else held).add(shard)
        elif term.spool_id not in {"", spool_id}:
            waiting.add(shard)
        elif note is not None and note.term == term.term:
            held.add(shard)
        elif term.with_state:
            adopt.add(shard)
        else:
            keep.add(shard)
    return Plan(*map(frozenset, (adopt, keep, held, waiting)))


class OwnShards:
    """Keeps the spool in line with the mailbox.

    Args:
        writer: the stream's spool.
        config: of the stream, in a cluster.
        cluster: the same.
        context: of the process.
        opened_at: before the spool was opened, epoch seconds: gaps recorded since then are of its opening.
        clock: monotonic seconds.
        wall: this machine's clock, epoch seconds.
    """

    def __init__(
        self,
        writer: SpoolWriter,
        config: StreamConfig,
        cluster: ClusterConfig,
        context: ChildContext,
        *,
        opened_at: float,
        clock: Callable[[], float] = time.monotonic,
        wall: Callable[[], float] = time.time,
    ) -> None:
        self._writer = writer
        self._config = config
        self._count = cluster.shards
        self._configured = frozenset(name.lower() for name in config.subreddits)
        self._context = context
        self._log = context.log
        self._opened_at = opened_at
        self._clock = clock
        self._wall = wall
        self._reader: MailboxReader | None = None
        self._identity: tuple[int, int] | None = None
        self._next_check = 0.0
        #: whether the mailbox may hold something that is not processed
        self._pending = True
        self._unreadable = False
        #: whether the last `sync` brought shards that this machine did not capture before
        self.gained = False
        self.notes = dict(writer.load_state().shards)

    @property
    def subreddits(self) -> tuple[str, ...]:
        """The configured subreddits of the shards that the spool holds."""
        return subreddits_of(self.notes.keys(), self._config.subreddits, self._count)

    # -- the mailbox -------------------------------------------------------------------------------------------------

    def has_news(self) -> bool:
        """Return whether the mailbox may have changed since the last call; checks it at most every 0.2 s."""
        if self._clock() < self._next_check:
            return False
        self._next_check = self._clock() + CHECK_EVERY_S
        with self._mailbox() as mailbox:
            if mailbox is not None and mailbox.changed():
                self._pending = True
        return self._pending

    @contextlib.contextmanager
    def _mailbox(self) -> Iterator[MailboxReader | None]:
        """Give the mailbox, None while there is none; a file that cannot be read is opened again later."""
        try:
            self._open()
        except (sqlite3.Error, OSError) as error:
            self._failed(error)
        try:
            yield self._reader
        except sqlite3.Error as error:
            self._failed(error)
        else:
            self._unreadable = self._unreadable and self._reader is None

    def _open(self) -> None:
        """Open the file; again if another one is at its place."""
        identity = file_identity(mailbox_path(self._config.state_dir))
        if self._reader is None or identity != self._identity:
            self.close()
            self._reader, self._identity = MailboxReader.open(self._config.state_dir), identity
            self._pending = True

    def _failed(self, error: Exception) -> None:
        self.close()
        self._pending = True
        if not self._unreadable:
            self._log.warning("mailbox_unreadable", error=str(error), hint="the shards stay as they are")
        self._unreadable = True

    def close(self) -> None:
        """Release the mailbox."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None

    def _plan(self, mailbox: MailboxReader) -> Plan:
        return plan(self.notes, mailbox.shards(), mailbox.terms(self._config.stream), self._writer.spool_id)

    # -- while nothing is captured -----------------------------------------------------------------------------------

    def sync(self) -> tuple[str, ...]:
        """Bring the spool in line with the mailbox in one commit; return the subreddits to capture.

        Raises SpoolError; then nothing has changed. Without a mailbox, the shards stay as they are.
        """
        with self._mailbox() as mailbox:
            self._pending = mailbox is not None
            if mailbox is not None:
                with mailbox.snapshot():
                    self._sync(mailbox)
                self._pending = bool(self.subreddits)  # there may be leftovers
        return self.subreddits

    def _sync(self, mailbox: MailboxReader) -> None:
        writer, stream = self._writer, self._config.stream
        found, before = self._plan(mailbox), self.notes
        moves = ShardMoves(
            stream,
            writer.load_state(),
            writer.load_gaps(),
            self._config.subreddits,
            self._count,
            now=self._wall(),
            last_seq=writer.last_seq(),
        )
        gained = found.adopt | (found.keep - before.keys())
        self.gained = bool(gained)
        waiting = self._waiting(gained | (before.keys() - found.owned))
        for shard in sorted(moves.named_shards() - found.owned):
            moves.release(shard, [one.name for one in waiting[shard]])
            if shard not in found.waiting:
                moves.drop_losses(shard, self._opened_at)
        adopted: list[tuple[Adoption, int]] = []
        for adoption in mailbox.adoptions(stream):
            if adoption.shard in found.keep:
                moves.keep(adoption, self._unknown(waiting[adoption.shard]))
            elif adoption.shard in found.adopt and adoption.state is not None:
                delivered = mailbox.names(adoption.shard, stream)
                seen = self._unknown([*delivered, *waiting[adoption.shard]])
                moves.adopt(adoption, adoption.state, seen, delivered)
                adopted.append((adoption, len(seen)))
        if moves.changed:
            writer.commit(moves.batch())
            self.notes = moves.notes
        self._report(found, before, adopted)

    def _waiting(self, shards: Set[int]) -> dict[int, list[Name]]:
        """Return the names of the waiting records of each of these shards."""
        found: dict[int, list[Name]] = defaultdict(list)
        homes = Homes(self._config.subreddits, self._count)
        for name, subreddit, created in self._writer.waiting_names() if shards else ():
            shard = homes.shard(subreddit)
            if shard in shards:
                found[shard].append(Name(name, subreddit.lower(), float(created)))
        return found

    def _unknown(self, names: list[Name]) -> list[Seen]:
        """Return the names that the spool does not hold yet, as met when their items were created."""
        now = self._wall()
        unknown = dict.fromkeys(self._writer.unknown_names([one.name for one in names]))
        if len(unknown) < len(names):
            names = list({one.name: one for one in names if one.name in unknown}.values())
        new, configured = tuple.__new__, self._configured  # there may be hundreds of thousands
        return [
            new(Seen, (one[0], one[1] if one[1] in configured else FOREIGN, one[2] if one[2] < now else now, 0))
            for one in names
        ]

    def _report(self, found: Plan, before: Mapping[int, ShardNote], adopted: list[tuple[Adoption, int]]) -> None:
        for adoption, names in adopted:
            state = adoption.state
            gaps = 0 if state is None else len(state.gaps)
            log = self._log.info if names or gaps else self._log.debug  # of many shards, few have subreddits
            log(
                "shard_adopted",
                shard=adoption.shard,
                last_owner="" if state is None else state.writer,
                names=names,
                gaps=gaps,
            )
        if resumed := sorted(found.keep - before.keys()):
            self._log.info("shards_resumed", shards=resumed)
        if released := sorted(before.keys() - found.owned):
            self._log.info("shards_released", shards=released)

    # -- during the capture ------------------------------------------------------------------------------------------

    def check(self, coverage: Coverage) -> bool:
        """Return whether the set of shards is to change, by `sync`; else take in what the mailbox brings.

        Raises SpoolError; the next call retries.
        """
        if not self.has_news():
            return False
        with self._mailbox() as mailbox:
            if mailbox is None:
                self._pending = False
                return False
            found = self._plan(mailbox)
            if found.adopt or found.owned != self.notes.keys():
                return True
            if found.keep:
                terms, last_seq = mailbox.terms(self._config.stream), self._writer.last_seq()
                renewed = {
                    shard: ShardNote(terms[shard].term, last_seq, self.notes[shard].control) for shard in found.keep
                }
                self._store(coverage, Batch(), self.notes | renewed)
            self._pending = self._take_leftovers(mailbox, coverage)
        return False

    def _take_leftovers(self, mailbox: MailboxReader, coverage: Coverage) -> bool:
        """Take a part of the leftovers of each shard into the spool; return whether there are more."""
        more = False
        for shard, note in sorted(self.notes.items()):
            found = mailbox.leftovers(self._config.stream, shard, note.control, _AT_ONCE)
            if found:
                self._take(shard, found, coverage)
                more |= len(found) == _AT_ONCE
        return more

    def _take(self, shard: int, found: list[Leftover], coverage: Coverage) -> None:
        names, configured = coverage.names, coverage.configured
        unknown = [one for one in found if not names.known(one.key.decode(errors="replace"))]
        buckets = {leftovers.bucket_of(one, configured) for one in unknown}
        kept = self._writer.oldest_seen(buckets) if buckets else {}
        result = leftovers.sort(found, names.known, kept, configured, self._wall())
        amounts = {
            "leftovers": len(result.records),
            "leftovers_known": result.known,
            "leftovers_rejected": len(result.rejects),
        }
        batch = Batch(
            records=result.records,
            seen=result.seen,
            rejects=result.rejects,
            counters={name: amount for name, amount in amounts.items() if amount},
        )
        note = self.notes[shard]._replace(control=found[-1].position)
        last_seq = self._store(coverage, batch, {**self.notes, shard: note})
        if result.records:
            self._context.announce(last_seq)
        self._log.info("leftovers_taken", shard=shard, taken=len(result.records), known=result.known)
        if result.rejects:
            self._log.error(
                "leftovers_undecided",
                shard=shard,
                count=len(result.rejects),
                reason=leftovers.TOO_OLD,
                hint="they are kept in the spool's table rejects, and not sent",
            )

    def _store(self, coverage: Coverage, batch: Batch, notes: Mapping[int, ShardNote]) -> int:
        batch.cursor = StateChange(shards=notes).entries()
        last_seq = coverage.apply(batch)
        self.notes = dict(notes)
        return last_seq
