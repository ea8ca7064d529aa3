"""What is written about shards: the writer first, names with their records, states only of what was taken over."""

import json
from typing import Any

import orjson

from core.cluster.mailbox import Name, Term
from core.cluster.shards import shard_of
from core.config.slices import ClusterConfig
from core.spool.spool_state import SpoolState
from core.spool.stream_state import ShardNote, StateChange, rows_of
from streams.cluster.shard_ledger import ShardLedger
from streams.cluster.state_records import StoredShard
from streams.sinks.kafka.routing import StateWrite

COUNT = 4
SUBREDDITS = tuple(f"Sub{number}" for number in range(12))
CONFIG = ClusterConfig("m1", "group", COUNT, 6.0, "client")
SHARD = shard_of("Sub0", COUNT)
OURS = [name for name in SUBREDDITS if shard_of(name, COUNT) == SHARD]


class Book:
    """A ledger with a clock by hand."""

    def __init__(self) -> None:
        self.now = 100.0
        self.ledger = ShardLedger(
            CONFIG, SUBREDDITS, "id-1", "state", clock=lambda: self.now, wall=lambda: 1000.0 + self.now
        )
        self.terms = {(SHARD, "comments"): Term("term-1", "spool-1", with_state=True)}
        self.partition = StoredShard()

    def writes(self, *, in_transaction: bool = True) -> list[StateWrite]:
        return self.ledger.writes({SHARD}, self.terms, {"comments": "spool-1"}, in_transaction=in_transaction)

    def commit(self) -> list[str]:
        """Write everything; return the keys."""
        writes = self.writes()
        self.ledger.committed()
        for write in writes:
            assert write.destination == ("state", SHARD)
            self.partition.take(write.key, write.value)
        return [write.key.decode() for write in writes]

    def state(self, *, term: str = "term-1", gaps: tuple[tuple[Any, ...], ...] = (), until: float = 50.0) -> None:
        change = StateChange(
            proven_until=dict.fromkeys([name.lower() for name in SUBREDDITS], until),
            shards={SHARD: ShardNote(term, 7, 3)},
        )
        cursor = {key: text for key, text in rows_of(change.entries()).items() if text is not None}
        self.ledger.delivered("comments", SpoolState("spool-1", 1, 10, cursor, gaps))


def test_the_writer_is_named_with_the_first_names_and_not_again() -> None:
    book = Book()
    book.ledger.sent("comments", 1, "comments", Name("t1_a", OURS[0].lower()))
    assert book.ledger.due({SHARD}) is False, "nothing has arrived; with a transaction the records make it due"
    assert book.commit() == ["writer/comments", f"names/comments/{OURS[0].lower()}/0"]
    book.ledger.sent("comments", 2, "comments", Name("t1_b", OURS[0].lower()))
    assert book.commit() == [f"names/comments/{OURS[0].lower()}/0"]
    assert [one.name for one in book.partition.names("comments", "t1")] == ["t1_a", "t1_b"]


def test_an_abandoned_transaction_leaves_no_trace() -> None:
    book = Book()
    book.ledger.sent("comments", 1, "comments", Name("t1_a", OURS[0].lower()))
    assert book.writes()
    book.ledger.abandoned()
    assert not book.writes()
    book.ledger.sent("comments", 1, "comments", Name("t1_a", OURS[0].lower()))
    assert book.commit() == ["writer/comments", f"names/comments/{OURS[0].lower()}/0"]


def test_without_transactions_a_name_is_written_once_its_record_has_arrived() -> None:
    book = Book()
    for seq in (1, 2):
        book.ledger.sent("comments", seq, "comments", Name(f"t1_{seq}", OURS[0].lower()))
    assert not book.writes(in_transaction=False)
    book.ledger.arrived("comments", 1)
    writes = book.writes(in_transaction=False)
    assert [orjson.loads(write.value).get("names") for write in writes] == [None, "1"]
    book.ledger.committed()
    book.ledger.rewound("comments")
    book.ledger.arrived("comments", 2)
    assert not book.writes(in_transaction=False), "it is sent again, and noted again"


def test_a_state_is_written_when_the_stream_has_taken_over_and_something_changed() -> None:
    book = Book()
    book.state(term="an older term")
    assert book.commit() == []
    book.now += 10.0
    book.state()
    assert book.commit() == ["writer/comments", "shard/comments"]
    stored = book.partition.state("comments")
    assert stored is not None
    assert (stored.writer, stored.spool_id, stored.control) == ("m1", "spool-1", 3)
    assert stored.proven_until.keys() == {name.lower() for name in OURS}
    assert book.ledger.proven_until(SHARD) == 50.0
    book.now += 10.0
    book.state()
    assert book.commit() == [], "nothing changed"
    book.state(until=60.0)
    assert book.commit() == [], "too soon"
    assert book.ledger.finish({SHARD}) is False
    assert book.commit() == ["shard/comments"]
    assert book.ledger.finish({SHARD}) is True


def test_gaps_are_restricted_to_the_shard_and_the_oldest_closed_ones_give_way() -> None:
    book = Book()
    names = json.dumps(list(SUBREDDITS))

    def gap(number: int, state: str, reason: str) -> tuple[Any, ...]:
        return (number, names, 1.0, 2.0, reason, 3.0, 1, names, "[]", 0, state, None, None)

    book.state(gaps=tuple(gap(n, "open" if n == 0 else "lost", "x" * 2000) for n in range(400)))
    book.commit()
    stored = book.partition.state("comments")
    assert stored is not None
    assert {tuple(json.loads(row[1])) for row in stored.gaps} == {tuple(OURS)}
    assert len(orjson.dumps(stored.fields())) < 1_000_000
    numbers = [row[0] for row in stored.gaps]
    assert 0 in numbers, "the open one stays"
    assert 399 in numbers
    assert len(numbers) < 400


def test_seeds_are_written_once_and_survive_an_abandoned_transaction() -> None:
    book = Book()
    other = next(name for name in SUBREDDITS if name not in OURS)
    book.ledger.seed("comments", {SHARD: ()}, [Name("t1_a", OURS[0].lower()), Name("t1_b", other.lower())])
    assert book.ledger.due({SHARD})
    assert len(book.writes()) == 2
    book.ledger.abandoned()
    assert book.commit() == ["writer/comments", f"names/comments/{OURS[0].lower()}/0"]
    assert not book.ledger.due({SHARD})
    assert [one.name for one in book.partition.names("comments", "t1")] == ["t1_a"]


def test_after_a_time_out_of_the_cluster_only_what_came_since_then_is_written() -> None:
    """Names that are older than the ring are not written again: they would push out those of items still listed."""
    book, name = Book(), OURS[0].lower()
    every = [Name(f"t1_{number}", name) for number in range(10)]
    book.ledger.seed("comments", {SHARD: {f"t1_{number}" for number in range(3, 7)}}, every)
    book.commit()
    assert [one.name for one in book.partition.names("comments", "t1")] == ["t1_7", "t1_8", "t1_9"]


def test_items_of_a_collective_listing_are_seeded_with_its_shard() -> None:
    shard = shard_of("all", COUNT)
    ledger = ShardLedger(CONFIG, ("all", OURS[0]), "id-1", "state", clock=lambda: 100.0)
    ledger.seed("comments", {shard: ()}, [Name("t1_a", "*")])
    writes = ledger.writes({shard}, {}, {"comments": "spool-1"}, in_transaction=True)
    assert {write.destination.partition for write in writes} == {shard}
    partition = StoredShard()
    for write in writes:
        partition.take(write.key, write.value)
    assert partition.names("comments", "t1") == [Name("t1_a", "*")]
    ledger.forget({shard})
    assert not ledger.due(set())


def test_a_stream_with_subreddits_of_its_own_has_their_states_and_no_others() -> None:
    here, other = OURS[0], OURS[1]
    lists = {"submissions": (other,), "comments": (here,)}
    ledger = ShardLedger(CONFIG, (here, other), "id-1", "state", lists=lists, clock=lambda: 100.0)
    change = StateChange(
        proven_until={here.lower(): 50.0, other.lower(): 70.0}, shards={SHARD: ShardNote("term-1", 7, 3)}
    )
    cursor = {key: text for key, text in rows_of(change.entries()).items() if text is not None}
    ledger.delivered("comments", SpoolState("spool-1", 1, 10, cursor, ()))
    terms = {(SHARD, "comments"): Term("term-1", "spool-1", with_state=True)}
    (_, state) = ledger.writes({SHARD}, terms, {"comments": "spool-1"}, in_transaction=True)
    ledger.committed()
    assert list(json.loads(state.value)["proven_until"]) == [here.lower()]
    assert ledger.proven_until(SHARD) == 50.0
