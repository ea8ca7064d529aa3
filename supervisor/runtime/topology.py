"""Turns a configuration into the list of children and their start order; the only place that does."""

from dataclasses import replace

from core.config import EMBEDDED, Config
from core.config.proxies import process_name
from core.config.slices import changes_config, monitor_config, publisher_config, scraper_config, stream_config
from core.spool import spool_path
from core.stream_kinds import kind_of, spool_names
from supervisor.processes.child_spec import ChildSpec, Stage


def with_broker_at(config: Config, port: int) -> Config:
    """Return the configuration for the children when the broker is an embedded one on `port`."""
    return replace(config, kafka=replace(config.kafka, bootstrap_servers=f"127.0.0.1:{port}"))


def wants_broker(config: Config) -> bool:
    """Return whether the broker is one of our own processes."""
    return config.kafka.bootstrap_servers == EMBEDDED


def broker(port: int) -> ChildSpec:
    """Return the specification of the embedded broker."""
    return ChildSpec("broker", "supervisor.runtime.external_process:run_broker", (port,), Stage.COMPANION)


def simulator(command: tuple[str, ...], port: int) -> ChildSpec:
    """Return the specification of the simulator, a separate program: `command` starts it, it listens on `port`."""
    return ChildSpec("simulator", "supervisor.runtime.external_process:run", (command, port), Stage.COMPANION)


def topology(config: Config, companions: tuple[ChildSpec, ...] = ()) -> list[ChildSpec]:
    """Return the children in start order: what others connect to, the publisher, the sources.

    The monitor comes last and waits for no other child: it must run even when the others cannot start.
    """
    names = tuple(companion.name for companion in companions)
    streams = [
        ChildSpec(stream, kind_of(stream).process, (stream_config(config, stream),), Stage.SOURCE, after=names)
        for stream in config.streams.enabled
    ]
    publishers = []
    if streams or _has_spools(config):
        entry, publisher = "streams.publisher.publisher_process:run", publisher_config(config)
        publishers.append(ChildSpec("publisher", entry, (publisher,), Stage.SINK, listens=True, after=names))
    changes = _changes(config, names) if streams else []
    return [*companions, *publishers, *streams, *changes, *_scrapers(config, names), *_monitors(config)]


def _changes(config: Config, after: tuple[str, ...]) -> list[ChildSpec]:
    """Return the process that looks at delivered items again, if it is enabled."""
    if not config.changes.enabled:
        return []
    entry, arguments = kind_of("changes").process, (changes_config(config),)
    return [ChildSpec("changes", entry, arguments, Stage.SOURCE, dependent=True, after=after)]


def _monitors(config: Config) -> list[ChildSpec]:
    if not config.monitor.enabled:
        return []
    entry = "supervisor.monitor.monitor_process:run"
    return [ChildSpec("monitor", entry, (monitor_config(config),), Stage.WATCH, compact=True)]


def _has_spools(config: Config) -> bool:
    """Return whether streams that are now disabled have left a spool that may still have to be published."""
    return any(spool_path(config.supervisor.state_dir, stream).exists() for stream in spool_names())


def _scrapers(config: Config, after: tuple[str, ...]) -> list[ChildSpec]:
    """Return one scraper per proxy, or one scraper without a proxy."""
    if not config.scraper.enabled:
        return []
    entry = "scraper.scraper_process:run"
    return [
        ChildSpec(process_name(proxy), entry, (scraper_config(config, proxy),), Stage.SOURCE, compact=True, after=after)
        for proxy in config.scraper.proxies or (None,)
    ]
