"""A cluster with a topic per kind and `latest`: rows go there from their owner, changes from whoever found them."""

from collections import Counter
from dataclasses import replace
from pathlib import Path

import pytest

from core.cluster.shards import shard_of
from core.config.sections import TopicsSection
from core.spool import Batch, Record
from tests.streams.cluster.machine import SHARDS, SUBREDDITS, Machine, items
from tests.streams.publisher.deployment import new_topic
from tests.streams.publisher.spools import ChangesSpool
from tests.support.brokers import ApacheKafka
from tests.support.soaking import SOAK
from tests.support.topic import read_topic
from tests.support.waiting import wait_until


@pytest.mark.parametrize("delivery", [pytest.param("at_least_once", marks=SOAK), "exactly_once"])
def test_changes_are_not_routed_and_records_have_both_topics(
    tmp_path: Path, apache_kafka: ApacheKafka, delivery: str
) -> None:
    topic = new_topic()
    with (
        Machine(tmp_path, apache_kafka, topic, "a", delivery) as one,
        Machine(tmp_path, apache_kafka, topic, "b", delivery) as other,
    ):
        for machine in (one, other):
            topics = TopicsSection(comments=f"{topic}.comments", latest=f"{topic}.latest")
            machine.config = replace(machine.config, kafka=replace(machine.config.kafka, topics=topics))
            machine.start()
        wait_until(lambda: len(one.owns()) == len(other.owns()) == SHARDS // 2, 40.0, "both to own their part")
        captured = items(0, 60)
        for machine in (one, other):
            machine.capture_items(captured)
        one.wait_delivered(30.0)
        other.wait_delivered(30.0)
        foreign = [name for name in SUBREDDITS if shard_of(name, SHARDS) not in one.owns()]
        assert foreign, "some subreddits belong to the other machine"
        changes = ChangesSpool(one.state_dir)
        events = [
            Record(b"t1_%d" % number, b'{"fullname":"t1_%d","subreddit":"%b"}' % (number, name.encode()), schema)
            for number, name in enumerate(SUBREDDITS)
            for schema in ("reddit.change.v1", "reddit.comment.v1")
        ]
        changes.writer.commit(Batch(records=events))
        wait_until(lambda: one.position(changes.writer.spool_id) == len(events), 30.0, "the changes to be delivered")
        changes.close()
        found = {
            ending: Counter(record.key for record in read_topic(apache_kafka.bootstrap_servers, f"{topic}{ending}"))
            for ending in (".comments", ".latest", ".changes", ".control")
        }
        assert found[".comments"] == dict.fromkeys(captured, 1)
        assert found[".changes"] == {f"t1_{number}": 1 for number in range(len(SUBREDDITS))}
        assert found[".latest"] == found[".comments"] + found[".changes"]
        assert not found[".control"]
        assert read_topic(apache_kafka.bootstrap_servers, topic) == [], "nothing goes to the base itself"
