"""One of several processes that share a quota:

`python -m tests.core.reddit.contender DIR NAME PER_MINUTE ROUNDS [die]`
"""

import os
import signal
import sys
from pathlib import Path

from core.process.parent_guard import die_with_parent
from core.reddit.limiter import Grant, Limiter
from core.reddit.quota import Priority


def main() -> None:
    """Take grants and report answers; with `die`, be killed in the middle of a transaction instead."""
    die_with_parent(int(os.environ["PARENT"]))
    directory, name, per_minute, rounds, *rest = sys.argv[1:]
    limiter = Limiter(Path(directory), name, float(per_minute))
    sys.stdout.write("ready\n")
    sys.stdout.flush()
    sys.stdin.readline()
    if "die" in rest:
        _die_holding_the_lock(limiter)
    granted = 0
    for _ in range(int(rounds)):
        grant = limiter.ask(Priority.STREAM)
        if isinstance(grant, Grant):
            granted += 1
            limiter.answered(grant, "200", None)
    sys.stdout.write(f"{granted}\n")


def _die_holding_the_lock(limiter: Limiter) -> None:
    grant = limiter.ask(Priority.STREAM)
    assert isinstance(grant, Grant)
    with limiter._change(grant.at, grant, "200"):  # noqa: SLF001 (the one place where dying hurts)
        sys.stdout.write("inside\n")
        sys.stdout.flush()
        sys.stdin.readline()
        os.kill(os.getpid(), signal.SIGKILL)


if __name__ == "__main__":
    main()
