"""A supervisor of dummy children: the real loop, signals and processes, without any capture.

`python -m tests.supervisor.family STATE_DIR TIMEOUT HEARTBEAT_TIMEOUT NAME=STAGE:ENTRY[:ARGUMENT] …`
"""

import os
import sys
from pathlib import Path

from core.config import Config, SupervisorSection
from core.logging import log_setup
from supervisor.processes.child_spec import ChildSpec, Stage
from supervisor.processes.control_inbox import ControlInbox
from supervisor.processes.control_server import controlled
from supervisor.runtime.config_holder import ConfigHolder
from supervisor.runtime.state_lock import StateLockedError
from supervisor.runtime.supervise import claim, supervise
from supervisor.runtime.systemd_notify import Notifier
from supervisor.runtime.zombies import reaping_tasks


def main() -> int:
    inbox = ControlInbox()
    inbox.install()
    state_dir = Path(sys.argv[1])
    timeout = float(sys.argv[2])
    settings = SupervisorSection(
        state_dir=state_dir, log_dir=state_dir, shutdown_timeout=timeout, heartbeat_timeout=float(sys.argv[3])
    )
    config = Config(supervisor=settings)
    try:
        lock = claim(config)
    except StateLockedError as error:
        sys.stderr.write(f"{error}\n")
        return 2
    notifier = Notifier.from_environ(os.environ, log_setup.get_logger("notify"))
    tasks = [*notifier.tasks(), *reaping_tasks(log_setup.get_logger("reaper"))]
    specs = [_spec(text) for text in sys.argv[4:]]
    try:
        with controlled(state_dir, inbox) as status_publisher:
            status_publisher.exit_code = supervise(
                ConfigHolder(config), specs, inbox, tasks, status_publisher, notifier=notifier
            ).run()
        return status_publisher.exit_code
    finally:
        notifier.close()
        lock.close()


def _spec(text: str) -> ChildSpec:
    name, _, rest = text.partition("=")
    stage, entry, *arguments = rest.split(":")
    paths = tuple(Path(argument) for argument in arguments)
    return ChildSpec(name, f"tests.core.entries:{entry}", paths, Stage[stage], listens=stage == "SINK")


if __name__ == "__main__":
    sys.exit(main())
