"""Watches the file of a spool while its writer waits: a thread that checks several times a second."""

import contextlib
import threading
from collections.abc import Callable, Iterator

import structlog

from core.spool.spool_writer import SpoolBroken, SpoolError, SpoolWriter

#: A missing file must be noticed within a second, also during a slow request to Reddit.
_CHECK_EVERY_S = 0.25

log = structlog.stdlib.get_logger(__name__)


@contextlib.contextmanager
def watched(
    writer: SpoolWriter, broken: Callable[[], None] = lambda: None, *, every_s: float = _CHECK_EVERY_S
) -> Iterator[SpoolWriter]:
    """Check the writer's file until the block ends.

    Args:
        writer: the writer of the file.
        broken: called from the thread when the writer cannot go on; its next `check` or `commit` raises the reason.
        every_s: seconds between two checks.
    """
    ended = threading.Event()

    def run() -> None:
        while not ended.wait(every_s):
            try:
                writer.check()
            except SpoolBroken as error:
                log.error("spool_watch_ended", error=str(error), hint="the process restarts")  # noqa: TRY400
                broken()
                return
            except SpoolError:
                continue  # the writer logs it itself, once

    thread = threading.Thread(target=run, name="spool-watch", daemon=True)
    thread.start()
    try:
        yield writer
    finally:
        ended.set()
        thread.join()
