"""A trial on the stage that a scenario asks for."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.e2e.stages import Stage
from tests.support.authority import Authority
from tests.support.brokers import Broker
from tests.support.kafka_jars import KafkaUnavailableError, java_command, kafka_classpath
from tests.support.postgres import PostgresServer
from tests.support.scrape import Scrape
from tests.support.trial import FIGURES, Trial


@pytest.fixture
def broker(stage: Stage, request: pytest.FixtureRequest) -> Broker:
    """The broker of the stage, running."""
    name = "tansu" if stage.broker == "tansu" or _only_tansu(stage) else "apache_kafka"
    chosen: Broker = request.getfixturevalue(name)
    return chosen


def _only_tansu(stage: Stage) -> bool:
    if stage.broker != "kafka-else-tansu" or os.environ.get("REQUIRE_KAFKA") == "1":
        return False
    try:
        java_command()
        kafka_classpath()
    except KafkaUnavailableError:
        return True
    return False


@pytest.fixture
def trial(
    tmp_path: Path, stage: Stage, broker: Broker, seed: int, record_property: Callable[[str, Any], None]
) -> Iterator[Trial]:
    """A trial that leaves no process behind, and its story if it failed."""
    made = Trial(tmp_path, broker, stage.delivery, seed)
    yield made
    print(made.report())
    made.end()
    record_property(FIGURES, made.notes | {"seed": seed})


@pytest.fixture
def scrape(tmp_path: Path, seed: int, record_property: Callable[[str, Any], None]) -> Iterator[Scrape]:
    """A trial of the scraper on SQLite that leaves no process behind, and its story if it failed."""
    yield from _told(Scrape(tmp_path, seed), record_property)


@pytest.fixture
def scrape_on_postgres(
    tmp_path: Path, seed: int, postgres: PostgresServer, record_property: Callable[[str, Any], None]
) -> Iterator[Scrape]:
    """The same on an empty database in PostgreSQL."""
    yield from _told(Scrape(tmp_path, seed, postgres.new_database()), record_property)


def _told(made: Scrape, record_property: Callable[[str, Any], None]) -> Iterator[Scrape]:
    yield made
    print(made.report())
    made.end()
    record_property(FIGURES, made.notes | {"seed": made.seed})


@pytest.fixture(scope="session")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    """A certificate authority that only configured clients trust."""
    return Authority(tmp_path_factory.mktemp("authority"))
