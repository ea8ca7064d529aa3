"""The records of the state topic: what is written is read back, however it is divided into transactions."""

import random

from hypothesis import given
from hypothesis import strategies as st

from core.cluster.mailbox import Name, ShardState
from core.cluster.view import Machine
from streams.cluster.state_records import (
    CHUNK,
    RING,
    Chunk,
    DeliveredNames,
    Heartbeat,
    StoredShard,
    chunk_record,
    shard_record,
    writer_record,
)

Delivery = tuple[str, int]


class Partition:
    """The records of a shard, as a compacted topic keeps them: any superseded one may be gone."""

    def __init__(self) -> None:
        self.records: list[tuple[bytes, bytes]] = []

    def compact(self, draw: random.Random) -> None:
        """Drop some records that a later one replaces."""
        newest = {key: place for place, (key, _) in enumerate(self.records)}
        self.records = [
            record for place, record in enumerate(self.records) if newest[record[0]] == place or draw.random() < 0.5
        ]

    def read(self) -> StoredShard:
        stored = StoredShard()
        for key, value in self.records:
            stored.take(key, value)
        return stored


@given(
    st.lists(st.tuples(st.lists(st.tuples(st.sampled_from("ab"), st.integers(0, 90))), st.booleans()), max_size=20),
    st.integers(),
)
def test_names_survive_any_division_into_transactions(
    transactions: list[tuple[list[Delivery], bool]], seed: int
) -> None:
    draw, partition, names = random.Random(seed), Partition(), DeliveredNames()
    wanted: dict[str, list[str]] = {"a": [], "b": []}
    count = 0
    for deliveries, commits in transactions:
        added: list[tuple[str, str]] = []
        for subreddit, more in deliveries:
            for _ in range(more):
                count += 1
                names.add("comments", Name(f"t1_{count:x}", subreddit, float(count)))
                added.append((subreddit, f"t1_{count:x}"))
        records = names.records()
        if not commits:
            names.rollback()
            continue
        partition.records += [(record.key, record.value) for _, _, record in records]
        names.commit()
        for subreddit, name in added:
            wanted[subreddit].append(name)
        partition.compact(draw)
        if draw.random() < 0.3:  # another machine continues
            names = DeliveredNames()
            names.load(partition.read().last_chunks())
    stored = partition.read()
    held = {(one.name, one.subreddit) for one in stored.names("comments", "t1")}
    for subreddit, every in wanted.items():
        sure = every[-(RING - 1) * CHUNK :]
        assert {(name, subreddit) for name in sure} <= held
        assert {name for name, sub in held if sub == subreddit} <= set(every)
    assert {one.created for one in stored.names("comments", "t1")} == {float(int(name[3:], 16)) for name, _ in held}
    assert not stored.unreadable


def test_a_ring_keeps_the_newest_names() -> None:
    partition, names = Partition(), DeliveredNames()
    every = [f"t3_{number:x}" for number in range(CHUNK * RING * 2 + 7)]
    for name in every:
        names.add("submissions", Name(name, "a"))
        partition.records += [(record.key, record.value) for _, _, record in names.records()]
        names.commit()
    held = {one.name for one in partition.read().names("submissions", "t3")}
    assert set(every[-(RING - 1) * CHUNK :]) <= held
    assert len({key for key, _ in partition.records}) == RING


def test_what_cannot_be_understood_is_counted_and_nothing_else_is_lost() -> None:
    stored = StoredShard()
    for key, value in (
        (b"names/comments/a/0", b"{"),
        (b"names/comments/a", b"{}"),
        (b"shard/comments", b"[]"),
        (b"writer/comments", b"7"),
        (b"later/kind", b"{}"),
        (b"names/comments/a/1", None),
        chunk_record("comments", "a", Chunk(2, ("x", "y"))),
        shard_record("comments", ShardState(writer="m1", control=7)),
        writer_record("comments", "spool-1"),
    ):
        stored.take(key, value)
    assert stored.unreadable == 4
    assert [one.name for one in stored.names("comments", "t1")] == ["t1_x", "t1_y"]
    state = stored.state("comments")
    assert state is not None
    assert (state.writer, state.control, stored.writer("comments")) == ("m1", 7, "spool-1")
    assert stored.state("submissions") is None


def test_names_without_a_state_count_as_an_empty_state() -> None:
    stored = StoredShard()
    stored.take(*chunk_record("comments", "a", Chunk(0, ("x",))))
    assert stored.state("comments") == ShardState()
    assert stored.writer("comments") is None


def test_heartbeats_are_read_back_and_strange_ones_are_none() -> None:
    machine = Machine("m1", 12.5, (1, 3), client="c", needed=0.5, wished=1.0, version="1")
    beat = Heartbeat(machine, {1: 7.0, 3: None})
    record = beat.record()
    assert Heartbeat.parse(*record) == beat
    for key, value in ((b"shard/x", record.value), (record.key, b"{"), (record.key, b"{}"), (record.key, b"null")):
        assert Heartbeat.parse(key, value) is None


def test_a_strange_name_of_a_subreddit_is_read_back() -> None:
    stored = StoredShard()
    for name in ("", "u_someone", "a/b"):
        stored.take(*chunk_record("comments", name, Chunk(0, (f"x{len(name)}",))))
    assert stored.unreadable == 0
    assert [one.subreddit for one in stored.names("comments", "t1")] == ["", "u_someone", "a/b"]
