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
from supervisor.monitor.sampling.sample import Sample, take_sample
from supervisor.monitor.snapshot.snapshot_builder import Snapshot, SnapshotBuilder

T = TypeVar("T")

_INTERVAL_S = 1.0
_MIN_PAUSE = 0.25

#: An older snapshot is late, seconds: each sample waits up to 5 s for a supervisor that hangs.
LATE_AFTER_S = 12.0

_FAILURES = ("look failures",)

_LATE = (
    "The monitor has taken no sample for a while, so its data is old. See monitor.log; if it shows no error, a disk "
    "does not answer."
)


class Sampler:
    """Holds the latest snapshot; calls `on_snapshot` with each new one, in the loop."""

    def __init__(
        self,
        config: MonitorConfig,
        log: structlog.stdlib.BoundLogger,
        on_snapshot: Callable[[Snapshot], None] = lambda _snapshot: None,
        *,
        take_sample: Callable[[MonitorConfig, float], Sample] = take_sample,
        wall: Callable[[], float] = time.time,
        interval_s: float = _INTERVAL_S,
        counter_file: CounterFile | None = None,
        proofs: ProofCopies | None = None,
    ) -> None:
        """Without a `counter_file`, counters start at zero; without `proofs`, no copy of a proof is kept."""
        self.latest: Snapshot | None = None
        self.builder = SnapshotBuilder(config, counters=counter_file.counters if counter_file else MonotonicCounters())
        self._counter_file = counter_file
        self._proofs = proofs
        self._failed = 0
        self._config = config
        self._log = log
        self._on_snapshot = on_snapshot
        self._take_sample = take_sample
        self._wall = wall
        self._interval_s = interval_s
        self._started_at = wall()
        self._failing = False

    async def run(self) -> None:
        """Sample until cancelled."""
        while True:
            began = time.monotonic()
            await self.once()
            await asyncio.sleep(max(_MIN_PAUSE * self._interval_s, self._interval_s - (time.monotonic() - began)))

    async def once(self) -> None:
        """Take one sample. A failure is counted and logged; the last snapshot stays and ages."""
        try:
            snapshot = await run_detached(self._build_snapshot)
        except Exception:  # noqa: BLE001 - the next sample may succeed; /readyz reports that the snapshot is late
            self._failed += 1
            self.builder.counters.follow(_FAILURES, self._failed, str(self._started_at))
            if not self._failing:
                self._log.exception("sample_failed", hint="logged once; the last snapshot is served")
            self._failing = True
            return
        if self._failing:
            self._log.info("sample_succeeded", failures=self.failures)
        self._failing = False
        self.latest = snapshot
        self._on_snapshot(snapshot)

    def _build_snapshot(self) -> Snapshot:
        seen = self._take_sample(self._config, self._wall())
        if self._proofs is not None:
            self._proofs.take(seen.streams, seen.now)
        snapshot = self.builder.build(seen)
        if self._counter_file is not None:
            self._counter_file.keep()  # before it is served
        return snapshot

    @property
    def failures(self) -> int:
        """Failed samples, including those of former monitors."""
        return self.builder.counters.follow(_FAILURES, 0)

    def age(self) -> float:
        """Return the age of the latest snapshot, seconds; before the first one, the time waited for it."""
        return max(0.0, self._wall() - (self.latest.at if self.latest else self._started_at))

    @property
    def is_late(self) -> bool:
        """Whether there is no snapshot, or the latest one is too old to describe the present."""
        return self.latest is None or self.age() > LATE_AFTER_S

    def readiness(self) -> Readiness:
        """Return the latest readiness; if it is too old, it contains that as a reason."""
        known = self.latest.readiness if self.latest else Readiness()
        if not self.is_late:
            return known
        late = Reason("snapshot_late", "monitor", _LATE, self.latest.at if self.latest else self._started_at)
        return Readiness((late, *known.reasons), known.warnings)


async def run_detached(work: Callable[[], T]) -> T:
    """Call `work` in a detached thread; return what it returns, or raise what it raises.

    A disk that hangs must not delay a stop: `asyncio.to_thread` uses the loop's executor, and the loop waits for its
    threads before it closes.
    """
    loop = asyncio.get_running_loop()
    done: asyncio.Future[T] = loop.create_future()

    def finish(result: T | None, error: BaseException | None) -> None:
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
            loop.call_soon_threadsafe(finish, result, error)

    threading.Thread(target=run, name="sampling", daemon=True).start()
    return await done
