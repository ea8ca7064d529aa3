"""GAPLESS_TABLE__KEY: every key has a variable of this form."""

from pathlib import Path

import pytest

from core.config.sections import all_settings
from tests.core.config.conftest import CREDENTIALS, Load, Problems


@pytest.mark.parametrize(
    ("variable", "text", "key", "value"),
    [
        ("GAPLESS_KAFKA__TOPIC", "123", "kafka.topic", "123"),
        ("GAPLESS_REDDIT__SUBREDDITS", '["Bitcoin", "r/ethereum"]', "reddit.subreddits", ("Bitcoin", "ethereum")),
        ("GAPLESS_SCRAPER__ENABLED", "false", "scraper.enabled", False),
        ("GAPLESS_SCRAPER__REFRESH_AFTER", "12h", "scraper.refresh_after", 43200.0),
        ("GAPLESS_SCRAPER__REFRESH_AFTER", "90", "scraper.refresh_after", 90.0),
        ("GAPLESS_SUPERVISOR__STATE_DIR", "elsewhere", "supervisor.state_dir", Path("elsewhere")),
        ("GAPLESS_MONITOR__PORT", "0", "monitor.port", 0),
        ("GAPLESS_MONITOR__TOKEN", "0123", "monitor.token", "0123"),
    ],
)
def test_a_variable_sets_its_key(load: Load, variable: str, text: str, key: str, value: object) -> None:
    config = load("", environ=CREDENTIALS | {variable: text})
    table, _, leaf = key.partition(".")
    assert getattr(getattr(config, table), leaf) == value


def test_the_variable_with_a_name_of_its_own_is_the_stronger(load: Load) -> None:
    both = {"KAFKA_TOPIC_REDDIT": "named", "GAPLESS_KAFKA__TOPIC": "general"}
    assert load("", environ=CREDENTIALS | both).kafka.topic == "named"


def test_properties_of_the_producer_have_variables_and_their_secrets_are_known(load: Load) -> None:
    text = '[kafka.producer]\n"linger.ms" = 20\n'
    config = load(text, environ=CREDENTIALS | {"GAPLESS_KAFKA__PRODUCER__SASL_PASSWORD": "0123e4"})
    assert config.kafka.producer["sasl.password"] == "0123e4"
    assert config.kafka.producer["linger.ms"] == 20
    assert "0123e4" in config.secrets()


def test_a_variable_of_this_form_that_names_no_key_is_reported(problems: Problems) -> None:
    (problem,) = problems("", environ=CREDENTIALS | {"GAPLESS_CLUSTER__INSTANZ": "a"})
    assert problem.key == "GAPLESS_CLUSTER__INSTANZ"
    assert problem.advice == "names no key; the nearest one is GAPLESS_CLUSTER__INSTANCE"


def test_other_variables_of_ours_are_no_keys(load: Load) -> None:
    assert load("", environ=CREDENTIALS | {"GAPLESS_CORE_FILES": "1", "GAPLESS_SEED": "7"})


def test_a_wrong_value_is_reported_under_its_variable(problems: Problems) -> None:
    (problem,) = problems("", environ=CREDENTIALS | {"GAPLESS_CLUSTER__SHARDS": "many"})
    assert problem.key == "cluster.shards"
    assert problem.source == "GAPLESS_CLUSTER__SHARDS in the environment"


def test_each_key_has_its_own_variable() -> None:
    names = [name for setting in all_settings() for name in setting.variables]
    assert len(names) == len(set(names))
