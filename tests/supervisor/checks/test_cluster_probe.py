"""`check --connect` in a cluster: what the brokers would refuse is known before anything starts."""

from pathlib import Path

import pytest
from confluent_kafka.admin import AdminClient, NewTopic  # type: ignore[attr-defined]  # missing from its __all__

from core.config import load_config
from core.config.slices import ClusterConfig
from supervisor.checks.cluster_probe import cluster_finding
from supervisor.checks.probes import probe_kafka
from tests.support.brokers import TansuBroker

PLACE = ClusterConfig("gapless-0", "gapless-posts", 16, 6.0, "x")


@pytest.mark.parametrize(
    ("partitions", "limits", "ok", "text"),
    [
        (None, None, True, "topic posts.control with 16 partitions will be created"),
        (16, (6.0, 1800.0), True, "topic posts.control with 16 partitions exists; a session of 6 s is accepted"),
        (8, (6.0, 1800.0), False, "set cluster.shards = 8 on every machine"),
        (16, (10.0, 1800.0), False, "the brokers accept sessions from 10 to 1800 s: set cluster.session_timeout"),
        (None, (1.0, 5.0), False, "the brokers accept sessions from 1 to 5 s"),
    ],
)
def test_it_names_what_the_brokers_would_refuse(
    partitions: int | None, limits: tuple[float, float] | None, ok: bool, text: str
) -> None:
    finding = cluster_finding(PLACE, "posts", partitions, limits)
    assert (finding.name, finding.ok) == ("cluster", ok)
    assert text in finding.text


def test_a_topic_made_for_another_number_of_shards_is_found(tmp_path: Path, tansu: TansuBroker) -> None:
    client = AdminClient({"bootstrap.servers": tansu.bootstrap_servers})
    client.create_topics([NewTopic("probed.control", 8, 1)])["probed.control"].result(10)
    path = tmp_path / "config.toml"
    path.write_text("[cluster]\nenabled = true\n")
    overrides: dict[str, object] = {"kafka.bootstrap_servers": tansu.bootstrap_servers, "kafka.topic": "probed"}
    config = load_config(path, overrides, environ={}, credentials=False)
    kafka, cluster = probe_kafka(config)
    assert kafka.ok
    assert not cluster.ok
    assert "topic probed.control has 8 partitions, and cluster.shards is 16" in cluster.text
