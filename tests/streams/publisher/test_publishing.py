"""The publisher process against the embedded broker: everything arrives, in order, whatever happens to it."""

import sqlite3
from pathlib import Path

import pytest

from core.errors import PERMANENT_EXIT
from core.spool.committed_positions import publisher_path
from tests.streams.publisher.deployment import Deployment
from tests.support.brokers import TansuBroker
from tests.support.durations import allowed
from tests.support.waiting import wait_until


def test_records_arrive_with_key_value_and_headers_in_a_topic_that_it_made(tmp_path: Path, tansu: TansuBroker) -> None:
    with Deployment(tmp_path, tansu) as deployment:
        deployment.start()
        deployment.comments.capture(30)
        deployment.submissions.capture(3)
        deployment.tell()
        deployment.wait_delivered()
        records = deployment.prove()
        (first,) = [record for record in records if record.key == "t1_0"]
        assert first.headers == {"schema": "reddit.comment.v1", "stream": "comments", "seq": "1"}
        assert first.value["fullname"] == "t1_0"
        assert {record.headers["schema"] for record in records if record.stream == "submissions"} == {
            "reddit.submission.v1"
        }
        assert deployment.counters() == {"published": 33}
        assert deployment.said("topic_created")
        code, took = deployment.stop()
        assert code == 0
        assert took < 1.0, "idle: nothing to wait for"


def test_it_looks_by_itself_when_the_news_gets_lost(tmp_path: Path, tansu: TansuBroker) -> None:
    with Deployment(tmp_path, tansu) as deployment:
        deployment.start()
        for count in (1, 5, 2):
            deployment.comments.capture(count)
            deployment.wait_delivered(allowed(5.0))
        assert len(deployment.prove()) == 8


def test_what_is_left_at_the_stop_is_drained(tmp_path: Path, tansu: TansuBroker) -> None:
    with Deployment(tmp_path, tansu) as deployment:
        deployment.start()
        deployment.comments.capture(1)
        deployment.wait_delivered()
        deployment.comments.capture(20_000)
        assert deployment.stop()[0] == 0
        assert deployment.backlog() == 0
        deployment.prove()


def test_a_record_too_large_becomes_a_dead_letter_and_holds_nothing_up(tmp_path: Path, tansu: TansuBroker) -> None:
    with Deployment(tmp_path, tansu, message_max_bytes=10_000) as deployment:
        deployment.comments.capture(5)
        (large,) = deployment.comments.capture(1, size=20_000)
        deployment.comments.capture(5)
        deployment.start()
        deployment.wait_delivered()
        deployment.prove(without=(large,))
        assert deployment.counters() == {"published": 10, "errors": 1, "dead_letters": 1}
        said = deployment.wait_said("dead_letter")
        assert (said["key"], said["limit"]) == (large, 10_000)
        kept = sqlite3.connect(publisher_path(deployment.state_dir)).execute(
            "SELECT seq, key, reason FROM dead_letters"
        )
        ((seq, key, reason),) = kept.fetchall()
        assert (seq, key.decode()) == (6, large)
        assert "MSG_SIZE_TOO_LARGE" in reason


def test_a_frozen_broker_delays_and_loses_nothing(tmp_path: Path, tansu: TansuBroker) -> None:
    with Deployment(tmp_path, tansu) as deployment:
        deployment.start()
        deployment.comments.capture(10)
        deployment.wait_delivered()
        tansu.freeze()
        deployment.comments.capture(2000)
        deployment.submissions.capture(100)
        deployment.tell()
        deployment.wait_said("kafka_away")
        tansu.thaw()
        deployment.wait_delivered()
        deployment.prove()
        assert deployment.said("kafka_back")[0]["records_waiting"] > 0


def test_a_start_without_a_broker_waits_for_it(tmp_path: Path, tansu: TansuBroker) -> None:
    tansu.stop()
    with Deployment(tmp_path, tansu) as deployment:
        deployment.start()
        wait_until(lambda: ("ready",) in deployment.publisher.messages(), what="the publisher to be ready")
        deployment.comments.capture(500)
        deployment.wait_said("kafka_away")
        tansu.start()
        deployment.wait_delivered()
        deployment.prove()


def test_stopping_while_the_broker_is_away_keeps_everything_for_the_next_start(
    tmp_path: Path, tansu: TansuBroker
) -> None:
    with Deployment(tmp_path, tansu) as deployment:
        deployment.start()
        deployment.comments.capture(10)
        deployment.wait_delivered()
        tansu.freeze()
        deployment.comments.capture(300)
        deployment.tell()
        code, took = deployment.stop(drain=1.5)
        assert code == 0
        assert took < allowed(2.0), "the deadline holds, whatever the producer still has"
        assert deployment.backlog() == 300
        tansu.thaw()
        deployment.start()
        deployment.wait_delivered()
        deployment.prove(repeats=True)


def test_stopping_without_anything_to_deliver_does_not_wait_for_a_broker_that_is_away(
    tmp_path: Path, tansu: TansuBroker
) -> None:
    with Deployment(tmp_path, tansu) as deployment:
        deployment.start()
        deployment.comments.capture(10)
        deployment.wait_delivered()
        tansu.freeze()
        code, took = deployment.stop(drain=20.0)
        assert code == 0
        assert took < 1.0
        tansu.thaw()


def test_a_topic_that_vanishes_is_made_again(tmp_path: Path, tansu: TansuBroker) -> None:
    """The embedded broker forgets everything when it ends: topic, records, and the producer's own session."""
    with Deployment(tmp_path, tansu) as deployment:
        deployment.start()
        deployment.comments.capture(100)
        deployment.wait_delivered()
        tansu.server.kill()
        tansu.start()
        late = deployment.comments.capture(200)
        deployment.wait_delivered(30.0)
        assert set(late) <= {record.key for record in deployment.records()}


def test_killed_at_any_moment_it_goes_on_behind_its_position(tmp_path: Path, tansu: TansuBroker) -> None:
    with Deployment(tmp_path, tansu) as deployment:
        deployment.comments.capture(40_000)
        kills = 0
        deployment.start()
        while deployment.backlog() and kills < 5:
            left = deployment.backlog()
            wait_until(lambda left=left: deployment.backlog() < left, what="some progress")  # type: ignore[misc]
            deployment.submissions.capture(50)
            deployment.kill()
            kills += 1
            deployment.start()
        deployment.wait_delivered(30.0)
        deployment.prove(repeats=True)
        assert kills >= 2
        assert deployment.counters()["published"] == len(deployment.comments.keys) + len(deployment.submissions.keys)


def test_properties_that_librdkafka_does_not_know_end_it_for_good(tmp_path: Path, tansu: TansuBroker) -> None:
    with Deployment(tmp_path, tansu, no_such_property=1) as deployment:
        deployment.start()
        assert deployment.ended() == PERMANENT_EXIT
        (said,) = deployment.said("fatal")
        assert "no.such.property" in said["error"]


@pytest.mark.parametrize("stream", ["comments", "submissions"])
def test_a_spool_that_appears_later_is_found(tmp_path: Path, tansu: TansuBroker, stream: str) -> None:
    with Deployment(tmp_path, tansu) as deployment:
        for spool in deployment.spools:
            spool.close()
        for path in deployment.state_dir.iterdir():
            path.unlink()
        deployment.start()
        wait_until(lambda: ("ready",) in deployment.publisher.messages(), what="the publisher to be ready")
        spool = type(deployment.comments)(deployment.state_dir, stream)
        setattr(deployment, stream, spool)
        keys = spool.capture(3)
        wait_until(lambda: {record.key for record in deployment.records()} == set(keys), what="the records")


def test_exactly_once_works_on_the_embedded_broker_when_nothing_goes_wrong(tmp_path: Path, tansu: TansuBroker) -> None:
    with Deployment(tmp_path, tansu, delivery="exactly_once") as deployment:
        deployment.start()
        for count in (1, 700, 3):
            deployment.comments.capture(count)
            deployment.submissions.capture(1)
            deployment.tell()
            deployment.wait_delivered()
        assert deployment.stop()[0] == 0
        deployment.start()
        deployment.comments.capture(5)
        deployment.wait_delivered()
        deployment.prove()
