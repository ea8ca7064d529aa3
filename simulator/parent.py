"""Noticing that the process which started us has died."""

import asyncio
import os

_LOOK_EVERY = 0.5


async def gone(parent: int | None, ended: asyncio.Event) -> None:
    """Set the event once the process `parent` has ended; without a parent to watch, return at once."""
    if parent is None:
        return
    ours = os.getppid() == parent
    # Our own parent id is compared, not signalled: a dead parent can remain as a zombie that still accepts signals.
    while os.getppid() == parent if ours else _exists(parent):  # noqa: ASYNC110 -- the kernel sets no event for us
        await asyncio.sleep(_LOOK_EVERY)
    ended.set()


def _exists(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except PermissionError:
        return True
    return True
