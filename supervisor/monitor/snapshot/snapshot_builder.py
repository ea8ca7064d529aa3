"""The bytes of every answer, built once per sample."""

import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import orjson

from core.config.slices import MonitorConfig
from core.masking.external import hide, masked
from supervisor.monitor.metrics.exposition import MetricInput, exposition
from supervisor.monitor.readiness import reasons
from supervisor.monitor.readiness.cluster_reasons import MissingTracker
from supervisor.monitor.readiness.failing_requests import FailingRequests
from supervisor.monitor.readiness.flap_detector import FlapDetector
from supervisor.monitor.readiness.problem_tracker import ProblemTracker, Readiness
from supervisor.monitor.readiness.reasons import Trend
from supervisor.monitor.readiness.stream_reasons import quota_is_out
from supervisor.monitor.sampling.monotonic_counters import MonotonicCounters
from supervisor.monitor.sampling.sample import Sample
from supervisor.monitor.snapshot.history import History, HistoryPoint, StreamPoint
from supervisor.monitor.snapshot.page_view import Mask, history_json, step_as_json, view
from supervisor.monitor.snapshot.subreddit_view import subreddit_search


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One sample, ready to send."""

    at: float
    readiness: Readiness
    metrics: bytes
    status: bytes  #: body of /api/status
    event: bytes  #: event for the page, each time
    history: Callable[[], bytes]  #: event for the page, at first
    subreddits: Callable[[str], bytes]  #: body of /api/subreddits, for a searched text


@dataclass(slots=True)
class SnapshotBuilder:
    """Turns samples into snapshots; keeps the state that one sample cannot hold."""

    config: MonitorConfig
    history: History = field(default_factory=History)
    mask: Mask = field(init=False)
    counters: MonotonicCounters = field(default_factory=MonotonicCounters)
    _reason_tracker: ProblemTracker = field(default_factory=ProblemTracker)
    _warning_tracker: ProblemTracker = field(default_factory=ProblemTracker)
    _flap_detector: FlapDetector = field(default_factory=FlapDetector)
    _failing_requests: FailingRequests = field(default_factory=FailingRequests)
    _missing: MissingTracker = field(default_factory=MissingTracker)
    _blocked_at: float | None = None

    def __post_init__(self) -> None:
        hide(*self.config.masked.texts, logins=self.config.masked.logins)
        self.mask = masked

    def build(self, sample: Sample) -> Snapshot:
        """Build all answers from one sample."""
        step = self.history.add(self._history_point(sample))
        if quota_is_out(sample):
            self._blocked_at = sample.now
        replacing, flapping = self._flap_detector.update(sample.status.processes, sample.now)
        failing = self._failing_requests.update(sample.requests, sample.now)
        missing = self._missing.update(sample.cluster)
        trend = Trend(
            self.history.growing(), self.history.answered_at, replacing, flapping, self._blocked_at, failing, missing
        )
        readiness = Readiness(
            self._reason_tracker.update(reasons.problems(sample, trend, self.config), sample.now),
            self._warning_tracker.update(reasons.warnings(sample, self.config, missing), sample.now),
        )
        shown = view(sample, self.config, self.history, readiness, self.mask)
        return Snapshot(
            at=sample.now,
            readiness=readiness,
            metrics=exposition(MetricInput(sample, self.config, self.counters)),
            status=json.dumps(sample.status.document(), indent=2).encode() + b"\n",
            event=_event("look", {**shown, "step": step_as_json(step) if step is not None else None}),
            history=self._history_event,
            subreddits=subreddit_search(sample, self.config, self.mask),
        )

    def _history_event(self) -> bytes:
        return _event("past", history_json(tuple(self.history.steps)))

    def _history_point(self, sample: Sample) -> HistoryPoint:
        follow = self.counters.follow
        streams = {
            name: StreamPoint(
                sample.streams[name].monotonic(self.counters, name, "captured"),
                follow(("seen published", name), flow.published),
                flow.spooled,
                flow.lag_s,
                sample.streams[name].delay(sample.now),
            )
            for name, flow in sample.flow.streams.items()
        }
        answers = 0
        for report in sample.crawl.reports:
            for outcome in ("ok", "refused"):
                answers += follow(("seen", report.process, outcome), report.outcomes.get(outcome, 0))
        found = {} if sample.changes is None else sample.changes.changes
        changes = sum(follow(("seen changes", op), number) for op, number in found.items())
        return HistoryPoint(sample.now, streams, answers, changes)


def _event(name: str, document: dict[str, Any]) -> bytes:
    """Format one server-sent event; this JSON has no line breaks."""
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(document) + b"\n\n"
