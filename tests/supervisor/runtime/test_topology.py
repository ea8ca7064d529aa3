"""The topology: which children a configuration creates; each entry point exists."""

import importlib
import pickle
from dataclasses import replace
from pathlib import Path

import pytest

from core.config import EMBEDDED, Config, Proxy
from core.config.sections import ChangesSection, MonitorSection, ScraperSection
from core.spool import spool_path
from supervisor.processes.child_spec import Stage
from supervisor.runtime import topology

CONFIG = Config(scraper=ScraperSection(enabled=False), monitor=MonitorSection(enabled=False))
ALONE = MonitorSection(enabled=False)
PROXIES = (Proxy("a", "http://user:secret@127.0.0.1:1"), Proxy("b", "socks5://127.0.0.1:2"))


def names(config: Config) -> list[str]:
    return [spec.name for spec in topology.topology(config)]


def test_the_publisher_starts_before_the_streams_and_stops_after_them() -> None:
    specs = topology.topology(CONFIG)
    assert [spec.name for spec in specs] == ["publisher", "submissions", "comments"]
    assert [spec.stage for spec in specs] == [Stage.SINK, Stage.SOURCE, Stage.SOURCE]
    assert [spec.listens for spec in specs] == [True, False, False]


def test_a_stream_that_is_switched_off_has_no_process() -> None:
    assert names(replace(CONFIG, streams=replace(CONFIG.streams, comments=False))) == ["publisher", "submissions"]


def test_later_changes_have_a_process_only_where_they_are_enabled_beside_a_stream() -> None:
    config = replace(CONFIG, changes=ChangesSection(enabled=True))
    specs = topology.topology(config)
    assert [spec.name for spec in specs] == ["publisher", "submissions", "comments", "changes"]
    assert (specs[-1].stage, specs[-1].dependent) == (Stage.SOURCE, True)
    assert all(spec.arguments[0].followed for spec in specs[1:3]), "their spools keep what it has not read"
    off = replace(config.streams, submissions=False, comments=False)
    assert "changes" not in names(replace(config, streams=off))


def test_there_is_a_scraper_for_each_proxy_or_one_that_goes_without() -> None:
    assert names(Config(monitor=ALONE))[-1:] == ["scraper-direct"]
    specs = topology.topology(Config(scraper=ScraperSection(proxies=PROXIES), monitor=ALONE))
    assert [spec.name for spec in specs[-2:]] == ["scraper-a", "scraper-b"]
    assert [spec.arguments[0].proxy for spec in specs[-2:]] == list(PROXIES)
    assert {spec.stage for spec in specs[-2:]} == {Stage.SOURCE}


def test_the_monitor_waits_for_nobody_and_sees_the_others_out() -> None:
    specs = topology.topology(Config(), (topology.broker(9092),))
    (monitor,) = [spec for spec in specs if spec.name == "monitor"]
    assert monitor.after == ()
    others = {spec.stage for spec in specs if spec is not monitor}
    assert others == {Stage.SOURCE, Stage.SINK, Stage.COMPANION}
    assert Stage.SOURCE < Stage.SINK < monitor.stage < Stage.COMPANION
    assert "monitor" not in names(Config(monitor=ALONE))


def test_without_streams_there_is_nothing_to_publish_unless_they_left_something(tmp_path: Path) -> None:
    config = replace(
        CONFIG,
        streams=replace(CONFIG.streams, submissions=False, comments=False),
        supervisor=replace(CONFIG.supervisor, state_dir=tmp_path),
    )
    assert names(config) == []
    spool_path(tmp_path, "comments").touch()
    assert names(config) == ["publisher"]


def test_everyone_waits_for_the_companions_which_stop_last() -> None:
    companions = (topology.broker(9092), topology.simulator(("true",), 8000))
    specs = topology.topology(CONFIG, companions)
    assert [spec.name for spec in specs] == ["broker", "simulator", "publisher", "submissions", "comments"]
    assert all(spec.after == ("broker", "simulator") for spec in specs[2:])
    assert all(spec.stage is Stage.COMPANION for spec in specs[:2])


def test_an_embedded_broker_gets_an_address_that_the_children_know() -> None:
    wanting = replace(CONFIG, kafka=replace(CONFIG.kafka, bootstrap_servers=EMBEDDED))
    assert topology.wants_broker(wanting)
    assert not topology.wants_broker(CONFIG)
    assert topology.with_broker_at(wanting, 1234).kafka.bootstrap_servers == "127.0.0.1:1234"


@pytest.mark.parametrize(
    "entry",
    sorted({spec.entry for spec in topology.topology(Config(), (topology.broker(1), topology.simulator((), 1)))}),
)
def test_what_a_child_is_to_run_exists(entry: str) -> None:
    """Entries are names and not imported: the supervisor does not load librdkafka and PRAW."""
    module, _, function = entry.partition(":")
    assert callable(getattr(importlib.import_module(module), function))


def test_what_a_child_is_given_can_be_sent_to_it() -> None:
    for spec in topology.topology(Config(scraper=ScraperSection(proxies=PROXIES))):
        assert pickle.loads(pickle.dumps(spec)) == spec
