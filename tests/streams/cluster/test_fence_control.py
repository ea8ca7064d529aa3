"""A machine that was frozen past its session and wakes sends nothing twice; the same without the fence does."""

import json
import subprocess
import sys
import uuid
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from signal import SIGCONT, SIGSTOP

import pytest
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

from core.process.parent_guard import guarded_command
from tests.support.brokers import ApacheKafka
from tests.support.simulator import ROOT
from tests.support.topic import read_topic
from tests.support.waiting import PATIENCE, wait_until

ITEM = "t1_item"


class Member:
    """A process that is a member of a group; see `tests/support/cluster_member.py`."""

    def __init__(self, *arguments: str) -> None:
        command = guarded_command([sys.executable, "-m", "tests.support.cluster_member", *arguments])
        self._process = subprocess.Popen(
            command,
            cwd=ROOT,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            bufsize=1,
        )

    def ask(self, command: str) -> object:
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.write(f"{command}\n")
        answer: object = json.loads(self._process.stdout.readline())
        return answer

    def freeze(self) -> None:
        self._process.send_signal(SIGSTOP)

    def thaw(self) -> None:
        self._process.send_signal(SIGCONT)

    def last_words(self) -> str:
        """Return what it wrote to its standard error when it ended by itself."""
        assert self._process.stderr is not None
        self._process.wait(PATIENCE)
        return self._process.stderr.read()

    def end(self) -> None:
        self._process.kill()
        self._process.communicate()


@pytest.fixture
def member(apache_kafka: ApacheKafka) -> Iterator[Callable[..., Member]]:
    made: list[Member] = []

    def make(group: str, instance: str) -> Member:
        made.append(Member(apache_kafka.bootstrap_servers, group, instance, f"{group}.control", group))
        return made[-1]

    yield make
    for one in made:
        one.end()


def new_group(kafka: ApacheKafka) -> str:
    """Create a topic with one partition, its control topic with one shard, and return the name of both."""
    group = f"g-{uuid.uuid4().hex[:8]}"
    admin = AdminClient({"bootstrap.servers": kafka.bootstrap_servers, "log_level": 0})
    topics = [NewTopic(name, 1, 1) for name in (group, f"{group}.control")]
    for future in admin.create_topics(topics).values():
        future.result(20)
    return group


def woken_owner(kafka: ApacheKafka, member: Callable[..., Member], how: str) -> tuple[object, list[str]]:
    """Freeze the owner of a shard, send its item as the next owner, then as the woken one.

    Returns the answer to the woken one, and the keys that a reader of committed records finds.
    """
    group = new_group(kafka)
    owner = member(group, "m1")
    wait_until(lambda: owner.ask("shards") == [0], what="the first member to own the shard")
    assert owner.ask("hold") == "holding"
    owner.freeze()
    successor = member(group, "m2")
    wait_until(lambda: successor.ask("shards") == [0], what="the second member to own the shard")
    assert successor.ask(f"send {ITEM} fenced") == "sent"
    owner.thaw()
    answer = owner.ask(f"send {ITEM} {how}")
    return answer, [record.key for record in read_topic(kafka.bootstrap_servers, group)]


def test_only_the_fence_keeps_an_owner_that_wakes_from_sending_an_item_twice(
    apache_kafka: ApacheKafka, member: Callable[..., Member]
) -> None:
    """The control runs beside the test: without it, the test could pass because nothing was sent at all."""
    with ThreadPoolExecutor() as pool:
        fenced = pool.submit(woken_owner, apache_kafka, member, "fenced")
        control = pool.submit(woken_owner, apache_kafka, member, "unfenced")
    refusal, keys = fenced.result()
    assert refusal in ("UNKNOWN_MEMBER_ID", "ILLEGAL_GENERATION", "FENCED_INSTANCE_ID")
    assert keys == [ITEM]
    assert control.result() == ("sent", [ITEM, ITEM])


def test_two_machines_with_one_name_are_told_so(apache_kafka: ApacheKafka, member: Callable[..., Member]) -> None:
    group = new_group(apache_kafka)
    first = member(group, "m1")
    wait_until(lambda: first.ask("shards") == [0], what="the first to own the shard")
    second = member(group, "m1")
    wait_until(lambda: second.ask("shards") == [0], what="its namesake to own the shard")
    said = first.last_words()
    assert "another machine" in said
    assert "cluster.instance" in said
