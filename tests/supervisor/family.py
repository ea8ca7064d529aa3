"""A supervisor of dummies: the real loop, signals and processes, with nothing to capture.

`python -m tests.supervisor.family STATE_DIR TIMEOUT HEARTBEAT_TIMEOUT NAME=STAGE:ENTRY[:ARGUMENT] …`
"""

import os
import sys
from pathlib import Path

from core import logs
from core.config import Config, SupervisorSection
from supervisor.bell import Bell
from supervisor.control import controlled
from supervisor.current import Current
from supervisor.lock import StateLockedError
from supervisor.notify import Notifier
from supervisor.reaper import reaping_chores
from supervisor.run import claim, supervise
from supervisor.spec import ChildSpec, Stage


def main() -> int:
    bell = Bell()
    bell.install()
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
    notifier = Notifier.taken_from(os.environ, logs.get_logger("notify"))
    chores = [*notifier.chores(), *reaping_chores(logs.get_logger("reaper"))]
    specs = [_spec(text) for text in sys.argv[4:]]
    try:
        with controlled(state_dir, bell) as board:
            board.exit_code = supervise(Current(config), specs, bell, chores, board, notifier=notifier).run()
        return board.exit_code
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
