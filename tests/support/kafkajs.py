"""The Node.js client kafkajs, installed by npm once and kept under build/."""

import fcntl
import shutil
import subprocess
from pathlib import Path

from tests.support.kafka_jars import ROOT

VERSION = "2.2.4"
CACHE = ROOT / "build" / f"kafkajs-{VERSION}"


class KafkaJsUnavailableError(Exception):
    """kafkajs cannot run here; the message names what is missing."""


def node_modules() -> Path:
    """Return the folder for NODE_PATH; npm runs only if it is missing."""
    for program in ("node", "npm"):
        if shutil.which(program) is None:
            raise KafkaJsUnavailableError(f"no {program} on the PATH: install Node.js to run kafkajs")
    CACHE.mkdir(parents=True, exist_ok=True)
    modules = CACHE / "node_modules"
    with (CACHE / "lock").open("w") as lock:  # the test runner's workers arrive at the same time
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (modules / "kafkajs" / "package.json").exists():
            _install()
    return modules


def _install() -> None:
    command = ["npm", "install", "--no-audit", "--no-fund", "--prefix", str(CACHE), f"kafkajs@{VERSION}"]
    try:
        answer = subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)
    except subprocess.TimeoutExpired:
        raise KafkaJsUnavailableError("npm took more than 60 s to install kafkajs") from None
    if answer.returncode != 0:
        raise KafkaJsUnavailableError(f"npm could not install kafkajs: {answer.stderr[-500:]}")
