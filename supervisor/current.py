"""The configuration as it is in force, and how it is read again while everything runs."""

from collections.abc import Callable

import structlog

from core import logs
from core.config import Config
from core.errors import ConfigError, Problem
from supervisor import topology
from supervisor.change import Wanted
from supervisor.companion import free_port
from supervisor.spec import ChildSpec

log = structlog.stdlib.get_logger(__name__)

#: Where the state and the logs are cannot change while somebody writes there.
_FIXED = ("state_dir", "log_dir")


class Current:
    """Holds the configuration; `load` reads it anew, from wherever it came first. `broker`: port of an embedded one."""

    def __init__(self, config: Config, load: Callable[[], Config] | None = None, broker: int | None = None) -> None:
        self.config = config
        self._load = load
        self._broker = broker

    def reread(self) -> Wanted | None:
        """Read it again and take it over; None, and a line in the log, where it is wrong: then nothing changes."""
        if self._load is None:
            log.warning("nothing_to_reload", hint="this configuration came from no file")
            return None
        try:
            fresh = self._load()
            _refuse_what_is_fixed(self.config, fresh)
        except ConfigError as error:
            log.error("reload_refused", error=str(error), hint="nothing was changed; correct it and send SIGHUP again")  # noqa: TRY400
            return None
        companions: tuple[ChildSpec, ...] = ()
        if topology.wants_broker(fresh):
            self._broker = self._broker or free_port()
            fresh, companions = topology.with_broker_at(fresh, self._broker), (topology.broker(self._broker),)
        logs.hide(*fresh.secrets())
        self.config, settings = fresh, fresh.supervisor
        return Wanted(topology.topology(fresh, companions), settings.shutdown_timeout, settings.heartbeat_timeout)


def _refuse_what_is_fixed(before: Config, after: Config) -> None:
    problems = [
        Problem(f"supervisor.{key}", f"was {getattr(before.supervisor, key)} at the start: stop and start to change it")
        for key in _FIXED
        if getattr(before.supervisor, key) != getattr(after.supervisor, key)
    ]
    if problems:
        raise ConfigError(problems)
