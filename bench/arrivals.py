"""Times at which a consumer that follows the topic first receives each record."""

import threading
import time

from confluent_kafka import OFFSET_BEGINNING, Consumer, KafkaException, TopicPartition
from confluent_kafka.admin import AdminClient
from confluent_kafka.cimpl import NewTopic

_PARTITIONS = 3


def create_topic(bootstrap_servers: str, topic: str) -> None:
    """Create the topic, and return when it exists."""
    client = AdminClient({"bootstrap.servers": bootstrap_servers, "log_level": 0})
    for future in client.create_topics([NewTopic(topic, _PARTITIONS, 1)]).values():
        future.result(20)


class Arrivals:
    """Follows a topic from its beginning in a thread. No record arrives before it is acknowledged."""

    def __init__(self, bootstrap_servers: str, topic: str, *, create: bool = True) -> None:
        """`create`: the topic does not exist yet."""
        if create:
            create_topic(bootstrap_servers, topic)
        self._consumer = Consumer(
            {
                "bootstrap.servers": bootstrap_servers,
                "group.id": "bench",
                "enable.auto.commit": False,
                "isolation.level": "read_committed",
                "fetch.wait.max.ms": 10,
                "log_level": 0,
            }
        )
        self._consumer.assign([TopicPartition(topic, number, OFFSET_BEGINNING) for number in range(_PARTITIONS)])
        self.times: dict[str, float] = {}
        self.records = 0
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._follow, daemon=True)
        self._thread.start()

    def _follow(self) -> None:
        while not self._over.is_set():
            for message in self._consumer.consume(500, timeout=0.05):
                error = message.error()
                if error is not None:
                    if error.retriable():
                        continue
                    raise KafkaException(error)
                self.records += 1
                self.times.setdefault((message.key() or b"").decode(), time.time())

    def close(self) -> None:
        """Stop following."""
        self._over.set()
        self._thread.join(5)
        self._consumer.close()
