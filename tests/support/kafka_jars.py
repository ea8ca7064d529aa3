"""The classpaths of Apache Kafka, resolved by Maven once and kept under build/ until their poms change."""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
from pathlib import Path

ROOT = Path(__file__).resolve().parents[2]
#: the broker
POM = ROOT / "tests" / "kafka" / "pom.xml"
#: the console consumer and Kafka Connect
CLIENTS_POM = ROOT / "tests" / "kafka" / "clients.xml"
CACHE = ROOT / "build" / "kafka-libs"
OLDEST_JAVA = 17


class KafkaUnavailableError(Exception):
    """Apache Kafka cannot run here; the message names what is missing."""


def java_command() -> str:
    """Return the path of a Java that can run Kafka 4."""
    java = shutil.which("java")
    if java is None:
        raise KafkaUnavailableError(f"no java on the PATH: install a JVM {OLDEST_JAVA} to run Apache Kafka")
    answer = subprocess.run([java, "-version"], capture_output=True, text=True, check=False, timeout=30)
    found = re.search(r'version "(\d+)', answer.stderr)
    if found is None or int(found[1]) < OLDEST_JAVA:
        line = (answer.stderr.splitlines() or ["(no answer)"])[0]
        raise KafkaUnavailableError(f"Apache Kafka 4 needs a JVM {OLDEST_JAVA} or newer; `java -version` says {line}")
    return java


def kafka_classpath(pom: Path = POM) -> str:
    """Return the classpath of a pom; Maven runs only if the pom changed or a jar is missing."""
    CACHE.mkdir(parents=True, exist_ok=True)
    digest = hashlib.sha256(pom.read_bytes()).hexdigest()[:12]
    kept = CACHE / f"classpath-{digest}.txt"
    with (CACHE / "lock").open("w") as lock:  # the test runner's workers arrive at the same time
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not _complete(kept):
            _resolve(pom, kept)
    return kept.read_text().strip()


def _complete(kept: Path) -> bool:
    return kept.exists() and all(Path(jar).exists() for jar in kept.read_text().strip().split(os.pathsep))


def _resolve(pom: Path, kept: Path) -> None:
    maven = shutil.which("mvn")
    if maven is None:
        raise KafkaUnavailableError("no mvn on the PATH: install Maven to fetch the jars of Apache Kafka")
    command = [maven, "-q", "-B", "-f", str(pom), "dependency:build-classpath"]
    command += ["-DincludeScope=runtime", f"-Dmdep.outputFile={kept}"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=300)
    except subprocess.TimeoutExpired:
        raise KafkaUnavailableError("Maven took more than 300 s to resolve the jars of Apache Kafka") from None
    if answer.returncode != 0 or not _complete(kept):
        kept.unlink(missing_ok=True)
        raise KafkaUnavailableError(f"Maven could not resolve {pom}:\n{answer.stdout[-1500:]}{answer.stderr[-1500:]}")
