"""On which broker, with which promise, a scenario plays."""

from dataclasses import dataclass

import pytest

from tests.support.soaking import SOAK


@dataclass(frozen=True, slots=True)
class Stage:
    """One delivery mode on one kind of broker."""

    delivery: str
    broker: str  # "tansu" · "kafka" · "kafka-else-tansu"

    def __str__(self) -> str:
        return f"{self.delivery}-{self.broker}"


# What only the streams see (late items, tokens, errors, refusals) is played once: no promise of the publisher changes
# it.
EVERYWHERE = Stage("at_least_once", "tansu")
EXACTLY_ONCE = Stage("exactly_once", "kafka")
# Kills and outages belong on the real thing; where it cannot run they are still worth a run.
SERIOUS = Stage("at_least_once", "kafka-else-tansu")


def on(*stages: Stage, soak: tuple[Stage, ...] = ()) -> pytest.MarkDecorator:
    """Play the scenario on each of these stages, and on those of `soak` in `make soak`."""
    later = [pytest.param(stage, marks=SOAK, id=str(stage)) for stage in soak]
    return pytest.mark.parametrize("stage", [*stages, *later], ids=str)
