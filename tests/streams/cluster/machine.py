"""A machine of a cluster without streams: real publishers on real spools, and stand-ins that take over shards."""

import contextlib
import sqlite3
import threading
from dataclasses import replace
from pathlib import Path
from types import TracebackType

import orjson

from core.cluster.mailbox import MailboxReader
from core.cluster.shards import shard_of
from core.cluster.view import ClusterView, read_view
from core.config.sections import ClusterSection, RedditSection, StreamsSection
from core.spool import Batch, Record, Seen
from core.spool.stream_state import ShardNote, StateChange, StreamState
from tests.streams.publisher.deployment import Deployment
from tests.support.brokers import Broker
from tests.support.waiting import PATIENCE, wait_until

SUBREDDITS = tuple(f"sub{number}" for number in range(12))
SHARDS = 4


class Machine(Deployment):
    """One installation of a cluster; its comments' spool follows the mailbox as the stream does."""

    def __init__(self, directory: Path, broker: Broker, topic: str, name: str, delivery: str = "exactly_once") -> None:
        super().__init__(directory / name, broker, delivery=delivery)
        self.name = name
        self.topic = topic
        self.config = replace(
            self.config,
            kafka=replace(self.config.kafka, topic=topic),
            reddit=RedditSection(subreddits=SUBREDDITS),
            streams=StreamsSection(submissions=False),
            cluster=ClusterSection(enabled=True, instance=name, shards=SHARDS),
        )
        self.notes: dict[int, ShardNote] = {}
        self.known: set[str] = set()
        self._mailbox: MailboxReader | None = None
        self._mutex = threading.Lock()

    def follow(self) -> None:
        """Take over what the mailbox offers, and take its leftovers."""
        if self._mailbox is None:
            self._mailbox = MailboxReader.open(self.state_dir)
        if self._mailbox is None:
            return
        shards = self._mailbox.shards()
        adoptions = [one for one in self._mailbox.adoptions("comments") if one.shard in shards]
        batch, notes = Batch(), {shard: note for shard, note in self.notes.items() if shard in shards}
        waiting = {name: shard_of(subreddit, SHARDS) for name, subreddit, _ in self.comments.writer.waiting_names()}
        # the publisher gives the waiting records of these to their owner
        self.known -= {name for name, shard in waiting.items() if shard in self.notes and shard not in shards}
        for one in adoptions:
            if one.shard in notes and notes[one.shard].term == one.term:
                continue
            names = self._mailbox.names(one.shard, "comments")
            batch.seen += [Seen(one.name, one.subreddit, 1.0, 0) for one in names if one.name not in self.known]
            self.known |= {one.name for one in names} | {name for name, shard in waiting.items() if shard == one.shard}
            control = 0 if one.state is None else one.state.control
            notes[one.shard] = ShardNote(one.term, self.comments.writer.last_seq(), control)
        for shard, note in notes.items():
            for left in self._mailbox.leftovers("comments", shard, note.control):
                if left.key.decode() not in self.known:
                    self.known.add(left.key.decode())
                    batch.records.append(Record(left.key, left.value, left.schema))
                    batch.seen.append(Seen(left.key.decode(), left.subreddit, 1.0, 0))
                notes[shard] = notes[shard]._replace(control=left.position)
        if notes != self.notes:
            batch.cursor = StateChange(shards=notes).entries()
            self.comments.writer.commit(batch)
            self.notes = notes

    def capture_items(self, items: dict[str, str]) -> None:
        """Capture these items (fullname → subreddit) as far as they are new and belong to this machine."""
        fresh = {
            name: sub for name, sub in items.items() if name not in self.known and shard_of(sub, SHARDS) in self.notes
        }
        self.capture_anyway(fresh)

    def capture_anyway(self, items: dict[str, str]) -> None:
        """Capture these items, whoever owns them."""
        if not items:
            return
        records = [Record(name.encode(), _value(name, sub), self.comments.schema) for name, sub in items.items()]
        seen = [Seen(name, sub, 1.0, 0) for name, sub in items.items()]
        proven = StateChange(proven_until=dict.fromkeys(items.values(), float(self.comments.writer.last_seq() + 1)))
        self.comments.writer.commit(Batch(records=records, seen=seen, cursor=proven.entries()))
        self.known |= items.keys()

    def owns(self) -> set[int]:
        """The shards that the stand-in stream has taken over."""
        with contextlib.suppress(sqlite3.Error):
            self.follow()
        return set(self.notes)

    def wait_owns(self, count: int, timeout: float = PATIENCE) -> set[int]:
        wait_until(lambda: len(self.owns()) == count, timeout, f"{self.name} to own {count} shards")
        return self.owns()

    @property
    def view(self) -> ClusterView | None:
        return read_view(self.state_dir)

    @property
    def state(self) -> StreamState:
        return self.comments.writer.load_state()

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        super().__exit__(kind, error, trace)
        if self._mailbox is not None:
            self._mailbox.close()


def _value(name: str, subreddit: str) -> bytes:
    kind, _, content_id = name.partition("_")
    content = {"content_id": content_id, "content_type": kind, "fullname": name, "subreddit": subreddit, "text": "x"}
    return orjson.dumps(content)


def items(first: int, count: int) -> dict[str, str]:
    """Give items: fullname → subreddit."""
    return {f"t1_{number:x}": SUBREDDITS[number % len(SUBREDDITS)] for number in range(first, first + count)}
