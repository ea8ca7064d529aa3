"""What runs, and in which order: the one place where a configuration becomes children."""

from dataclasses import replace

from core.config import EMBEDDED, Config
from core.config.proxies import process_name
from core.config.slices import monitor_config, publisher_config, scraper_config, stream_config
from core.spool import spool_path
from core.stream_kinds import kind_of, stream_names
from supervisor.processes.child_spec import ChildSpec, Stage


def with_broker_at(config: Config, port: int) -> Config:
    """Give the configuration as the children see it when the broker is an embedded one on `port`."""
    return replace(config, kafka=replace(config.kafka, bootstrap_servers=f"127.0.0.1:{port}"))


def wants_broker(config: Config) -> bool:
    """Tell whether the broker is to be one of our own processes."""
    return config.kafka.bootstrap_servers == EMBEDDED


def broker(port: int) -> ChildSpec:
    """Describe the embedded broker."""
    return ChildSpec("broker", "supervisor.runtime.embedded_broker:run", (port,), Stage.COMPANION)


def simulator(command: tuple[str, ...], port: int) -> ChildSpec:
    """Describe the simulator, a program of its own that is started by `command` and listens on `port`."""
    return ChildSpec("simulator", "supervisor.runtime.external_process:run", (command, port), Stage.COMPANION)


def topology(config: Config, companions: tuple[ChildSpec, ...] = ()) -> list[ChildSpec]:
    """List the children in the order of their start: whom others talk to, the publisher, those who take things in.

    The monitor comes last and waits for nobody: it is to be there when the others cannot start.
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
    return [*companions, *publishers, *streams, *_scrapers(config, names), *_monitors(config)]


def _monitors(config: Config) -> list[ChildSpec]:
    if not config.monitor.enabled:
        return []
    return [ChildSpec("monitor", "supervisor.monitor.monitor_process:run", (monitor_config(config),), Stage.WATCH)]


def _has_spools(config: Config) -> bool:
    """Tell whether streams that are switched off now have left something that may still have to be published."""
    return any(spool_path(config.supervisor.state_dir, stream).exists() for stream in stream_names())


def _scrapers(config: Config, after: tuple[str, ...]) -> list[ChildSpec]:
    """Describe one scraper for each proxy, or one that goes without."""
    if not config.scraper.enabled:
        return []
    entry = "scraper.scraper_process:run"
    return [
        ChildSpec(process_name(proxy), entry, (scraper_config(config, proxy),), Stage.SOURCE, after=after)
        for proxy in config.scraper.proxies or (None,)
    ]
