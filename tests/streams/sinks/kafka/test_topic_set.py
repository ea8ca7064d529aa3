"""Several topics: which are asked for, and which of them nothing can be sent without."""

from collections.abc import Callable
from typing import Any

from streams.sinks.kafka.topic_set import TopicSet


class FoundLater:
    """A topic that exists when the test says so."""

    def __init__(self, name: str, settings: Any, essential: Callable[[], bool]) -> None:
        self.name, self.settings, self.essential = name, settings, essential
        self.exists = self.refused = self.request_pending = False
        self.asked = 0

    def ensure(self, _seconds: float) -> bool:
        self.asked += 1
        return self.exists

    def missing(self) -> None:
        self.exists = False


def test_a_topic_is_essential_while_no_other_sender_can_send_without_it() -> None:
    made: dict[str, FoundLater] = {}

    def make(name: str, **more: Any) -> FoundLater:
        made[name] = FoundLater(name, **more)
        return made[name]

    topics = TopicSet(make, {"latest": {"cleanup.policy": "compact"}})  # type: ignore[arg-type]
    topics.ensure([("c", "latest"), ("s", "latest"), ("changes",)], 0.0)
    assert set(made) == {"c", "s", "latest", "changes"}
    assert [one.name for one in made.values() if one.settings] == ["latest"]
    assert all(one.essential() for one in made.values()), "nothing is there yet"
    for name in ("c", "s"):
        made[name].exists = True
    assert topics.absent(("c", "latest")) == {"latest"}
    assert made["latest"].essential(), "the others need it too"
    made["changes"].exists = True
    assert not made["latest"].essential(), "changes can be sent"
    made["latest"].refused = True
    assert topics.refused(["latest"])
    assert not topics.refused(["c"])
    topics.missing()
    assert not topics.any_exists
