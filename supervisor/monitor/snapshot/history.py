"""The last half hour in memory: rates and trends. Pure; the clock is an argument."""

import statistics
from collections import deque
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

#: Length of a step (seconds), and the number of steps kept: half an hour.
STEP_S = 5.0
STEPS = 360

#: Rates are averages over this time, seconds: a quiet stream is polled every 16 seconds.
RATE_WINDOW_S = 60.0

#: A spool grows when it holds this many records, and more than in each of this many steps before.
_LARGE_SPOOL = 1000
_GROWN_OVER_STEPS = 24
_COMPARED_STEPS = 6


@dataclass(frozen=True, slots=True)
class StreamPoint:
    """One stream at one moment; `captured` and `published` are monotonic counters."""

    captured: int
    published: int
    spooled: int
    lag_s: float | None = None  #: from creation to capture
    delay_s: float | None = None  #: from creation to Kafka


@dataclass(frozen=True, slots=True)
class HistoryPoint:
    """The values that the history follows, at one moment."""

    at: float
    streams: Mapping[str, StreamPoint]
    answers: int = 0  #: answers to the scraper, in total
    changes: int = 0  #: later changes that were found, in total


@dataclass(frozen=True, slots=True)
class StreamStep:
    """A stream over one step: items per second, the state at its end, and the median delay."""

    captured: float
    published: float
    spooled: int
    lag_s: float | None
    delay_s: float | None


@dataclass(frozen=True, slots=True)
class Step:
    """All streams over one step."""

    at: float  #: its end
    streams: Mapping[str, StreamStep]
    answers: float  #: a second
    changes: float = 0.0  #: a minute


@dataclass(slots=True)
class History:
    """Collects one moment per second into steps."""

    steps: deque[Step] = field(default_factory=lambda: deque(maxlen=STEPS))
    answered_at: float | None = None  #: when the scraper's answers last grew in our samples
    _recent: deque[HistoryPoint] = field(default_factory=deque)
    _step_start: HistoryPoint | None = None  #: where the current step starts
    _delays: dict[str, list[float]] = field(default_factory=dict)  #: of the current step

    def add(self, point: HistoryPoint) -> Step | None:
        """Add a moment; return the step that it completes, if any."""
        if self._recent and point.at <= self._recent[-1].at:
            return None  # the clock was set back: continue when it has caught up
        if not self._recent or point.answers > self._recent[-1].answers:
            self.answered_at = point.at
        self._recent.append(point)
        while point.at - self._recent[0].at > RATE_WINDOW_S:
            self._recent.popleft()
        for name, stream in point.streams.items():
            if stream.delay_s is not None:
                self._delays.setdefault(name, []).append(stream.delay_s)
        if self._step_start is None:
            self._step_start = point
        if point.at - self._step_start.at < STEP_S:
            return None
        step = _step(self._step_start, point, self._delays)
        self._step_start = point
        self._delays = {}
        self.steps.append(step)
        return step

    def rates(self) -> dict[str, tuple[float, float]]:
        """Return items captured and published per second for each stream, over the last minute."""
        if not self._recent:
            return {}
        first, last = self._recent[0], self._recent[-1]
        return {name: _rates(first, last, name) for name in last.streams}

    def answers_a_second(self) -> float:
        """Return the scraper's answers per second, over the last minute."""
        if not self._recent:
            return 0.0
        first, last = self._recent[0], self._recent[-1]
        return _per_second(last.answers - first.answers, last.at - first.at)

    def growing(self) -> frozenset[str]:
        """Return the streams whose spool keeps growing."""
        if len(self.steps) < _GROWN_OVER_STEPS:
            return frozenset()
        steps = list(self.steps)[-_GROWN_OVER_STEPS:]
        grown = set()
        for name in steps[-1].streams:
            spooled = [step.streams[name].spooled for step in steps if name in step.streams]
            if len(spooled) == _GROWN_OVER_STEPS and _LARGE_SPOOL <= min(spooled[-_COMPARED_STEPS:]) > max(
                spooled[:-_COMPARED_STEPS]
            ):
                grown.add(name)
        return frozenset(grown)


def _step(first: HistoryPoint, last: HistoryPoint, delays: Mapping[str, Sequence[float]]) -> Step:
    seconds = last.at - first.at
    streams = {}
    for name, stream in last.streams.items():
        captured, published = _rates(first, last, name)
        # a single late item is no delay of the stream
        delay = statistics.median(delays[name]) if name in delays else None
        streams[name] = StreamStep(captured, published, stream.spooled, stream.lag_s, delay)
    changes = 60.0 * _per_second(last.changes - first.changes, seconds)
    return Step(last.at, streams, _per_second(last.answers - first.answers, seconds), changes)


def _rates(first: HistoryPoint, last: HistoryPoint, name: str) -> tuple[float, float]:
    before, now = first.streams.get(name), last.streams[name]
    if before is None:
        return 0.0, 0.0
    seconds = last.at - first.at
    return _per_second(now.captured - before.captured, seconds), _per_second(now.published - before.published, seconds)


def _per_second(count: int, seconds: float) -> float:
    return max(0, count) / seconds if seconds > 0 else 0.0
