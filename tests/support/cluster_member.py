"""One member of a cluster's group: `python -m tests.support.cluster_member SERVERS GROUP INSTANCE CONTROL TOPIC`.

It polls the group and reads commands from its standard input, each answered by a line of JSON:

shards                 the shards that it owns
hold                   stop polling until the next command, as a program between its check and its sending
send KEY fenced        send a record with this key in one transaction, with the proof of the membership
send KEY unfenced      the same without the proof
"""

import json
import select
import sys

import structlog
from confluent_kafka import KafkaException, Producer

from core.config.slices import ClusterConfig
from streams.cluster.membership import Membership

_CALL_S = 10.0


class Member:
    """The product's membership, beside a producer."""

    def __init__(self, servers: str, group: str, instance: str, control: str, topic: str) -> None:
        config = ClusterConfig(instance, group, 1, 6.0, "")
        log = structlog.stdlib.get_logger()
        connection: dict[str, str | int | float | bool] = {"bootstrap.servers": servers}
        self.membership = Membership(
            config, control, connection, log, moving=lambda _shards: None, check_partitions=lambda _count: None
        )
        self._topic = topic
        self._producer = Producer({**connection, "transactional.id": f"{group}-{instance}", "log_level": 0})
        self._producer.init_transactions(_CALL_S)

    def send(self, key: str, *, fenced: bool) -> str:
        """Send one record; return "sent", or the name of the error that refused it."""
        producer, membership = self._producer, self.membership
        producer.begin_transaction()
        producer.produce(self._topic, b"{}", key.encode())
        try:
            producer.flush(_CALL_S)
            if fenced:
                producer.send_offsets_to_transaction(membership.offsets(), membership.metadata(), _CALL_S)
            producer.commit_transaction(_CALL_S)
        except KafkaException as refusal:
            producer.abort_transaction(_CALL_S)
            return str(refusal.args[0].name())
        return "sent"

    def execute(self, command: list[str]) -> object:
        """Execute one command; return its answer."""
        if command[0] == "shards":
            return sorted(self.membership.shards)
        if command[0] == "send":
            return self.send(command[1], fenced=command[2] == "fenced")
        raise ValueError(f"no such command: {command}")


def main() -> None:
    """Serve until the standard input ends."""
    structlog.configure(logger_factory=structlog.PrintLoggerFactory(sys.stderr))  # the answers alone are on stdout
    member = Member(*sys.argv[1:])
    held = False
    while True:
        if not held:
            member.membership.poll()
        readable, _, _ = select.select([sys.stdin], [], [], None if held else 0.02)
        if readable:
            line = sys.stdin.readline()
            if not line:
                return
            held = line.strip() == "hold"
            answer = "holding" if held else member.execute(line.split())
            print(json.dumps(answer), flush=True)


if __name__ == "__main__":
    main()
