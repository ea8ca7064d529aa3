"""Collects what many tasks save, and writes it as a series of short transactions."""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from scraper.store.batches.batch import Batch
from scraper.store.batches.merged_batch import MergedBatch, merge
from scraper.store.batches.unstorable import Replaced, clean
from scraper.store.connection.database_errors import Fault, RowsRefused, StoreUnavailable, classify, reason

log = structlog.stdlib.get_logger(__name__)

#: A transaction is written when this number of rows waits, or this time after the first of them, seconds. Its rows
#: share statements and changed pages: a few large ones cost less than many small ones.
MOST_ROWS = 1500
LONGEST_WAIT = 0.1


class Saver:
    """Hands collected batches to `write`, one transaction at a time.

    `write` waits while the database is away; batches saved meanwhile wait too, and so do their callers.
    """

    def __init__(self, write: Callable[[MergedBatch], Awaitable[None]]) -> None:
        self._write = write
        self._waiting: list[tuple[Batch, asyncio.Future[None]]] = []
        self._rows = 0
        self._first_at = 0.0
        self._full = asyncio.Event()
        self._task: asyncio.Task[None] | None = None
        self._closed = False
        #: counts the values that could not be stored unchanged
        self.replaced = Replaced()

    async def save(self, batch: Batch) -> None:
        """Return when the batch is committed. A caller that is cancelled here does not withdraw its batch."""
        if self._closed:
            raise StoreUnavailable("the store is closed: these rows are not saved")
        rows = len(batch)
        if not rows:
            return
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        if not self._waiting:
            self._first_at = loop.time()
        self._waiting.append((batch, done))
        self._rows += rows
        if self._rows >= MOST_ROWS:
            self._full.set()
        if self._task is None:
            self._task = asyncio.ensure_future(self._run())
        await asyncio.shield(done)

    async def drain(self) -> None:
        """Return when no batch waits."""
        if self._task is not None:
            self._full.set()
            await asyncio.wait([self._task])

    async def close(self, seconds: float) -> None:
        """Write what waits, for at most this time; log and drop what cannot be written by then."""
        self._closed = True
        if self._task is None:
            return
        self._full.set()
        await asyncio.wait([self._task], timeout=seconds)
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait([self._task])

    async def _run(self) -> None:
        try:
            while self._waiting:
                await self._collect()
                await self._flush()
        finally:
            self._task = None

    async def _collect(self) -> None:
        left = self._first_at + LONGEST_WAIT - asyncio.get_running_loop().time()
        try:
            async with asyncio.timeout(left):
                await self._full.wait()
        except TimeoutError:
            return

    async def _flush(self) -> None:
        taken, self._waiting, self._rows = self._waiting, [], 0
        self._full.clear()
        try:
            await self._commit(taken)
        except asyncio.CancelledError:
            self._drop_waiting(taken + self._waiting)
            raise

    async def _commit(self, taken: list[tuple[Batch, "asyncio.Future[None]"]]) -> None:
        """Write the batches together; if the rows of one are refused, the others are still written."""
        try:
            await self._write_clean([batch for batch, _ in taken])
        except Exception as error:  # noqa: BLE001 (passed to the task that saved it)
            if len(taken) > 1:
                for one in taken:
                    await self._commit([one])
                return
            log.error("rows_refused", rows=len(taken[0][0]), reason=reason(error))  # noqa: TRY400 (understood)
            refused = RowsRefused(f"the database refused the rows: {reason(error)}")
            refused.__cause__ = error
            _resolve(taken, refused)
        else:
            _resolve(taken, None)

    async def _write_clean(self, batches: list[Batch]) -> None:
        work = merge(batches)
        try:
            await self._write(work)
        except Exception as error:
            if classify(error) is not Fault.ROWS:
                raise
            cleaned, replaced = clean(work)
            if not replaced:
                raise
            await self._write(cleaned)
            self._note(replaced)

    def _note(self, replaced: Replaced) -> None:
        for kind, count in (("texts", replaced.texts), ("integers", replaced.integers)):
            known = getattr(self.replaced, kind)
            if count and not known:
                log.warning("unstorable_values_replaced", kind=kind, hint="logged once; further ones are only counted")
            setattr(self.replaced, kind, known + count)

    def _drop_waiting(self, left: list[tuple[Batch, "asyncio.Future[None]"]]) -> None:
        self._waiting, self._rows = [], 0
        log.error(
            "rows_dropped", rows=sum(len(batch) for batch, _ in left), reason="stopped while the database is away"
        )
        _resolve(left, StoreUnavailable("the store was closed while the database was away: these rows are not saved"))


def _resolve(taken: list[tuple[Batch, "asyncio.Future[None]"]], error: Exception | None) -> None:
    for _, done in taken:
        if done.done():
            continue
        if error is None:
            done.set_result(None)
        else:
            done.set_exception(error)
            done.exception()  # the caller may be gone: it was logged
