"""The settings of consumers that read partitions by manual assignment, and are members of no group."""

from typing import Literal

from streams.sinks.kafka.producer import Properties


def reader_settings(
    connection: Properties, name: str, isolation_level: Literal["read_committed", "read_uncommitted"]
) -> Properties:
    """Return the properties of a consumer.

    Args:
        connection: to reach the brokers.
        name: what it reads, a part of its group's name, which it never joins.
        isolation_level: a client sees either the committed records or the real end of the log.
    """
    return {
        **connection,
        "log_level": 0,  # the publisher's producer logs the same errors
        "group.id": f"gapless-{name}",
        "enable.auto.commit": False,
        "auto.offset.reset": "earliest",
        "enable.partition.eof": True,
        "isolation.level": isolation_level,
        "fetch.wait.max.ms": 50,
    }
