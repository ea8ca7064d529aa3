"""Checks whether the brokers accept this machine of a cluster: number of shards, time-out of its session."""

import contextlib
from typing import TYPE_CHECKING

from core.config.slices import ClusterConfig
from supervisor.checks.finding import Finding, failed, fine

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

_LIMITS = ("group.min.session.timeout.ms", "group.max.session.timeout.ms")
_TIMEOUT_S = 2.0


def session_limits(client: "AdminClient", broker: int) -> tuple[float, float] | None:
    """Return the shortest and the longest session that a broker accepts, seconds; None: it does not say."""
    from confluent_kafka import KafkaException  # noqa: PLC0415  25 MB that other commands do not need
    from confluent_kafka.admin import (  # type: ignore[attr-defined]  # noqa: PLC0415  missing from its __all__
        ConfigResource,
        ResourceType,
    )

    with contextlib.suppress(KafkaException, KeyError, ValueError, TypeError, TimeoutError):
        resource = ConfigResource(ResourceType.BROKER, str(broker))
        (answer,) = client.describe_configs([resource], request_timeout=_TIMEOUT_S).values()
        settings = answer.result(timeout=_TIMEOUT_S)
        shortest, longest = (float(settings[name].value) / 1000.0 for name in _LIMITS)
        return shortest, longest
    return None


def cluster_finding(
    place: ClusterConfig, topic: str, partitions: int | None, limits: tuple[float, float] | None
) -> Finding:
    """Compare the configuration with the partitions of the control topic (None: it does not exist) and the limits."""
    if partitions is not None and partitions != place.shards:
        text = f"topic {topic}.control has {partitions} partitions, and cluster.shards is {place.shards}"
        return failed("cluster", f"{text}: set cluster.shards = {partitions} on every machine")
    if limits is not None and not limits[0] <= place.session_timeout <= limits[1]:
        text = f"the brokers accept sessions from {limits[0]:g} to {limits[1]:g} s"
        return failed("cluster", f"{text}: set cluster.session_timeout within these, or change the brokers' settings")
    state = "exists" if partitions is not None else "will be created"
    session = "" if limits is None else f"; a session of {place.session_timeout:g} s is accepted"
    return fine("cluster", f"topic {topic}.control with {place.shards} partitions {state}{session}")
