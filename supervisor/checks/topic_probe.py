"""Describes the topics of the configuration as the brokers have them."""

import contextlib
from collections.abc import Mapping
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from confluent_kafka.admin import AdminClient

_TIMEOUT_S = 2.0


def describe_topic(name: str, partitions: Mapping[str, int]) -> str:
    """Return a phrase about a topic; `partitions`: their numbers in the topics that exist."""
    count = partitions.get(name)
    if count is None:
        return f"topic {name} does not exist yet; the publisher will create it"
    return f"topic {name} has {count} partition{'' if count == 1 else 's'}"


def cleanup_policy(client: "AdminClient", topic: str) -> str | None:
    """Return the topic's cleanup.policy; None: the broker does not say."""
    from confluent_kafka import KafkaException  # noqa: PLC0415  25 MB that other commands do not need
    from confluent_kafka.admin import (  # type: ignore[attr-defined]  # noqa: PLC0415  missing from its __all__
        ConfigResource,
        ResourceType,
    )

    with contextlib.suppress(KafkaException, KeyError, ValueError, TypeError, TimeoutError):
        (answer,) = client.describe_configs(
            [ConfigResource(ResourceType.TOPIC, topic)], request_timeout=_TIMEOUT_S
        ).values()
        return str(answer.result(timeout=_TIMEOUT_S)["cleanup.policy"].value)
    return None
