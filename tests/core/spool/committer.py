"""A process that commits batch after batch and says so: `python -m tests.core.spool.committer DIR [BYTES]`.

With BYTES no file may grow beyond so many: a disk that refuses in its own way.
"""

import os
import resource
import signal
import sys
from pathlib import Path

from core.process.parent_guard import die_with_parent
from core.spool import SpoolError, SpoolWriter
from tests.core.spool.story import STREAM, make_batch


def say(*words: object) -> None:
    sys.stdout.write(" ".join(str(word) for word in words) + "\n")
    sys.stdout.flush()


def main() -> None:
    """Commit until killed, or until the spool takes no more."""
    die_with_parent(int(os.environ["PARENT"]))
    writer = SpoolWriter(Path(sys.argv[1]), STREAM)
    if len(sys.argv) > 2:
        signal.signal(signal.SIGXFSZ, signal.SIG_IGN)
        resource.setrlimit(resource.RLIMIT_FSIZE, (int(sys.argv[2]), resource.RLIM_INFINITY))
    number = writer.load_cursor().get("number", 0)
    assert isinstance(number, int)
    say("ready", writer.spool_id)
    while True:
        number += 1
        try:
            writer.commit(make_batch(number, writer.load_gaps()))
        except SpoolError as error:
            say("refused", type(error).__name__, str(error))
            return
        say(number)


if __name__ == "__main__":
    main()
