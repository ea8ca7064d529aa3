"""What the description of a topic tells while Kafka takes nothing."""

from types import SimpleNamespace

import pytest

from streams.sinks.kafka.topics import shortfall


def partition(number: int, *, isr: int, replicas: int, leader: int | None = 1) -> SimpleNamespace:
    return SimpleNamespace(id=number, leader=leader, isr=list(range(isr)), replicas=list(range(replicas)))


@pytest.mark.parametrize(
    ("partitions", "says"),
    [
        ([], ""),
        ([partition(0, isr=1, replicas=1), partition(1, isr=3, replicas=3)], ""),
        (
            [partition(0, isr=3, replicas=3), partition(1, isr=1, replicas=3)],
            "1 of 3 replicas are in sync in partition 1",
        ),
        ([partition(0, isr=0, replicas=1, leader=None)], "partition 0 has no leader"),
    ],
)
def test_replicas_that_are_missing_are_named(partitions: list[SimpleNamespace], says: str) -> None:
    assert shortfall(SimpleNamespace(partitions=partitions)) == says


def test_what_is_no_description_lacks_nothing() -> None:
    assert shortfall(None) == ""
