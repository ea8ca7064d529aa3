"""Publishers of several machines on a real Kafka: every item once, whoever captured it and whoever is killed."""

from collections import Counter
from collections.abc import Collection
from dataclasses import replace
from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from core.cluster.shards import shard_of
from core.config.sections import StreamsSection
from core.errors import PERMANENT_EXIT
from core.reddit.machine_share import read_share
from tests.streams.cluster.machine import SHARDS, SUBREDDITS, Machine, items
from tests.streams.publisher.deployment import new_topic
from tests.support.brokers import ApacheKafka
from tests.support.soaking import SOAK
from tests.support.topic import read_topic
from tests.support.waiting import wait_until


def delivered(machine: Machine) -> Counter[str]:
    return Counter(record.key for record in read_topic(machine.broker.bootstrap_servers, machine.topic))


def share(machine: Machine) -> float | None:
    stored = read_share(machine.state_dir)
    return None if stored is None else stored.per_minute


def wait_delivered(machine: Machine, names: Collection[str]) -> None:
    wait_until(lambda: delivered(machine).keys() >= set(names), what="all items to be in the topic")


def test_a_killed_machine_s_shards_go_on_elsewhere_and_nothing_is_repeated(
    tmp_path: Path, apache_kafka: ApacheKafka
) -> None:
    topic = new_topic()
    with Machine(tmp_path, apache_kafka, topic, "m1") as one, Machine(tmp_path, apache_kafka, topic, "m2") as two:
        one.start()
        one.wait_owns(SHARDS)
        first = items(0, 100)
        one.capture_items(first)
        wait_delivered(one, first)
        two.start()
        wait_until(lambda: len(two.owns()) == 2 and len(one.owns()) == 2, what="each to own two shards")
        second = items(100, 100)
        for machine in (one, two):  # both see everything, the older items too
            machine.capture_items(first | second)
        wait_delivered(one, first | second)
        assert max(delivered(one).values()) == 1
        one.kill()
        third = items(200, 100)
        one.capture_anyway({name: sub for name, sub in third.items() if shard_of(sub, SHARDS) in one.notes})
        two.wait_owns(SHARDS)
        two.capture_items(first | second | third)
        wait_delivered(two, third)
        one.start()
        wait_until(lambda: (one.owns(), one.backlog() == 0)[1], what="the returned machine to have nothing left")
        wait_until(lambda: len(two.owns()) == 2 and len(one.owns()) == 2, what="each to own two shards")
        found = delivered(two)
        assert found == dict.fromkeys(first | second | third, 1)
        view = two.view
        assert view is not None
        assert {shard.owner for shard in view.shards} == {"m1", "m2"}
        assert view.document()["instance"] == "m2"
        wait_until(lambda: [share(one), share(two)] == [50.0, 50.0], what="both to share the quota of their client")


def test_what_only_a_dead_machine_had_captured_arrives_through_the_new_owner(
    tmp_path: Path, apache_kafka: ApacheKafka
) -> None:
    topic = new_topic()
    with Machine(tmp_path, apache_kafka, topic, "m1") as one, Machine(tmp_path, apache_kafka, topic, "m2") as two:
        one.start()
        one.wait_owns(SHARDS)
        one.capture_items(items(0, 24))
        wait_delivered(one, items(0, 24))
        one.kill()
        one.capture_anyway(items(24, 24))
        two.start()
        two.wait_owns(SHARDS)
        two.capture_items(items(0, 36))  # the listing still shows half of it
        wait_delivered(two, items(0, 36))
        one.start()
        wait_until(lambda: (one.owns(), two.owns(), one.backlog() == 0)[2], what="the rest to be handed over")

        def all_there() -> bool:
            one.follow()
            two.follow()
            return delivered(two).keys() >= set(items(0, 48))

        wait_until(all_there, what="what only the dead machine had captured")
        assert delivered(two) == dict.fromkeys(items(0, 48), 1)


@pytest.mark.parametrize("delivery", ["exactly_once", pytest.param("at_least_once", marks=SOAK)])
def test_a_clean_stop_moves_the_shards_within_three_seconds(
    tmp_path: Path, apache_kafka: ApacheKafka, delivery: str
) -> None:
    topic = new_topic()
    with (
        Machine(tmp_path, apache_kafka, topic, "m1", delivery) as one,
        Machine(tmp_path, apache_kafka, topic, "m2", delivery) as two,
    ):
        one.start()
        one.wait_owns(SHARDS)
        two.start()
        wait_until(lambda: len(two.owns()) == 2 and len(one.owns()) == 2, what="each to own two shards")
        two.capture_items(items(0, 60))
        one.capture_items(items(0, 60))
        wait_delivered(one, items(0, 60))
        code, _ = one.stop()
        assert code == 0
        two.wait_owns(SHARDS, 3.0)
        two.capture_items(items(0, 80))
        wait_delivered(two, items(0, 80))
        assert delivered(two) == dict.fromkeys(items(0, 80), 1)
        assert sorted(two.state.proven_until) == sorted(SUBREDDITS)


def test_rows_of_a_disabled_stream_that_others_have_delivered_are_not_repeated(
    tmp_path: Path, apache_kafka: ApacheKafka
) -> None:
    topic = new_topic()
    with Machine(tmp_path, apache_kafka, topic, "m1") as one, Machine(tmp_path, apache_kafka, topic, "m2") as two:
        one.start()
        one.wait_owns(SHARDS)
        one.capture_items(items(0, 24))
        wait_delivered(one, items(0, 24))
        one.kill()
        one.capture_anyway(items(24, 24))
        two.start()
        two.wait_owns(SHARDS)
        two.capture_items(items(0, 48))
        wait_delivered(two, items(0, 48))
        two.stop()
        one.config = replace(one.config, streams=StreamsSection(comments=False))
        one.start()
        wait_until(lambda: one.backlog() == 0, what="the rows of the disabled stream to be settled")
        assert delivered(one) == dict.fromkeys(items(0, 48), 1)
        assert one.counters()["skipped"] == 24


@SOAK
def test_a_deleted_state_topic_is_made_again_with_what_the_spools_know(
    tmp_path: Path, apache_kafka: ApacheKafka
) -> None:
    topic = new_topic()
    name = f"{topic}.state"
    with Machine(tmp_path, apache_kafka, topic, "m1") as one, Machine(tmp_path, apache_kafka, topic, "m2") as two:
        one.start()
        one.wait_owns(SHARDS)
        one.capture_items(items(0, 24))
        wait_delivered(one, items(0, 24))
        admin = AdminClient({"bootstrap.servers": apache_kafka.bootstrap_servers})
        admin.delete_topics([name])[name].result(10.0)
        one.capture_items(items(24, 24))
        wait_delivered(one, items(0, 48))
        assert sum(line["topic"] == name for line in one.said("topic_created")) == 2
        two.start()
        two.wait_owns(2)
        assert one.stop()[0] == 0
        two.wait_owns(SHARDS)
        two.capture_items(items(0, 60))  # it knows the names of what was delivered before the topic was deleted
        wait_delivered(two, items(0, 60))
        assert delivered(two) == dict.fromkeys(items(0, 60), 1)


def test_a_state_topic_with_too_few_partitions_is_refused(tmp_path: Path, apache_kafka: ApacheKafka) -> None:
    topic = new_topic()
    admin = AdminClient({"bootstrap.servers": apache_kafka.bootstrap_servers})
    admin.create_topics([NewTopic(f"{topic}.state", num_partitions=2)])[f"{topic}.state"].result(10.0)
    with Machine(tmp_path, apache_kafka, topic, "m1") as one:
        one.start()
        assert one.ended() == PERMANENT_EXIT
