"""Collects what many tasks save into one short transaction after the other, and waits when the database is away."""

import asyncio
from collections.abc import Awaitable, Callable

from scraper.store.batch import Batch
from scraper.store.merge import Work, merge

#: A transaction is written when so many rows wait, or so long after the first of them.
MOST_ROWS = 1000
LONGEST_WAIT = 0.1


class Saver:
    """Hands collected batches to `write`, one transaction at a time."""

    def __init__(self, write: Callable[[Work], Awaitable[None]]) -> None:
        self._write = write
        self._waiting: list[tuple[Batch, asyncio.Future[None]]] = []
        self._rows = 0
        self._full = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    async def save(self, batch: Batch) -> None:
        """Return when the batch is committed."""
        done = asyncio.get_running_loop().create_future()
        self._waiting.append((batch, done))
        self._rows += len(batch)
        if self._rows >= MOST_ROWS:
            self._full.set()
        if self._task is None:
            self._task = asyncio.ensure_future(self._run())
        await asyncio.shield(done)

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._wait_for_more()
                await self._flush()
        finally:
            self._task = None

    async def _wait_for_more(self) -> None:
        try:
            async with asyncio.timeout(LONGEST_WAIT):
                await self._full.wait()
        except TimeoutError:
            return

    async def _flush(self) -> None:
        taken, self._waiting, self._rows = self._waiting, [], 0
        self._full.clear()
        try:
            await self._write(merge([batch for batch, _ in taken]))
        except Exception as error:  # noqa: BLE001 (handed to everybody who waits)
            for _, done in taken:
                if not done.done():
                    done.set_exception(error)
        else:
            for _, done in taken:
                if not done.done():
                    done.set_result(None)
