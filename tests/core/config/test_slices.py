"""The slices of the configuration: each process gets what it reads, all of it, and nothing else."""

import ast
import pickle
from collections.abc import Iterator
from dataclasses import fields, replace
from pathlib import Path

import pytest

from core.config import Config, Proxy
from core.config.sections import ClusterSection, KafkaSection, ScraperSection, all_settings
from core.config.slices import (
    ChangesConfig,
    MonitorConfig,
    ProcessConfig,
    PublisherConfig,
    RedditAccess,
    ScraperConfig,
    StreamConfig,
    changes_config,
    cluster_config,
    monitor_config,
    publisher_config,
    scraper_config,
    stream_config,
)
from tests.support.system import ROOT

PROXIES = (Proxy("a", "http://u:proxy-secret-a@h:1"), Proxy("b", "http://u:proxy-secret-b@h:2"))
BASE = Config(
    scraper=ScraperSection(proxies=PROXIES),
    kafka=KafkaSection(producer={"sasl.username": "me", "sasl.password": "kafka-secret"}),
)

STREAMS, SCRAPERS = {"submissions", "comments"}, {"scraper-a", "scraper-b"}
ASKING = STREAMS | SCRAPERS | {"changes"}
EVERYBODY = ASKING | {"publisher", "monitor"}
LOGIN = ASKING | {"monitor"}  # the monitor masks the secret, and the id where it is sent beside it

#: For every key: another value, and whose slice that changes.
KEYS: dict[str, tuple[object, set[str]]] = {
    "reddit.subreddits": (("x",), STREAMS | {"monitor"}),
    "reddit.reddit_url": ("http://x", ASKING),
    "reddit.oauth_url": ("http://x", ASKING),
    "reddit.requests_per_minute": (7, ASKING | {"monitor"}),
    "reddit.client_id": ("x", LOGIN),
    "reddit.client_secret": ("x", LOGIN),
    "reddit.user_agent": ("x", ASKING),
    "streams.submissions": (False, {"comments", "submissions", "monitor"}),
    "streams.comments": (False, {"comments", "submissions", "monitor"}),
    "streams.start": ("now", STREAMS),
    "streams.max_poll_interval": (7.0, STREAMS | {"monitor"}),
    "streams.payload": ("record", STREAMS | {"changes"}),
    "kafka.bootstrap_servers": ("x:1", {"publisher", "monitor"}),
    "kafka.topic": ("x", {"publisher", "monitor"}),
    "kafka.delivery": ("exactly_once", {"publisher", "changes", "monitor"}),
    "kafka.producer": ({"linger.ms": 5}, {"publisher", "monitor"}),
    "kafka.topics.submissions": ("x", {"publisher", "monitor"}),
    "kafka.topics.comments": ("x", {"publisher", "monitor"}),
    "kafka.topics.changes": ("x", {"publisher"}),
    "kafka.topics.latest": ("x", {"publisher", "changes", "monitor"}),
    "changes.enabled": (True, STREAMS | {"monitor"}),  # spools keep what the process has not read
    "changes.schedule": ((7.0,), {"changes"}),
    "cluster.enabled": (True, STREAMS | {"publisher", "monitor"}),
    "cluster.group": ("x", set()),  # nothing while the cluster is off
    "cluster.instance": ("x", set()),
    "cluster.shards": (7, set()),
    "cluster.session_timeout": (7.0, set()),
    "scraper.enabled": (False, SCRAPERS | {"monitor"}),
    "scraper.subreddits": (("x",), SCRAPERS),
    "scraper.authentication": ("none", SCRAPERS | {"monitor"}),
    "scraper.user_agent": ("rotate", SCRAPERS),
    "scraper.users_per_subreddit": (7, SCRAPERS),
    "scraper.concurrency": (7, SCRAPERS),
    "scraper.discover": (False, SCRAPERS | {"monitor"}),
    "scraper.max_depth": (7, SCRAPERS),
    "scraper.refresh_after": (7.0, SCRAPERS),
    "scraper.max_retries": (7, SCRAPERS),
    "scraper.timeout": (7.0, SCRAPERS),
    "scraper.proxies": ((*PROXIES, Proxy("c", "http://h:3")), SCRAPERS | {"monitor"}),
    "database.url": ("sqlite:///x.db", SCRAPERS | {"monitor"}),
    "supervisor.state_dir": (Path("x"), EVERYBODY),
    "supervisor.log_dir": (Path("x"), EVERYBODY),
    "supervisor.shutdown_timeout": (7.0, set()),
    "supervisor.heartbeat_timeout": (7.0, set()),
    "supervisor.stats_interval": (7.0, set()),
    "supervisor.log_format": ("json", set()),
    "supervisor.log_max_bytes": (7000, EVERYBODY),
    "supervisor.log_backups": (7, EVERYBODY),
    "monitor.enabled": (False, set()),
    "monitor.host": ("::1", {"monitor"}),
    "monitor.port": (7, {"monitor"}),
    "monitor.token": ("x", {"monitor"}),
}

#: Where the code of each kind of process reads its slice.
CODE: dict[type[object], list[str]] = {
    StreamConfig: ["streams/capture"],
    ChangesConfig: ["streams/changes"],
    PublisherConfig: ["streams/publisher", "streams/cluster"],
    ScraperConfig: ["scraper"],
    MonitorConfig: ["supervisor/monitor", "core/status/crawl", "core/status/system_status.py"],
    RedditAccess: ["streams/capture", "scraper"],
}


def slices(config: Config) -> dict[str, ProcessConfig]:
    scrapers = {f"scraper-{proxy.name}": scraper_config(config, proxy) for proxy in PROXIES}
    streams = {stream: stream_config(config, stream) for stream in ("submissions", "comments")}
    others = {
        "publisher": publisher_config(config),
        "changes": changes_config(config),
        "monitor": monitor_config(config),
    }
    return {**streams, **scrapers, **others}


def with_key(key: str, value: object) -> Config:
    table, _, leaf = key.partition(".")
    if "." in leaf:
        value, leaf = replace(BASE.kafka.topics, **{leaf.partition(".")[2]: str(value)}), "topics"
    return replace(BASE, **{table: replace(getattr(BASE, table), **{leaf: value})})


def test_the_table_names_every_key_of_the_configuration() -> None:
    assert list(KEYS) == [setting.key for setting in all_settings()]


@pytest.mark.parametrize("key", KEYS)
def test_a_key_changes_the_slices_of_those_who_read_it_and_no_other(key: str) -> None:
    value, whom = KEYS[key]
    before, after = slices(BASE), slices(with_key(key, value))
    assert {name for name in before if before[name] != after[name]} == whom


CLUSTER = ("reddit.subreddits", "reddit.requests_per_minute", "reddit.client_id", "kafka.topic", "streams.comments")


@pytest.mark.parametrize("key", [*(key for key in KEYS if key.startswith("cluster.")), *CLUSTER])
def test_in_a_cluster_its_keys_concern_streams_publisher_and_monitor(key: str) -> None:
    """And the publisher, which reports what is proven of each shard, follows the subreddits, streams and quota."""
    base = replace(BASE, cluster=ClusterSection(enabled=True))
    value = False if key == "cluster.enabled" else KEYS[key][0]
    table, _, leaf = key.partition(".")
    before, after = slices(base), slices(replace(base, **{table: replace(getattr(base, table), **{leaf: value})}))
    changed = {name for name in before if before[name] != after[name]}
    assert changed - SCRAPERS - {"changes"} == STREAMS | {"publisher", "monitor"}


def test_a_list_of_one_stream_concerns_that_stream_and_the_monitor() -> None:
    before, after = slices(BASE), slices(with_key("streams.comments", ("Bitcoin", "x")))
    assert {name for name in before if before[name] != after[name]} == {"comments", "monitor"}
    base = replace(BASE, cluster=ClusterSection(enabled=True))
    before, after = slices(base), slices(replace(base, streams=replace(base.streams, comments=("Bitcoin", "x"))))
    changed = {name for name in before if before[name] != after[name]}
    assert changed == {"comments", "monitor", "publisher"}, "the publisher divides the subreddits among the machines"


def test_a_machine_without_a_name_is_named_by_its_host_and_directory() -> None:
    base = replace(BASE, cluster=ClusterSection(enabled=True))
    elsewhere = replace(base, supervisor=replace(base.supervisor, state_dir=Path("other")))
    one, other = cluster_config(base), cluster_config(elsewhere)
    assert one is not None
    assert other is not None
    assert one.instance != other.instance
    assert one == cluster_config(base), "stable over restarts"
    assert one.group == "gapless-reddit-posts"
    named = cluster_config(replace(base, cluster=ClusterSection(enabled=True, instance="gapless-0", group="g")))
    assert named is not None
    assert (named.instance, named.group) == ("gapless-0", "g")
    assert cluster_config(BASE) is None


def trees(places: list[str]) -> Iterator[tuple[Path, ast.Module]]:
    for place in (ROOT / one for one in places):
        assert place.exists()
        for path in [place] if place.is_file() else sorted(place.rglob("*.py")):
            yield path, ast.parse(path.read_text())


@pytest.mark.parametrize("kind", CODE, ids=lambda kind: kind.__name__)
def test_no_slice_has_a_field_that_its_process_does_not_read(kind: type[ProcessConfig]) -> None:
    read = {node.attr for _, tree in trees(CODE[kind]) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    by_the_frame = {"logging"}  # core.child writes the log of every process
    assert {each.name for each in fields(kind)} - read - by_the_frame == set()


@pytest.mark.parametrize(
    "place",
    [
        "streams/capture",
        "streams/changes",
        "streams/publisher",
        "streams/cluster",
        "scraper",
        "supervisor/monitor",
        "core/child.py",
    ],
)
def test_no_code_of_a_process_knows_the_whole_configuration(place: str) -> None:
    """With the slices' types checked, it can read nothing else."""
    knowing = [
        path
        for path, tree in trees([place])
        for node in ast.walk(tree)
        if isinstance(node, ast.ImportFrom)
        and (node.module or "").startswith("core.config")
        and {"Config", "load_config", "all_settings"} & {alias.name for alias in node.names}
    ]
    assert knowing == []


def test_a_slice_holds_no_secret_that_its_process_does_not_need() -> None:
    config = with_key("reddit.client_secret", "reddit-secret")
    config = replace(config, monitor=replace(config.monitor, token="monitor-secret"))
    config = replace(config, database=replace(config.database, url="postgresql://u:database-secret@h/x"))
    secrets = config.secrets()
    held = {
        name: {secret for secret in secrets if secret.encode() in pickle.dumps(one)}
        for name, one in slices(config).items()
    }
    scraper = {"reddit-secret", "database-secret"}
    assert held == {
        "submissions": {"reddit-secret"},
        "comments": {"reddit-secret"},
        "changes": {"reddit-secret"},
        "publisher": {"kafka-secret"},
        "scraper-a": scraper | {"proxy-secret-a"},
        "scraper-b": scraper | {"proxy-secret-b"},
        "monitor": set(secrets),  # to mask them in what it shows
    }
    shown = " ".join(map(repr, slices(config).values()))
    assert [secret for secret in secrets if secret in shown] == []


def test_a_scraper_that_asks_without_a_token_has_no_credentials() -> None:
    config = with_key("reddit.client_secret", "reddit-secret")
    config = replace(config, scraper=replace(config.scraper, authentication="none"))
    assert b"reddit-secret" not in pickle.dumps(scraper_config(config, None))
