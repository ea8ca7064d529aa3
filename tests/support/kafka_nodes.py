"""Apache Kafka for several machines: one node or three, with a network link to each of them for every machine.

Clients follow the addresses that a broker announces. So each machine has its own listener on each broker, which
announces the port of the machine's link. All limits are Kafka's defaults.
"""

import signal
import subprocess
from collections.abc import Sequence
from pathlib import Path

from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.support.kafka_jars import java_command, kafka_classpath
from tests.support.links import Link
from tests.support.ports import free_port
from tests.support.server import ServerProcess
from tests.support.waiting import wait_until

_PROPERTIES = """\
process.roles=broker,controller
node.id={node}
controller.quorum.voters={voters}
listeners={listeners}
advertised.listeners={announced}
listener.security.protocol.map={protocols}
inter.broker.listener.name=DIRECT
controller.listener.names=CONTROLLER
log.dirs={data}

default.replication.factor={replicas}
min.insync.replicas={required}
offsets.topic.replication.factor={replicas}
transaction.state.log.replication.factor={replicas}
transaction.state.log.min.isr={required}
share.coordinator.state.topic.replication.factor={replicas}
share.coordinator.state.topic.min.isr={required}

# a missing topic stays missing: the publisher creates it
auto.create.topics.enable=false
num.partitions=3

# little memory and few threads; every limit of time is Kafka's default
offsets.topic.num.partitions=3
transaction.state.log.num.partitions=3
num.network.threads=1
num.io.threads=2
log.cleaner.dedupe.buffer.size=4194304
log.cleaner.io.buffer.size=65536
"""

_JVM = ("-Xmx256m", "-Xms96m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")
_START = 90.0


class KafkaNodes:
    """A KRaft cluster of brokers that are controllers too; with three, two must hold a record."""

    def __init__(self, directory: Path, count: int, machines: Sequence[str]) -> None:
        """`machines`: names in lower case; each gets a link to each node."""
        self.name = f"Apache Kafka, {count} node{'s' if count > 1 else ''}"
        self._directory = directory
        self._direct = {node: free_port() for node in range(1, count + 1)}
        self._control = {node: free_port() for node in self._direct}
        real = {(node, machine): free_port() for node in self._direct for machine in machines}
        self._links = {place: Link(port) for place, port in real.items()}
        self._java = [java_command(), *_JVM, "-cp", kafka_classpath()]
        self.servers: dict[int, ServerProcess] = {}
        for node in self._direct:
            ports = {machine: real[node, machine] for machine in machines}
            properties = self._configure(node, ports)
            log = "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn"
            command = [*self._java, log, "kafka.Kafka", str(properties)]
            self.servers[node] = ServerProcess(command, directory / f"kafka-{node}.out", cwd=directory)

    @property
    def bootstrap_servers(self) -> str:
        """The addresses without links, for the observers."""
        return ",".join(f"127.0.0.1:{port}" for port in self._direct.values())

    def through_links(self, machine: str) -> str:
        """Return the addresses for a machine."""
        return ",".join(f"127.0.0.1:{link.port}" for (_, name), link in self._links.items() if name == machine)

    def links(self, machine: str) -> list[Link]:
        """Return the links of a machine to all nodes."""
        return [link for (_, name), link in self._links.items() if name == machine]

    def start(self) -> None:
        """Format the disks, start all nodes, and return when all are known and the groups have a coordinator."""
        formats = [self._format(node) for node in self.servers]
        for process in formats:
            answer, _ = process.communicate(timeout=_START)
            assert process.returncode == 0, f"could not format a node's disk:\n{answer}"
        for node in self.servers:
            self.servers[node].start()
        self.await_all()

    def start_node(self, node: int) -> None:
        """Start one node again on its own data."""
        self.servers[node].start()

    def terminate_node(self, node: int) -> None:
        """Ask one node to end, with SIGTERM: it hands its partitions over first."""
        self.servers[node].signal(signal.SIGTERM)

    def kill_node(self, node: int) -> None:
        """Kill one node with SIGKILL."""
        self.servers[node].kill()

    def await_all(self) -> None:
        """Return when every node answers, and to each of them every partition has all its replicas."""
        for node in self.servers:
            self._await_node(node)

    def _await_node(self, node: int) -> None:
        address = f"127.0.0.1:{self._direct[node]}"
        client = AdminClient({"bootstrap.servers": address, "log_level": 0})
        server = self.servers[node]

        def whole() -> bool:
            assert server.running, f"node {node} ended with {server.returncode}:\n{server.tail()}"
            try:
                found = client.list_topics(timeout=2.0)
            except KafkaException:
                return False
            partitions = [part for topic in found.topics.values() for part in topic.partitions.values()]
            return len(found.brokers) == len(self.servers) and all(
                part.leader != -1 and len(part.isrs) == len(part.replicas) for part in partitions
            )

        wait_until(whole, _START, f"node {node} to know a complete cluster")

    def close(self) -> None:
        """End everything."""
        for server in self.servers.values():
            server.kill()
        for link in self._links.values():
            link.close()

    def report(self, lines: int = 10) -> str:
        """Return the ends of the nodes' outputs."""
        return "\n".join(f"== node {node}\n{server.tail(lines)}" for node, server in self.servers.items())

    def _configure(self, node: int, ports: dict[str, int]) -> Path:
        direct, control = f"DIRECT://127.0.0.1:{self._direct[node]}", f"CONTROLLER://127.0.0.1:{self._control[node]}"
        heard = [f"{machine.upper()}://127.0.0.1:{port}" for machine, port in ports.items()]
        told = [f"{machine.upper()}://127.0.0.1:{self._links[node, machine].port}" for machine in ports]
        names = ["DIRECT", "CONTROLLER", *(machine.upper() for machine in ports)]
        replicas = len(self._direct)
        path = self._directory / f"kafka-{node}.properties"
        path.write_text(
            _PROPERTIES.format(
                node=node,
                voters=",".join(f"{one}@127.0.0.1:{port}" for one, port in self._control.items()),
                listeners=",".join([direct, control, *heard]),
                announced=",".join([direct, *told]),
                protocols=",".join(f"{name}:PLAINTEXT" for name in names),
                data=self._directory / f"kafka-{node}.data",
                replicas=replicas,
                required=2 if replicas > 2 else 1,
            )
        )
        return path

    def _format(self, node: int) -> "subprocess.Popen[str]":
        command = [*self._java, "kafka.tools.StorageTool", "format", "--cluster-id", "gapless-tests-cluster0"]
        command += ["--config", str(self._directory / f"kafka-{node}.properties")]
        return subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True)
