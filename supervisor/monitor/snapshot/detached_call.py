"""Run blocking work in a detached thread: a disk that hangs must not delay a stop.

`asyncio.to_thread` uses the loop's executor, and the loop waits for its threads before it closes.
"""

import asyncio
import contextlib
import threading
from collections.abc import Callable
from typing import TypeVar

T = TypeVar("T")


async def errand(work: Callable[[], T]) -> T:
    """Call `work` in a thread of its own; return what it returns, or raise what it raises."""
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def settle(result: T | None, error: BaseException | None) -> None:
        if done.done():
            return  # the caller was cancelled
        if error is not None:
            done.set_exception(error)
        else:
            done.set_result(result)  # type: ignore[arg-type] # None only where T is

    def run() -> None:
        result, error = None, None
        try:
            result = work()
        except Exception as raised:  # noqa: BLE001 - it is for who waits
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop is closed: no caller waits
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="errand", daemon=True).start()
    return await done
