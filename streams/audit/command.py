"""The audit on request: samples until there are enough items, and leaves the observations in the state directory."""

import math
import threading
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field

import structlog

from core.child import ChildContext
from core.config import Config
from core.config.slices import StreamConfig, stream_config
from core.errors import TransientError
from core.reddit.request_errors import QuotaShort, Stopped
from core.spool import SpoolReader
from core.status.audit_store import read_audit_counters
from core.stream_kinds import kind_of, stream_names
from streams.audit.background import Get, open_client
from streams.audit.runner import Ages, AuditRunner

#: The name under which the requests of the command are counted.
PROCESS = "audit"

#: Why an audit ended.
_NOT_BEGUN = "nothing has been captured here yet; only what is captured from the first run on can be judged"
_NOTHING = (
    "no source has anything to sample now; it is sampled when it is 10 minutes old and proven (comment trees: an hour)"
)

#: Pauses, seconds: while the quota has nothing to spare or a request failed, and while a second look is not due yet.
_PAUSE_S = 2.0
_AWAIT_S = 0.5

#: After this number of failures in a row the audit of a stream ends.
_MOST_FAILURES = 8

#: Requests in a row that bring nothing, after which the sources of a stream count as exhausted.
_MOST_FRUITLESS = 60


@dataclass(slots=True)
class StreamAudit:
    """The result of one stream's audit.

    Attributes:
        sampled: items of the sample; those that still wait for their second look included.
        waiting: the latter.
        requests: requests sent.
        ended: why it ended before there were enough items; empty: there are enough.
        unused: sources that were not used, each with the reason.
    """

    sampled: int = 0
    waiting: int = 0
    requests: int = 0
    ended: str = ""
    unused: Mapping[str, str] = field(default_factory=dict)


def run_audit(
    config: Config,
    items: int,
    seconds: float,
    *,
    log: structlog.stdlib.BoundLogger,
    stop: threading.Event | None = None,
    ages: Ages | None = None,
    progress: Callable[[int, int], None] = lambda _sampled, _items: None,
    get: Get | None = None,
) -> dict[str, StreamAudit]:
    """Sample until there are `items` of all streams together, or the time is over; return the result of each stream.

    The observations are in the state directory (core.status.audit_store), also those of a run that ended early.

    Args:
        config: the installation; its processes need not run.
        items: size of the sample, of all enabled streams together.
        seconds: longest time.
        log: for what is found.
        stop: ends it early.
        ages: what is old enough to be judged.
        progress: called after each request with the number of sampled items, and `items`.
        get: sends a request; None: with the credentials of the configuration.

    Raises:
        CredentialsRejected: Reddit does not accept the credentials.
        OSError, sqlite3.Error: the state directory cannot be used.
    """
    stop = stop or threading.Event()
    audited = [one for one in stream_names() if one in config.streams.enabled and kind_of(one).listing]
    streams = [stream_config(config, one) for one in audited]
    if not streams:
        return {}
    if not any(is_begun(one) for one in streams):  # a mistyped `state_dir` is not created
        return {one.stream: StreamAudit(ended=_NOT_BEGUN) for one in streams}
    get = get or _client(stop, streams[0], log)
    share = math.ceil(items / len(streams))
    runs = [_Run(AuditRunner(one, get, log, ages or Ages()), share) for one in streams]
    deadline = time.monotonic() + seconds
    try:
        while not stop.is_set() and time.monotonic() < deadline and not all(run.over for run in runs):
            worked = [run.step() for run in runs if not run.over]
            progress(sum(run.result.sampled for run in runs), items)
            if not any(worked):
                pause = _PAUSE_S if any(run.failures for run in runs) else _AWAIT_S
                stop.wait(min(pause, max(0.0, deadline - time.monotonic())))
        for run in runs:
            run.end("it was stopped" if stop.is_set() else "the time is over")
    finally:
        for run in runs:
            run.runner.close()
    return {run.runner.config.stream: run.result for run in runs}


def _client(stop: threading.Event, config: StreamConfig, log: structlog.stdlib.BoundLogger) -> Get:
    context = ChildContext(PROCESS, log)
    context.stop = stop
    return open_client(context, config, PROCESS)


def is_begun(config: StreamConfig) -> bool:
    """Return whether the stream has a spool."""
    reader = SpoolReader.open(config.state_dir, config.stream)
    if reader is not None:
        reader.close()
    return reader is not None


class _Run:
    """The audit of one stream, until it is over."""

    def __init__(self, runner: AuditRunner, share: int) -> None:
        self.runner = runner
        self.result = StreamAudit()
        self.failures = 0
        self.over = False
        self._share = share
        self._fruitless = 0
        #: the error of the last request; empty: it was answered
        self._last_error = ""
        self._before = self._counter("audit_sampled")

    def step(self) -> bool:
        """Send a request if there is one to send now; return whether it was answered. Raises CredentialsRejected."""
        result, store = self.result, self.runner.store
        enough = result.sampled >= self._share or bool(result.ended)
        if enough and not store.pending_count():
            self.over = True
            return False
        try:
            sent = self.runner.second_look() if enough else self.runner.step()
        except (QuotaShort, Stopped) as error:
            self.failures = max(1, self.failures)  # a pause, and no failure of the server
            self._last_error = str(error)
            return False
        except TransientError as error:
            self.failures += 1
            self._last_error = str(error)
            if self.failures >= _MOST_FAILURES:
                self.over, result.ended = True, f"requests fail: {error}"
            return False
        self.failures, self._last_error = 0, ""
        result.requests += sent
        before, result.sampled = result.sampled, self._counter("audit_sampled") - self._before
        if not sent:
            if not enough and not store.pending_count():
                result.ended = _NOTHING
            return False
        self._fruitless = 0 if result.sampled > before or enough else self._fruitless + 1
        if self._fruitless >= _MOST_FRUITLESS:
            result.ended = "the sources bring nothing more"
        return True

    def end(self, why: str) -> None:
        """Complete the result; `why`: the reason if there are not enough items."""
        self.result.waiting = self.runner.store.pending_count()
        self.result.unused = self.runner.unused
        if not self.result.ended and self.result.sampled < self._share:
            self.result.ended = f"{why}; the last request failed: {self._last_error}" if self._last_error else why

    def _counter(self, name: str) -> int:
        return read_audit_counters(self.runner.config.state_dir, self.runner.config.stream).get(name, 0)
