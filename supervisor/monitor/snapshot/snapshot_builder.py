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
from supervisor.monitor.readiness.failing_requests import Answers
from supervisor.monitor.readiness.flap_detector import FlapDetector
from supervisor.monitor.readiness.problem_tracker import ProblemTracker, Readiness
from supervisor.monitor.readiness.reasons import Trend
from supervisor.monitor.readiness.stream_reasons import quota_is_out
from supervisor.monitor.sampling.monotonic_counters import MonotonicCounters
from supervisor.monitor.sampling.sample import Sample
from supervisor.monitor.snapshot.history import History, Moment, Standing
from supervisor.monitor.snapshot.page_view import Mask, past, step_as_json, view


@dataclass(frozen=True, slots=True)
class Snapshot:
    """One sample, ready to send."""

    at: float
    verdict: Readiness
    metrics: bytes
    status: bytes  #: body of /api/status
    event: bytes  #: event for the page, each time
    past: Callable[[], bytes]  #: event for the page, at first


@dataclass(slots=True)
class SnapshotBuilder:
    """Turns samples into snapshots; keeps the state that one sample cannot hold."""

    config: MonitorConfig
    history: History = field(default_factory=History)
    mask: Mask = field(init=False)
    tally: MonotonicCounters = field(default_factory=MonotonicCounters)
    _since: ProblemTracker = field(default_factory=ProblemTracker)
    _warned: ProblemTracker = field(default_factory=ProblemTracker)
    _flap_detector: FlapDetector = field(default_factory=FlapDetector)
    _answers: Answers = field(default_factory=Answers)
    _waited_until: float | None = None

    def __post_init__(self) -> None:
        hide(*self.config.masked.texts, logins=self.config.masked.logins)
        self.mask = masked

    def develop(self, look: Sample) -> Snapshot:
        """Build all answers from one sample."""
        step = self.history.add(self._moment(look))
        if quota_is_out(look):
            self._waited_until = look.now
        brief, unsteady = self._flap_detector.judge(look.status.processes, look.now)
        failing = self._answers.judge(look.requests, look.now)
        trend = Trend(self.history.growing(), self.history.answered_at, brief, unsteady, self._waited_until, failing)
        verdict = Readiness(
            self._since.settle(reasons.troubles(look, trend, self.config), look.now),
            self._warned.settle(reasons.warnings(look, self.config), look.now),
        )
        shown = view(look, self.config, self.history, verdict, self.mask)
        return Snapshot(
            at=look.now,
            verdict=verdict,
            metrics=exposition(MetricInput(look, self.config, self.tally)),
            status=json.dumps(look.status.document(), indent=2).encode() + b"\n",
            event=_event("look", {**shown, "step": step_as_json(step) if step is not None else None}),
            past=self._past,
        )

    def _past(self) -> bytes:
        return _event("past", past(tuple(self.history.steps)))

    def _moment(self, look: Sample) -> Moment:
        follow = self.tally.follow
        streams = {
            name: Standing(
                look.streams[name].tallied(self.tally, name, "captured"),
                follow(("seen published", name), flow.published),
                flow.spooled,
                flow.lag_s,
                look.streams[name].delay(look.now),
            )
            for name, flow in look.flow.streams.items()
        }
        answers = 0
        for report in look.crawl.reports:
            for outcome in ("ok", "refused"):
                answers += follow(("seen", report.process, outcome), report.outcomes.get(outcome, 0))
        return Moment(look.now, streams, answers)


def _event(name: str, document: dict[str, Any]) -> bytes:
    """Format one server-sent event; this JSON has no line breaks."""
    return b"event: " + name.encode() + b"\ndata: " + orjson.dumps(document) + b"\n\n"
