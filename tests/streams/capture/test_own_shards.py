"""Shards that move between machines: nothing is lost, nothing comes twice, and gaps and absences move with them."""

import json
import sqlite3
import threading
import time
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog

from core.child import ChildContext
from core.cluster.mailbox import Adoption, Leftover, MailboxWriter, Name, ShardState, mailbox_path
from core.cluster.shards import shard_of
from core.config import Config
from core.config.slices import ClusterConfig, stream_config
from core.spool import Batch, Gap, Record, Seen, SpoolReader, SpoolWriter
from core.spool.known_names import count_names, read_names_check
from core.spool.spool_files import spool_path
from core.spool.stream_state import ReleasedShard, ShardNote, StateChange
from streams.capture import capture_process, leftovers
from streams.capture.cluster_left import leave_cluster
from streams.capture.own_shards import OwnShards
from streams.positions.publisher_store import Position, PublisherStore
from tests.streams.capture.life import BIRTH, STREAM, Clock, FakeContext, Life, Notes
from tests.streams.capture.machines import SHARDS, Cluster
from tests.streams.capture.world import World
from tests.support.soaking import SOAK
from tests.support.waiting import wait_until

#: One subreddit of each shard, and a second one of the shard of Alpha.
NAMES = ("Iota", "Gamma", "Alpha", "Lambda", "Delta")
ALPHA = shard_of("Alpha", SHARDS)


@pytest.fixture
def cluster(tmp_path: Path) -> Cluster:
    return filled(tmp_path)


def filled(directory: Path, start: str = "backlog") -> Cluster:
    """Return machines over a Reddit with eight items in each subreddit."""
    world = World(NAMES)
    cluster = Cluster(directory, world, start)
    for number in range(40):
        world.add(NAMES[number % len(NAMES)], cluster.clock.now - 40 + number)
    return cluster


def arrive(cluster: Cluster, count: int = 5, names: tuple[str, ...] = NAMES) -> list[str]:
    """Let items appear in these subreddits."""
    now = cluster.clock.now
    return [cluster.world.add(name, now + number * 0.01).name for number in range(count) for name in names]


def requested(life: Life) -> set[str]:
    return {name for _, path in life.asked for name in path.split("/")[2].split("+")}


def test_only_its_own_shards_are_captured(cluster: Cluster) -> None:
    cluster.move("a", ALPHA)
    cluster.round("a", 30.0)
    assert requested(cluster.machine("a")) == {"Alpha", "Delta"}
    assert len(cluster.topic) == 16


def test_without_shards_a_stream_waits_and_then_starts_at_once(cluster: Cluster) -> None:
    machine, clock = cluster.machine("a"), cluster.clock
    clock.at(clock.now + 30.0, lambda: cluster.move("a", ALPHA))
    given = clock.now + 30.0
    machine.run(40.0)
    assert machine.asked[0][0] - given <= 0.3 + machine.latency


def test_a_shard_is_taken_over_and_released(cluster: Cluster) -> None:
    cluster.move("a")
    cluster.round("a", 30.0)
    arrive(cluster)
    cluster.move("b")
    cluster.round("b", 30.0)
    arrive(cluster)
    cluster.round("b", 30.0)
    cluster.round("a", 1.0)
    assert (cluster.machine("a").held(), cluster.machine("b").held()) == (set(), set(range(SHARDS)))
    assert cluster.machine("a").notes.events("shards_released") == [{"shards": list(range(SHARDS))}]
    cluster.assert_complete()
    assert cluster.gaps() == []
    assert len(cluster.topic) == 90


def test_the_set_changes_during_a_run_without_a_restart(cluster: Cluster) -> None:
    """What the other shards have proven stays, and the walk of the new one ends at what its owner had proven."""
    cluster.move("a")
    cluster.move("b", ALPHA)
    cluster.round("a", 20.0)
    cluster.round("b", 20.0)
    arrive(cluster)
    machine = cluster.machine("b")
    cluster.clock.at(cluster.clock.now + 10.0, lambda: cluster.move("b", 0, 1))
    cluster.round("b", 30.0)
    assert machine.kills == 0
    assert [entry["shard"] for entry in machine.notes.events("shard_adopted")] == [0, 1]
    assert machine.held() == {0, 1, ALPHA}
    cluster.settle()
    cluster.assert_complete()
    assert cluster.gaps() == []


def test_it_returns_with_what_others_did_meanwhile(cluster: Cluster) -> None:
    for name in ("a", "b", "a", "c", "b"):
        cluster.move(name)
        cluster.round(name, 20.0)
        arrive(cluster)
        cluster.round(name, 20.0)
    cluster.settle()
    cluster.assert_complete()
    assert len(cluster.topic) == 40 + 5 * 25


def test_start_now_delivers_no_backlog_after_a_move(tmp_path: Path) -> None:
    cluster = filled(tmp_path, "now")
    cluster.move("a")
    cluster.round("a", 30.0)
    assert cluster.topic == []
    new = arrive(cluster)
    cluster.round("a", 30.0)
    cluster.move("b")
    new += arrive(cluster)
    cluster.round("b", 120.0)
    assert sorted(cluster.topic) == sorted(new)


@pytest.mark.parametrize(
    ("step", "fate"),
    [
        (1, "kill_after"),
        (1, "full"),
        *(pytest.param(*kill, marks=SOAK) for kill in ((1, "kill_before"), (3, "kill_after"))),
    ],
)
def test_a_kill_at_any_step_of_a_takeover(cluster: Cluster, step: int, fate: str) -> None:
    cluster.move("a")
    cluster.round("a", 20.0)
    arrive(cluster)
    cluster.machine("a").run(20.0)  # captured, not delivered
    cluster.move("b")
    for name in ("b", "a"):
        machine = cluster.machine(name)
        machine.fates[machine.operations + step] = fate
        cluster.round(name, 10.0)
    cluster.settle()
    cluster.assert_complete()


def test_undelivered_records_reach_the_topic_through_the_new_owner(cluster: Cluster) -> None:
    cluster.move("a")
    cluster.round("a", 20.0)
    first = arrive(cluster)
    cluster.machine("a").run(20.0)
    for name in first:  # moderators remove them: no listing shows them any more
        cluster.world.remove(cluster.world.things[name])
    cluster.move("b")
    cluster.round("b", 20.0)
    cluster.round("a", 5.0)
    cluster.publish("b")
    cluster.round("b", 5.0)
    assert set(first) <= set(cluster.topic)
    assert cluster.machine("b").counters()["leftovers"] == len(first)
    cluster.settle()
    cluster.assert_complete()


def test_leftovers_that_nobody_delivered_return_with_their_shard(cluster: Cluster) -> None:
    """The former owner knows the names of the records that it handed over: it takes them in again all the same."""
    cluster.move("a")
    cluster.round("a", 20.0)
    first = arrive(cluster)
    cluster.machine("a").run(20.0)
    for name in first:
        cluster.world.remove(cluster.world.things[name])
    cluster.move("b")
    cluster.round("a", 5.0)
    assert cluster.control
    cluster.move("a")  # `b` never worked
    cluster.round("a", 5.0)
    cluster.round("a", 5.0)
    assert set(first) <= set(cluster.topic)
    cluster.settle()
    cluster.assert_complete()


def test_a_gap_moves_and_is_repaired_by_the_new_owner(cluster: Cluster) -> None:
    cluster.move("a")
    cluster.round("a", 30.0)
    arrive(cluster, 60)  # more than the common listing holds, less than each subreddit's own
    machine = cluster.machine("a")
    cluster.clock.advance(30.0)
    machine.fates.update(dict.fromkeys(range(machine.operations + 12, machine.operations + 500), "unreachable"))
    cluster.round("a", 8.0)
    machine.fates.clear()
    (gap,) = [gap for gap in machine.gaps() if not gap.repaired]
    assert gap.pending
    cluster.move("b")
    cluster.round("b", 60.0)
    cluster.round("a", 1.0)
    assert [one for one in machine.gaps() if one.state == "open"] == []
    repaired = cluster.machine("b").gaps()
    assert repaired
    assert all(one.repaired and one.epoch > 1 for one in repaired)
    cluster.settle()
    cluster.assert_complete()


def test_a_gap_stays_when_nobody_has_changed_its_shard(cluster: Cluster) -> None:
    cluster.move("a")
    cluster.world.close("Alpha")
    cluster.round("a", 30.0)
    machine = cluster.machine("a")
    (before,) = machine.gaps()
    cluster.move("b", ALPHA)
    cluster.machine("a").run(1.0)
    assert [gap for gap in machine.gaps() if gap.state == "open"] == []
    cluster.move("a", ALPHA)
    cluster.machine("a").run(1.0)
    (after,) = machine.gaps()
    assert (after.start, after.end, after.unproven, after.reason) == (before.start, None, ("Alpha",), before.reason)
    cluster.settle()
    cluster.assert_complete()


def test_what_was_put_aside_returns_when_the_cluster_is_switched_off(cluster: Cluster) -> None:
    cluster.move("a")
    cluster.world.close("Alpha")
    cluster.round("a", 30.0)
    machine = cluster.machine("a")
    (before,) = machine.gaps()
    waiting = arrive(cluster, 1)
    machine.run(10.0)
    cluster.move("b", ALPHA)
    machine.run(1.0)
    config = replace(stream_config(machine.config, STREAM), cluster=None)
    with SpoolWriter(machine.directory, STREAM, clock=cluster.clock) as writer:
        leave_cluster(writer, config, structlog.stdlib.get_logger("test"), cluster.clock)
        state, (after,) = writer.load_state(), writer.load_gaps()
        assert (state.shards, state.released) == ({}, {})
        assert (after.start, after.end, after.unproven) == (before.start, None, ("Alpha",))
        assert list(state.absent) == ["Alpha"]
        assert writer.unknown_names(waiting[:2]) == [], "they wait in this spool, and are not captured again"
        commits = writer.last_seq()
        leave_cluster(writer, config, structlog.stdlib.get_logger("test"), cluster.clock)
        assert writer.last_seq() == commits


def test_names_of_other_subreddits_are_taken_over_as_such(cluster: Cluster) -> None:
    """Their bucket is that of all subreddits that are not configured: it is proven and pruned, others are not."""
    cluster.move("a")
    cluster.round("a", 20.0)
    cluster.names[ALPHA]["t3_zz"] = Name("t3_zz", "elsewhere", cluster.clock.now - 100.0)
    cluster.move("b")
    cluster.round("b", 1.0)
    names = dict(cluster.machine("b").reader().delivered_names(0))
    assert names["t3_zz"] == "*"
    assert "elsewhere" not in names.values()


def test_an_unavailable_subreddit_moves(cluster: Cluster) -> None:
    cluster.move("a")
    cluster.round("a", 30.0)
    cluster.world.close("Alpha")
    arrive(cluster, 3)
    cluster.round("a", 30.0)
    cluster.move("b", ALPHA)
    cluster.machine("b").run(10.0)
    assert cluster.machine("b").notes.events("subreddit_unavailable") == []
    assert requested(cluster.machine("b")) == {"Delta"}
    cluster.world.open("Alpha")
    cluster.round("b", 300.0)
    cluster.settle()
    cluster.assert_complete()
    assert all(gap.repaired for gap in cluster.gaps())


def test_a_lost_spool_waits_for_a_new_adoption(cluster: Cluster) -> None:
    """The mailbox still has the old one: its state and names are outdated."""
    cluster.move("b")
    cluster.round("b", 20.0)
    cluster.move("a")
    cluster.round("a", 20.0)
    arrive(cluster)
    cluster.round("a", 20.0)
    machine = cluster.machine("a")
    for path in machine.directory.glob("spool-*"):
        path.unlink()
    asked = len(machine.asked)
    machine.run(20.0)
    assert len(machine.asked) == asked
    for shard in range(SHARDS):
        cluster.terms[shard] += "-again"
        cluster.give(machine, shard)
    cluster.round("a", 20.0)
    assert machine.held() == set(range(SHARDS))
    cluster.settle()
    cluster.assert_complete()


def test_the_mailbox_of_last_time_is_enough(cluster: Cluster) -> None:
    """Kafka is away at the start: the publisher writes nothing."""
    cluster.move("a")
    cluster.round("a", 20.0)
    new = arrive(cluster)
    cluster.machine("a").run(20.0)
    assert set(new) <= set(cluster.machine("a").spooled())


def test_a_missing_or_broken_mailbox_changes_nothing(cluster: Cluster) -> None:
    cluster.move("a")
    cluster.round("a", 20.0)
    machine = cluster.machine("a")
    machine.mailbox.close()
    for path in machine.directory.glob("cluster.db*"):
        path.unlink()
    new = arrive(cluster)
    machine.run(20.0)
    mailbox_path(machine.directory).write_bytes(b"not a database" * 100)
    new += arrive(cluster)
    machine.run(20.0)
    assert set(new) <= set(machine.spooled())
    assert machine.notes.events("mailbox_unreadable")


def test_known_names_are_checked_with_the_table(cluster: Cluster) -> None:
    """The checksum of the names is right after adoption, release and handing over."""
    cluster.move("a")
    cluster.round("a", 20.0)
    arrive(cluster)
    cluster.machine("a").run(20.0)
    cluster.move("b", 0, 1)
    for name in ("a", "b"):
        cluster.round(name, 10.0)
        path = spool_path(cluster.machine(name).directory, STREAM)
        connection = sqlite3.connect(path)
        assert read_names_check(connection) == count_names(connection)
        connection.close()


def test_three_hundred_thousand_names(tmp_path: Path) -> None:
    subreddits = tuple(f"sub{number}" for number in range(100))
    names: dict[int, list[Name]] = defaultdict(list)
    for number in range(300_000):
        name = subreddits[number % 100]
        names[shard_of(name, SHARDS)].append(Name(f"t3_{number + 1_000_000:x}", name, BIRTH - 86_400 + number / 4))
    mailbox, notes = MailboxWriter(tmp_path), Notes()
    for shard, found in names.items():
        mailbox.store_names(shard, STREAM, found)
        mailbox.own(shard, BIRTH, {STREAM: Adoption(shard, "term", ShardState("z", "other", control=shard))})
    section = ClusterConfig("a", "group", SHARDS, 6.0, "")
    config = replace(stream_config(Config(), STREAM), cluster=section, state_dir=tmp_path, subreddits=subreddits)
    context: Any = FakeContext(Clock(), BIRTH + 1.0, notes)
    with SpoolWriter(tmp_path, STREAM) as writer:
        shards = OwnShards(writer, config, section, context, opened_at=BIRTH)
        begun = time.process_time()
        assert sorted(shards.sync()) == sorted(subreddits)
        seconds = time.process_time() - begun
        assert len(writer.load_seen()) == 300_000
        shards.close()
    assert seconds < 6.0  # 2 s of a processor that nobody else uses
    connection = sqlite3.connect(spool_path(tmp_path, STREAM))
    assert read_names_check(connection) == count_names(connection)
    connection.close()


def test_a_quiet_subreddit_makes_no_gap(tmp_path: Path) -> None:
    """The walk after a takeover meets nothing proven: an old date of one must not lead it to the listing's end."""
    world = World(NAMES)
    cluster = Cluster(tmp_path, world)
    for number in range(3):
        world.add("Iota", cluster.clock.now - 300_000.0 + number)
    cluster.move("a", shard_of("Iota", SHARDS))
    cluster.move("b", ALPHA, 1, 3)
    cluster.round("a", 10.0)
    for number in range(400):
        world.add(NAMES[1 + number % 4], cluster.clock.now - 600.0 + number)
    cluster.round("b", 30.0)
    cluster.round("a", 30.0)
    assert cluster.gaps() == []
    cluster.move("b", shard_of("Iota", SHARDS))
    cluster.round("b", 30.0)
    cluster.settle()
    cluster.assert_complete()
    assert cluster.gaps() == []


# -- which leftovers are taken -----------------------------------------------------------------------------------------


def leftover(name: str, created: float | None, position: int = 1) -> Leftover:
    value = json.dumps({"subreddit": "Alpha", "text": '{"created_utc": 5}', "created_utc": created}).encode()
    return Leftover(ALPHA, position, "Alpha", name.encode(), value, "submission")


@pytest.mark.parametrize(
    ("created", "count", "oldest", "rejected"),
    [
        (50.0, 1000, 100.0, True),
        (150.0, 1000, 100.0, False),
        (50.0, 999, 100.0, False),
        (None, 1000, 100.0, True),
        (50.0, 1000, float("inf"), False),
    ],
)
def test_only_what_nothing_decides_is_kept_aside(
    created: float | None, count: int, oldest: float, *, rejected: bool
) -> None:
    one, kept = leftover("t3_x", created), {"alpha": (count, oldest)}
    found = leftovers.sort([one], lambda _name: False, kept, frozenset({"alpha"}), 1000.0)
    assert (found.rejects, found.records) == (
        ([(leftovers.TOO_OLD, one.value)], []) if rejected else ([], [Record(one.key, one.value, one.schema)])
    )


def test_a_leftover_is_taken_once() -> None:
    given = [leftover("t3_x", 5.0), leftover("t3_x", 5.0, 2), leftover("t3_y", 5.0, 3)]
    found = leftovers.sort(given, {"t3_y"}.__contains__, {}, frozenset(), 10.0)
    assert ([row.key for row in found.records], found.known) == ([b"t3_x"], 2)
    assert found.seen == [Seen("t3_x", "*", 10.0, 0)]


def test_undecided_leftovers_are_rejected_once(cluster: Cluster) -> None:
    machine, now = cluster.machine("a"), cluster.clock.now
    cluster.names[ALPHA] = {f"t3_{n:x}": Name(f"t3_{n:x}", "alpha", now - 300 + n / 20) for n in range(4096, 5296)}
    cluster.states[ALPHA] = ShardState("z", "other", proven_until={"alpha": now}, proven_at={"alpha": now})
    cluster.move("a", ALPHA)
    machine.mailbox.add_leftovers(STREAM, [leftover("t3_old", now - 5000.0), leftover("t3_new", now - 1.0, 2)])
    machine.run(3.0)
    machine.run(3.0)
    assert "t3_new" in machine.spooled()
    assert "t3_old" not in machine.spooled()
    assert {"leftovers": 1, "leftovers_rejected": 1}.items() <= machine.counters().items()
    assert [entry["count"] for entry in machine.notes.events("leftovers_undecided")] == [1]
    reader: Any = SpoolReader.open(machine.directory, STREAM)
    assert reader.stream_state().shards[ALPHA].control == 2
    reader.close()


# -- the additions to the spool ----------------------------------------------------------------------------------------


def test_a_batch_forgets_unproves_and_drops(tmp_path: Path) -> None:
    with SpoolWriter(tmp_path, STREAM) as writer:
        gap = Gap(STREAM, ("Alpha",), 1.0, 2.0, "too short", 3.0, 2)
        seen = [Seen("t3_a", "alpha", 1.0, 3), Seen("t3_b", "beta", 1.0, 3), Seen("t3_c", "alpha", 1.0, 3)]
        writer.commit(Batch(seen=seen, gaps=[gap]))
        assert gap.id is not None
        writer.commit(Batch(forget=("t3_c", "t3_x"), unprove_buckets=("alpha",), dropped_gaps=(gap.id,)))
        assert writer.load_seen() == {"t3_a": (0, "alpha"), "t3_b": (3, "beta")}
        assert writer.load_gaps() == []
        assert writer.unknown_names(["t3_x", "t3_a", "t3_y"]) == ["t3_x", "t3_y"]
    with SpoolWriter(tmp_path, STREAM) as writer:  # the file is found as its writer left it
        assert writer.load_gaps() == []


def test_notes_of_shards_do_not_outlive_their_names(tmp_path: Path) -> None:
    """The copy of a lost spool's state has no names: the notes would say that they are there."""
    with SpoolWriter(tmp_path, STREAM, subreddits=NAMES) as writer:
        state = StateChange(
            epoch=4, proven_until={"iota": 5.0}, shards={1: ShardNote("t", 1, 2)}, released={2: ReleasedShard(7)}
        )
        writer.commit(Batch(cursor=state.entries()))
        stored = writer.load_state()
        assert (stored.shards, stored.released) == ({1: ShardNote("t", 1, 2)}, {2: ReleasedShard(7)})
        store = PublisherStore.open(tmp_path, structlog.stdlib.get_logger("test"))
        reader = SpoolReader.open(tmp_path, STREAM)
        assert reader is not None
        store.remembered[STREAM] = reader.state()
        store.save([Position(STREAM, writer.spool_id, 0)])
        reader.close()
    for path in tmp_path.glob("spool-*.db*"):
        path.unlink()
    with SpoolWriter(tmp_path, STREAM, subreddits=NAMES) as writer:
        found = writer.load_state()
        assert (found.proven_until, found.shards, found.released) == ({"iota": 5.0}, {}, {})


def test_a_mailbox_keeps_what_it_gets(tmp_path: Path) -> None:
    mailbox = MailboxWriter(tmp_path)
    mailbox.store_names(1, STREAM, [Name("t3_a", "alpha"), Name("t3_b", "beta", 7.0)])
    assert mailbox.holds(STREAM, "t3_a")
    assert not mailbox.holds(STREAM, "t3_c")
    mailbox.close()


def test_the_process_follows_its_mailbox(tmp_path: Path) -> None:
    """Alive without shards, it captures those that it gets, with the same client; Reddit is away here."""
    notes, messages = Notes(), []  # type: ignore[var-annotated]
    config = stream_config(Config(), STREAM)
    config = replace(
        config,
        cluster=ClusterConfig("a", "group", SHARDS, 6.0, ""),
        state_dir=tmp_path,
        subreddits=NAMES,
        access=replace(config.access, reddit_url="http://127.0.0.1:9", oauth_url="http://127.0.0.1:9"),
    )
    log: Any = notes
    context = ChildContext(STREAM, log, messages.append)
    process = threading.Thread(target=capture_process.run, args=(context, config))
    process.start()
    try:
        wait_until(lambda: ("ready",) in messages, what="the process is ready")
        assert notes.events("stream_opened") == []
        mailbox = MailboxWriter(tmp_path)
        mailbox.own(0, BIRTH, {STREAM: Adoption(0, "one", None)})
        wait_until(lambda: bool(notes.events("stream_opened")), what="the first shard")
        mailbox.own(ALPHA, BIRTH, {STREAM: Adoption(ALPHA, "two", ShardState("z", "other"))})
        wait_until(lambda: bool(notes.events("shards_changed")), what="the second shard")
        mailbox.release([0, ALPHA])
        wait_until(lambda: len(notes.events("shards_released")) == 1, what="none")
    finally:
        context.ask_stop()
        process.join(20.0)
    assert not process.is_alive()
    assert [notes.events(name)[0]["subreddits_total"] for name in ("stream_opened", "shards_changed")] == [1, 3]
