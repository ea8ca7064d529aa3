"""Time as the tests need it: pauses that take none, and still move the clock; and waiting for what must come."""

import asyncio
import time
from collections.abc import Callable

from tests.support.waiting import wait_until_async

_PATIENCE = 10.0


class Times:
    """The clock of the machine, set forward by each pause instead of waiting."""

    def __init__(self) -> None:
        self.slept: list[float] = []
        self._ahead = 0.0

    def clock(self) -> float:
        return time.monotonic() + self._ahead

    async def sleep(self, seconds: float) -> None:
        self.slept.append(seconds)
        self._ahead += seconds
        await asyncio.sleep(0)


async def until(predicate: Callable[[], object], what: str) -> None:
    """Return when it is true; fail after a while, saying `what` was awaited."""
    await wait_until_async(predicate, what, _PATIENCE)
