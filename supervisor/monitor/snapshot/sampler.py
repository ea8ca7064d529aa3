"""The sampling loop: once a second, in its own thread, never two samples at once."""

import asyncio
import contextlib
import threading
import time
from collections.abc import Callable
from typing import TypeVar

import structlog

from core.config.slices import MonitorConfig
from supervisor.monitor.readiness.problem_tracker import Readiness, Reason
from supervisor.monitor.sampling.monotonic_counters import CounterFile, MonotonicCounters
from supervisor.monitor.sampling.proof_copies import ProofCopies
from supervisor.monitor.sampling.sample import Sample, look
from supervisor.monitor.snapshot.snapshot_builder import Snapshot, SnapshotBuilder

T = TypeVar("T")

_EVERY = 1.0
_SHORTEST_PAUSE = 0.25

#: An older snapshot is late, seconds: each sample waits up to 5 s for a supervisor that hangs.
LATE_AFTER = 12.0

_FAILURES = ("look failures",)

_LATE = "The monitor could not look for a while, so what it serves is old. monitor.log says why; if not, a disk hangs."


class Sampler:
    """Holds the latest snapshot; calls `heard` with each new one, in the loop."""

    def __init__(
        self,
        config: MonitorConfig,
        log: structlog.stdlib.BoundLogger,
        heard: Callable[[Snapshot], None] = lambda _snapshot: None,
        *,
        look: Callable[[MonitorConfig, float], Sample] = look,
        wall: Callable[[], float] = time.time,
        every: float = _EVERY,
        book: CounterFile | None = None,
        proofs: ProofCopies | None = None,
    ) -> None:
        """Without a `book`, counters start at zero; without `proofs`, no copy of a proof is kept."""
        self.latest: Snapshot | None = None
        self.builder = SnapshotBuilder(config, tally=book.tally if book else MonotonicCounters())
        self._book = book
        self._proofs = proofs
        self._failed = 0
        self._config = config
        self._log = log
        self._heard = heard
        self._look = look
        self._wall = wall
        self._every = every
        self._born = wall()
        self._failing = False

    async def run(self) -> None:
        """Sample until cancelled."""
        while True:
            began = time.monotonic()
            await self.once()
            await asyncio.sleep(max(_SHORTEST_PAUSE * self._every, self._every - (time.monotonic() - began)))

    async def once(self) -> None:
        """Take one sample. A failure is counted and logged; the last snapshot stays and ages."""
        try:
            snapshot = await run_detached(self._see)
        except Exception:  # noqa: BLE001 - whatever it is, the next look may succeed, and /readyz says that it is late
            self._failed += 1
            self.builder.tally.follow(_FAILURES, self._failed, str(self._born))
            if not self._failing:
                self._log.exception("look_failed", hint="said once; what is served stays as it was")
            self._failing = True
            return
        if self._failing:
            self._log.info("look_succeeded", failures=self.failures)
        self._failing = False
        self.latest = snapshot
        self._heard(snapshot)

    def _see(self) -> Snapshot:
        seen = self._look(self._config, self._wall())
        if self._proofs is not None:
            self._proofs.take(seen.streams, seen.now)
        snapshot = self.builder.develop(seen)
        if self._book is not None:
            self._book.keep()  # before it is served
        return snapshot

    @property
    def failures(self) -> int:
        """Failed samples, including those of former monitors."""
        return self.builder.tally.follow(_FAILURES, 0)

    def age(self) -> float:
        """Return the age of the latest snapshot, seconds; before the first one, the time waited for it."""
        return max(0.0, self._wall() - (self.latest.at if self.latest else self._born))

    def verdict(self) -> Readiness:
        """Return the latest readiness; if it is too old, it contains that as a reason."""
        known = self.latest.verdict if self.latest else Readiness()
        if self.latest is not None and self.age() <= LATE_AFTER:
            return known
        late = Reason("snapshot_late", "monitor", _LATE, self.latest.at if self.latest else self._born)
        return Readiness((late, *known.reasons), known.warnings)


async def run_detached(work: Callable[[], T]) -> T:
    """Call `work` in a detached thread; return what it returns, or raise what it raises.

    A disk that hangs must not delay a stop: `asyncio.to_thread` uses the loop's executor, and the loop waits for its
    threads before it closes.
    """
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
        except Exception as raised:  # noqa: BLE001 - the caller gets it
            error = raised
        with contextlib.suppress(RuntimeError):  # the loop is closed: no caller waits
            loop.call_soon_threadsafe(settle, result, error)

    threading.Thread(target=run, name="sampling", daemon=True).start()
    return await done
