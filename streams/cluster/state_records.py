"""The records of the state topic: names of delivered items, the proven state of a shard, heartbeats. Pure.

The topic is compacted. A shard's records are in the partition with its number:

- `names/STREAM/SUBREDDIT/SLOT`: a chunk of the names of delivered items. Chunks have ascending numbers, and
  SLOT = number mod `RING`: so the newest `RING * CHUNK` names of a subreddit stay.
- `writer/STREAM`: the spool whose names and states are the newest: written with the first of them.
- `shard/STREAM`: a `ShardState`.
- `machine/INSTANCE` (partition 0 only): a heartbeat.
"""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any, NamedTuple

import orjson

from core.cluster.mailbox import Name, ShardState
from core.cluster.view import Machine

#: Names in a chunk: the last chunk of a subreddit is written again with each of its items.
CHUNK = 64
#: Chunks of a subreddit that are kept; a listing shows at most 1000 items.
RING = 24
#: Seconds between two heartbeats of a machine.
HEARTBEAT_EVERY_S = 2.0


class StateRecord(NamedTuple):
    """A record of the state topic."""

    key: bytes
    value: bytes


class Chunk(NamedTuple):
    """The entries of a chunk with this number, in the order of delivery.

    An entry is the name without the prefix of the stream, and created_utc in hexadecimal seconds: `abc.6b0aef7b`.
    """

    number: int
    names: tuple[str, ...]


def chunk_record(stream: str, subreddit: str, chunk: Chunk) -> StateRecord:
    """Return the record of a chunk."""
    key = f"names/{stream}/{subreddit}/{chunk.number % RING}".encode()
    return StateRecord(key, orjson.dumps({"number": chunk.number, "names": " ".join(chunk.names)}))


def writer_record(stream: str, spool_id: str) -> StateRecord:
    """Return the record that names the spool of everything that follows."""
    return StateRecord(f"writer/{stream}".encode(), orjson.dumps({"spool_id": spool_id}))


def shard_record(stream: str, state: ShardState) -> StateRecord:
    """Return the record of a shard's state."""
    return StateRecord(f"shard/{stream}".encode(), orjson.dumps(state.fields()))


@dataclass(frozen=True, slots=True)
class Heartbeat:
    """A machine's heartbeat: the machine, and up to when each of its shards is proven (None: not yet)."""

    machine: Machine
    proven_until: Mapping[int, float | None]

    def record(self) -> StateRecord:
        """Return its record."""
        machine = self.machine
        fields: dict[str, Any] = {name: getattr(machine, name) for name in Machine.__slots__ if name != "shards"}
        fields["shards"] = {str(shard): moment for shard, moment in self.proven_until.items()}
        return StateRecord(f"machine/{machine.instance}".encode(), orjson.dumps(fields))

    @classmethod
    def parse(cls, key: bytes, value: bytes) -> "Heartbeat | None":
        """Return the heartbeat of a record; None for any other record."""
        if not key.startswith(b"machine/"):
            return None
        try:
            fields = orjson.loads(value)
            proven = {int(shard): moment for shard, moment in fields.pop("shards").items()}
            known = {name: fields[name] for name in Machine.__slots__ if name in fields}
            return cls(Machine(**known, shards=tuple(sorted(proven))), proven)
        except (ValueError, TypeError, KeyError, AttributeError):
            return None


class StoredShard:
    """What the records of a shard's partition say, read in their order: the last record of a key counts."""

    def __init__(self) -> None:
        #: the end of the partition when it was measured: as long as it stays, nothing was written
        self.end = 0
        #: by stream
        self.states: dict[str, ShardState] = {}
        #: the spool that wrote last, by stream
        self._writers: dict[str, str] = {}
        #: by stream and subreddit, by slot
        self._chunks: dict[tuple[str, str], dict[int, Chunk]] = {}
        #: records that cannot be understood
        self.unreadable = 0

    def take(self, key: bytes, value: bytes | None) -> None:
        """Take the next record; one that cannot be understood is counted."""
        kind, _, rest = key.decode(errors="replace").partition("/")
        if value is None or kind == "machine":
            return
        try:
            stored = orjson.loads(value)
            if kind == "shard":
                self.states[rest] = ShardState.from_fields(stored)
            elif kind == "writer":
                self._writers[rest] = str(stored["spool_id"])
            elif kind == "names":
                stream, _, place = rest.partition("/")
                subreddit, _, slot = place.rpartition("/")
                chunk = Chunk(int(stored["number"]), tuple(stored["names"].split()))
                self._chunks.setdefault((stream, subreddit), {})[int(slot)] = chunk
        except (ValueError, TypeError, KeyError, AttributeError):
            self.unreadable += 1

    def state(self, stream: str) -> ShardState | None:
        """Return the state of a stream; an empty one if only names were written yet, None if nothing was."""
        if stream in self.states:
            return self.states[stream]
        return ShardState() if any(kind == stream for kind, _ in self._chunks) else None

    def writer(self, stream: str) -> str | None:
        """Return the id of the spool that wrote last; None if none did."""
        return self._writers.get(stream)

    def last_chunks(self) -> dict[tuple[str, str], Chunk]:
        """Return the newest chunk of each stream and subreddit."""
        return {place: max(chunks.values()) for place, chunks in self._chunks.items()}

    def names(self, stream: str, prefix: str) -> list[Name]:
        """Return the fullnames of all delivered items of a stream that are known."""
        return [
            _name(prefix, subreddit, entry)
            for (kind, subreddit), chunks in self._chunks.items()
            if kind == stream
            for chunk in chunks.values()
            for entry in chunk.names
        ]


def _name(prefix: str, subreddit: str, entry: str) -> Name:
    name, _, created = entry.partition(".")
    return Name(f"{prefix}_{name}", subreddit, float(int(created, 16)) if created else 0.0)


class DeliveredNames:
    """The last chunk of names of each subreddit, and the changes of a transaction to it.

    `add` notes a delivered item; `records` returns what is to be written; `commit` or `rollback` ends the transaction.
    """

    def __init__(self) -> None:
        self._last: dict[tuple[str, str], Chunk] = {}
        self._added: dict[tuple[str, str], list[str]] = {}

    def load(self, chunks: Mapping[tuple[str, str], Chunk]) -> None:
        """Continue after these chunks."""
        self._last.update(chunks)

    def forget(self, subreddits: Iterable[tuple[str, str]]) -> None:
        """Drop the chunks of these streams and subreddits: another machine continues them."""
        for place in subreddits:
            self._last.pop(place, None)
            self._added.pop(place, None)

    def places(self) -> list[tuple[str, str]]:
        """Return the streams and subreddits with names."""
        return list({**self._last, **self._added})

    def add(self, stream: str, name: Name) -> None:
        """Note that an item was delivered, or is in the open transaction."""
        entry = name.name.partition("_")[2] or name.name
        if name.created >= 1.0:
            entry += f".{int(name.created):x}"
        self._added.setdefault((stream, name.subreddit), []).append(entry)

    @property
    def changed(self) -> bool:
        """Whether something was added since the last commit."""
        return bool(self._added)

    def records(self) -> list[tuple[str, str, StateRecord]]:
        """Return for each changed chunk its stream, its subreddit and its record."""
        return [
            (stream, subreddit, chunk_record(stream, subreddit, chunk))
            for (stream, subreddit), names in self._added.items()
            for chunk in _extended(self._last.get((stream, subreddit)), names)
        ]

    def commit(self) -> None:
        """Record that `records` are durable."""
        for place, names in self._added.items():
            self._last[place] = _extended(self._last.get(place), names)[-1]
        self._added.clear()

    def rollback(self) -> None:
        """Drop what was added since the last commit: it is sent again."""
        self._added.clear()


def _extended(last: Chunk | None, names: list[str]) -> list[Chunk]:
    """Return the chunks that these names change or begin, ascending."""
    number, held = (0, ()) if last is None else last
    if len(held) >= CHUNK:
        number, held = number + 1, ()
    every = [*held, *names]
    parts = [every[start : start + CHUNK] for start in range(0, len(every), CHUNK)]
    return [Chunk(number + place, tuple(part)) for place, part in enumerate(parts)]
