"""Fixtures for all tests: the real brokers, back to life for every test; and the proof, in figures, at the end."""

import gc
import itertools
import os
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import settings

from core.masking import external
from core.masking.masking import Masker
from core.process import core_dumps
from tests.support import memory, soaking
from tests.support.brokers import ApacheKafka, TansuBroker
from tests.support.kafka_jars import KafkaUnavailableError
from tests.support.nursery import Nursery
from tests.support.postgres import PostgresServer
from tests.support.trial import FIGURES

# an example may take long on a busy machine: that says nothing about the code
settings.register_profile("gapless", parent=settings.default, deadline=None)
settings.load_profile("gapless")
settings.register_profile(soaking.PROFILE, parent=settings.get_profile("gapless"))

#: How many tests this run leaves to `make soak`.
_waiting = pytest.StashKey[int]()


def pytest_addoption(parser: pytest.Parser) -> None:
    """Define `--soak`."""
    parser.addoption("--soak", action="store_true", help="run only the tests that `make soak` adds to `make test`")


def pytest_configure(config: pytest.Config) -> None:
    """Define the marks, and let properties try more examples in a soak."""
    config.addinivalue_line("markers", "soak: plays a promise once more; runs with --soak only")
    config.addinivalue_line("markers", "longer: runs with --soak too, with more examples")
    if config.getoption("--soak"):
        settings.load_profile(soaking.PROFILE)
    gc.disable()  # the tests that are collected stay: a search for garbage among them takes a tenth of that time


def pytest_collection_finish() -> None:
    """Search for garbage again, and never among the tests."""
    gc.freeze()
    gc.enable()


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out what `make soak` runs, or all but that; give each worker its part of the rest."""
    soak = bool(config.getoption("--soak"))
    chosen, others = soaking.split(items, soak=soak)
    config.hook.pytest_deselected(items=others)
    config.stash[_waiting] = 0 if soak else len(others)
    items[:] = chosen
    _deal(items)


def _deal(items: list[pytest.Item]) -> None:
    """Give each worker its part of the long tests, and those first, so that no worker ends long after the others.

    xdist hands out neighbours in equal numbers to begin with, so the workers' parts come one after the other. Those on
    Apache Kafka go to two workers in five: each that has one starts a JVM.
    """
    workers = int(os.environ.get("PYTEST_XDIST_WORKER_COUNT", "1"))
    slow = sorted((item for item in items if "e2e" in item.path.parts), key=lambda item: not _on_kafka(item))
    quick = sorted((item for item in items if "e2e" not in item.path.parts), key=lambda item: not _on_kafka(item))
    parts: list[list[pytest.Item]] = [[] for _ in range(workers)]
    for item in slow:
        hands = parts[: max(1, workers * 2 // 5)] if _on_kafka(item) else parts
        min(hands, key=len).append(item)
    size = -(-len(items) // workers)
    items.clear()
    for part in parts:
        rest = max(0, size - len(part))
        items += [*part, *quick[:rest]]
        quick = quick[rest:]
    items += quick


def _on_kafka(item: pytest.Item) -> bool:
    return "apache_kafka" in getattr(item, "fixturenames", ()) or "kafka" in item.name.partition("[")[2]


@pytest.fixture(autouse=True)
def own_process(monkeypatch: pytest.MonkeyPatch) -> None:
    """Leave no trace in the process of the tests: secrets are forgotten, and it may have core files."""
    monkeypatch.setattr(external, "known", Masker())
    monkeypatch.setattr(core_dumps, "forbid", lambda: None)


@pytest.fixture
def tmp_path(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Path]:
    """pytest's own directory on the disk; in memory for the tests that commit often."""
    if memory.chosen(request.path.relative_to(Path(__file__).parent).as_posix()):
        with memory.directory() as made:
            yield made
    else:
        yield tmp_path


@pytest.fixture
def seed() -> int:
    """One number behind all chance in a run; GAPLESS_SEED repeats one."""
    given = os.environ.get("GAPLESS_SEED")
    chosen = int(given) if given else random.SystemRandom().randrange(1_000_000)
    print(f"seed {chosen} (repeat with GAPLESS_SEED={chosen})")
    return chosen


@pytest.fixture(scope="session")
def tansu_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TansuBroker]:
    """The embedded broker, started once."""
    broker = TansuBroker(tmp_path_factory.mktemp("tansu"))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture(scope="session")
def apache_kafka_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[ApacheKafka]:
    """Apache Kafka, started once; skipped with the reason where it cannot run, unless REQUIRE_KAFKA=1 forbids that."""
    try:
        broker = ApacheKafka(tmp_path_factory.mktemp("kafka"))
    except KafkaUnavailableError as missing:
        if os.environ.get("REQUIRE_KAFKA") == "1":
            pytest.fail(f"REQUIRE_KAFKA=1, yet {missing}")
        pytest.skip(str(missing))
    broker.start()
    yield broker
    broker.stop()


@pytest.fixture
def tansu(tansu_session: TansuBroker) -> TansuBroker:
    """The embedded broker, running. Topics of earlier tests are still there: choose your own name."""
    tansu_session.ensure_running()
    return tansu_session


@pytest.fixture
def apache_kafka(apache_kafka_session: ApacheKafka) -> ApacheKafka:
    """Apache Kafka, running whatever the last test did to it. Choose your own topic name."""
    apache_kafka_session.ensure_running()
    return apache_kafka_session


@pytest.fixture(scope="session")
def postgres_session() -> Iterator[PostgresServer]:
    """PostgreSQL, started once."""
    server = PostgresServer()
    try:
        server.start()
        yield server
    finally:
        server.dispose()


@pytest.fixture
def postgres(postgres_session: PostgresServer) -> PostgresServer:
    """PostgreSQL, running whatever the last test did to it; `new_database()` gives an empty one."""
    postgres_session.ensure_running()
    return postgres_session


@pytest.fixture
def nursery(tmp_path: Path) -> Iterator[Nursery]:
    """Where a test spawns single children; their log is in `tmp_path`."""
    nursery = Nursery(tmp_path)
    yield nursery
    nursery.clear()


def pytest_sessionfinish(session: pytest.Session) -> None:
    """Send the number of tests that wait for the soak to the process that prints it."""
    if hasattr(session.config, "workeroutput"):
        session.config.workeroutput["waiting"] = session.config.stash.get(_waiting, 0)


@pytest.hookimpl(optionalhook=True)
def pytest_testnodedown(node: Any) -> None:
    """Take over the number that a worker of xdist sends: each one collects all tests."""
    node.config.stash[_waiting] = getattr(node, "workeroutput", {}).get("waiting", 0)


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter, config: pytest.Config) -> None:
    """Print how many tests wait for the soak, and the counts of every run, from all workers."""
    if waiting := config.stash.get(_waiting, 0):
        terminalreporter.write_line(f"{waiting} tests wait for `make soak`")
    rows = []
    for report in itertools.chain.from_iterable(terminalreporter.stats.values()):
        if isinstance(report, pytest.TestReport) and report.when == "teardown":
            figures = dict(report.user_properties).get(FIGURES)
            rows += [(report.nodeid.split("::")[-1], figures)] if isinstance(figures, dict) else []
    if not rows:
        return
    terminalreporter.section("the proof in figures")
    for name, figures in sorted(rows, key=lambda row: row[0]):
        terminalreporter.write_line(f"{name}\n    " + "  ".join(f"{what} {figure}" for what, figure in figures.items()))
