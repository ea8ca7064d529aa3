"""A machine that was frozen for longer than its session, with a transaction open: its commit must be refused."""

import os
import signal
from collections import Counter
from pathlib import Path

import pytest

from core.errors import PERMANENT_EXIT
from tests.streams.cluster.machine import SHARDS, Machine, items
from tests.streams.publisher.deployment import new_topic
from tests.support.brokers import ApacheKafka
from tests.support.soaking import SOAK
from tests.support.topic import read_topic
from tests.support.waiting import wait_until


@SOAK
def test_a_frozen_machine_that_wakes_repeats_nothing(tmp_path: Path, apache_kafka: ApacheKafka) -> None:
    topic = new_topic()
    with Machine(tmp_path, apache_kafka, topic, "m1") as one, Machine(tmp_path, apache_kafka, topic, "m2") as two:
        one.start()
        one.wait_owns(SHARDS)
        one.capture_items(items(0, 50))
        one.wait_delivered()
        two.start()
        wait_until(lambda: len(two.owns()) == 2 and len(one.owns()) == 2, what="each to own two shards")
        for round_ in range(3):
            os.kill(one.publisher.pid, signal.SIGSTOP)
            fresh = items(100 * (round_ + 1), 60)
            one.capture_items(fresh)
            two.wait_owns(SHARDS)
            two.capture_items({**items(0, 50), **fresh})
            os.kill(one.publisher.pid, signal.SIGCONT)
            wait_until(lambda: is_idle(one) and is_idle(two), what="both to have nothing left")
            wait_until(lambda: len(two.owns()) == 2 and len(one.owns()) == 2, what="each to own two shards")
        wanted = items(0, 50) | items(100, 60) | items(200, 60) | items(300, 60)

        def all_there() -> bool:
            one.follow()
            two.follow()
            return delivered(two).keys() >= set(wanted)

        wait_until(all_there, what="all items to be in the topic")
        assert delivered(two) == dict.fromkeys(wanted, 1)
        assert one.said("membership_lost")


@pytest.mark.parametrize(
    ("delivery", "others"), [("exactly_once", False), pytest.param("at_least_once", True, marks=SOAK)]
)
def test_of_two_machines_with_one_name_the_first_ends_and_says_why(
    tmp_path: Path, apache_kafka: ApacheKafka, delivery: str, others: bool
) -> None:
    """With others alive too: a machine that leaves for good tells the group, which does not listen to this one."""
    topic = new_topic()
    with (
        Machine(tmp_path / "c", apache_kafka, topic, "m2", delivery) as other,
        Machine(tmp_path / "a", apache_kafka, topic, "m1", delivery) as one,
        Machine(tmp_path / "b", apache_kafka, topic, "m1", delivery) as two,
    ):
        one.start()
        one.wait_owns(SHARDS)
        one.capture_items(items(0, 20))
        one.wait_delivered()
        if others:
            other.start()
            wait_until(lambda: len(other.owns()) == 2, what="the other one to own two shards")
            wait_until(lambda: len(one.owns()) == 2, what="the first one to own two shards")
        two.start()
        assert one.ended() == PERMANENT_EXIT
        (fatal,) = one.said("fatal")
        assert "cluster.instance" in fatal["error"]
        assert not one.said("crashed")
        if others:
            other.stop()
        two.wait_owns(SHARDS)
        two.capture_items(items(0, 40))
        two.wait_delivered()
        assert delivered(two) == dict.fromkeys(items(0, 40), 1)


def is_idle(machine: Machine) -> bool:
    machine.follow()
    return machine.backlog() == 0


def delivered(machine: Machine) -> Counter[str]:
    return Counter(record.key for record in read_topic(machine.broker.bootstrap_servers, machine.topic))
