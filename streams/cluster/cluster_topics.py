"""The two topics of a cluster, and the names that its machines must agree on."""

from collections.abc import Callable

from core.config.slices import ClusterConfig
from core.errors import PermanentError
from streams.sinks.kafka.topics import Topic


class ClusterTopics:
    """The topics, both with a partition for each shard; `ensure` returns whether both exist.

    - `TOPIC.control`: its partitions are what the group divides; it holds the leftovers of machines.
    - `TOPIC.state`: compacted; it holds what the next owner of a shard must know.
    """

    def __init__(self, make_topic: Callable[..., Topic], topic: str, config: ClusterConfig) -> None:
        self._shards = config.shards
        self._control = make_topic(f"{topic}.control", partitions=config.shards, settings={"retention.ms": "-1"})
        # small segments: what was not compacted yet is read when a shard moves
        compacted = {"cleanup.policy": "compact", "min.cleanable.dirty.ratio": "0.1", "segment.bytes": str(8 << 20)}
        self._state = make_topic(f"{topic}.state", partitions=config.shards, settings=compacted)
        self.control, self.state = self._control.name, self._state.name

    def ensure(self, seconds: float) -> bool:
        """Check or create them; wait at most `seconds` for each."""
        return all([self._control.ensure(seconds), self._state.ensure(seconds)])

    def recheck(self) -> None:
        """Check both again: one of them may no longer exist."""
        self._control.recheck()
        self._state.recheck()

    def take_remade(self) -> bool:
        """Return whether one of them was made again since the last call."""
        remade = self._control.remade or self._state.remade
        self._control.remade = self._state.remade = False
        return remade

    def check_partitions(self, partitions: int) -> None:
        """Compare the number of partitions with the configuration. Raises PermanentError."""
        if partitions != self._shards:
            raise PermanentError(
                f"the topic {self.control} was made for {partitions} shards, and cluster.shards is {self._shards}:"
                f" set cluster.shards = {partitions} on every machine"
            )


def transactional_id_of(group: str, instance: str) -> str:
    """Return the transactional id of a machine's producer: the next owner of its shards must know it."""
    return f"gapless-{group}-{instance}"
