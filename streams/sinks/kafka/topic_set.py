"""The topics of the records: each is checked, and created, from the moment on that something goes there."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from functools import partial

from streams.sinks.kafka.topics import Topic


class TopicSet:
    """Several topics. A topic that is missing holds only what goes there.

    Args:
        make_topic: creates a topic from its name.
        settings: of the topics that are created with settings of their own, by name.
    """

    def __init__(self, make_topic: Callable[..., Topic], settings: Mapping[str, Mapping[str, str]]) -> None:
        self._make_topic = make_topic
        self._settings = settings
        self._topics: dict[str, Topic] = {}
        #: for each sender, the topics that it needs
        self._groups: Sequence[tuple[str, ...]] = ()

    def ensure(self, groups: Sequence[tuple[str, ...]], seconds: float) -> None:
        """Check or create topics, at most `seconds` for each; `groups`: for each sender, the topics that it needs."""
        self._groups = groups
        for name in dict.fromkeys(name for group in groups for name in group):
            if name not in self._topics:
                essential = partial(self._is_essential, name)
                self._topics[name] = self._make_topic(name, settings=self._settings.get(name), essential=essential)
            self._topics[name].ensure(seconds)

    def absent(self, names: Iterable[str]) -> frozenset[str]:
        """Return those of the topics that are not known to exist."""
        return frozenset(name for name in names if name not in self._topics or not self._topics[name].exists)

    def refused(self, names: Iterable[str]) -> bool:
        """Return whether Kafka refuses to create one of these topics."""
        return any(name in self._topics and self._topics[name].refused for name in names)

    def missing(self) -> None:
        """Record that topics may no longer exist: all are checked again."""
        for topic in self._topics.values():
            topic.missing()

    @property
    def request_pending(self) -> bool:
        """Whether a request about a topic waits for its answer."""
        return any(topic.request_pending for topic in self._topics.values())

    @property
    def any_exists(self) -> bool:
        """Whether at least one topic is known to exist: Kafka has answered since the last `missing`."""
        return any(topic.exists for topic in self._topics.values())

    def _is_essential(self, name: str) -> bool:
        """Return whether nothing can be sent without this topic now."""
        return not any(name not in group and not self.absent(group) for group in self._groups)
