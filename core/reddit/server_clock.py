"""Measures the difference of Reddit's clock from ours, from the Date headers of its answers. Pure.

An answer's Date is between the moments at which the request left and the answer arrived. So each answer gives an
interval for the difference. The estimate is between the median of the lower ends and the median of the upper ends
of the last few intervals, as close as possible to the previous estimate: it moves only when it must. One odd Date of
five does not move it, a slow answer has little weight, and it follows a clock that is set within three answers.
"""

import email.utils
import math
from collections import deque
from dataclasses import dataclass
from datetime import UTC
from statistics import median_high, median_low

#: A difference above this many seconds causes a warning, and so does a change of the difference.
NOTABLE = 5.0

_RIGHT_AGAIN = 3.0  # below NOTABLE, so that a difference of about 5 s does not alternate between the two
_REMEMBERED = 5  # answers
_BOUNDS_S = 120.0  # seconds for which `bounds` remembers an estimate
_BOUNDS_STEP_S = 5.0  # seconds per remembered estimate
_QUIET = 60.0  # seconds between two warnings, for a clock that moves constantly
_LONGEST_DATE = 64
_LONGEST_AGE = 86_400


@dataclass(frozen=True, slots=True)
class Observation:
    """The Date and Age headers of one answer, and when it was requested and arrived by our clock, epoch seconds."""

    date: str
    age: str
    sent_at: float
    arrived_at: float


@dataclass(frozen=True, slots=True)
class ClockNotice:
    """A message for the log: the difference in seconds, and whether it is a warning or the end of one."""

    offset: float
    wrong: bool

    def __str__(self) -> str:
        if not self.wrong:
            return "this clock agrees with Reddit's again"
        side = "behind" if self.offset > 0 else "ahead of"
        return f"this clock is {abs(self.offset):,.0f} s {side} Reddit's: set it, for example with NTP"


class ServerClock:
    """The estimate of Reddit's clock. `offset` is Reddit's time minus ours, seconds; 0.0 before the first answer.

    `bounds` are the least and the greatest estimate of the last two minutes. Several odd Dates in a row move the
    estimate; a claim that must not be too early uses the bound that claims less. For the first two minutes 0.0 (our
    clock is right) is among the estimates.
    """

    def __init__(self) -> None:
        self.offset = 0.0
        #: answers with a Date that was used
        self.answers = 0
        self._estimates: deque[list[float]] = deque(maxlen=int(_BOUNDS_S / _BOUNDS_STEP_S) + 1)  # [since, least, most]
        self._first_at: float | None = None
        self._settled = False
        self._intervals: deque[tuple[float, float]] = deque(maxlen=_REMEMBERED)
        self._warned: float | None = None
        self._warned_at = -math.inf

    def observe(self, seen: Observation) -> ClockNotice | None:
        """Update the estimate from one answer; return what should be logged. Ignore invalid headers."""
        interval = _interval(seen)
        if interval is None:
            return None
        self.answers += 1
        self._intervals.append(interval)
        lowest = median_low(low for low, _ in self._intervals)
        highest = median_high(high for _, high in self._intervals)
        self.offset = min(max(self.offset, lowest), highest)
        self._remember(seen.arrived_at)
        return self._notice(seen.arrived_at)

    @property
    def bounds(self) -> tuple[float, float]:
        """Return the least and the greatest estimate of the last minutes, seconds."""
        known = [] if self._settled else [0.0]
        least = [*known, self.offset, *(least for _, least, _ in self._estimates)]
        most = [*known, self.offset, *(most for _, _, most in self._estimates)]
        return min(least), max(most)

    def _remember(self, now: float) -> None:
        self._first_at = now if self._first_at is None else min(self._first_at, now)
        self._settled = self._settled or now - self._first_at > _BOUNDS_S
        while self._estimates and not 0.0 <= now - self._estimates[0][0] <= _BOUNDS_S:
            self._estimates.popleft()  # too old, or our clock was set back
        if self._estimates and now - self._estimates[-1][0] < _BOUNDS_STEP_S:
            newest = self._estimates[-1]
            newest[1:] = [min(newest[1], self.offset), max(newest[2], self.offset)]
        else:
            self._estimates.append([now, self.offset, self.offset])

    def _notice(self, now: float) -> ClockNotice | None:
        if self._warned is not None and abs(self.offset) < _RIGHT_AGAIN:
            self._warned = None
            return ClockNotice(self.offset, wrong=False)
        new = self._warned is None or abs(self.offset - self._warned) > NOTABLE
        # our clock may have been set back: then `now` is before the last warning
        quiet = 0.0 <= now - self._warned_at < _QUIET
        if abs(self.offset) <= NOTABLE or not new or quiet:
            return None
        self._warned, self._warned_at = self.offset, now
        return ClockNotice(self.offset, wrong=True)


def _interval(seen: Observation) -> tuple[float, float] | None:
    """Return the least and the greatest difference that one answer allows; None when it allows no estimate."""
    date, age = _epoch(seen.date), _age(seen.age)
    if date is None or age is None or seen.arrived_at < seen.sent_at:
        return None
    # Date is truncated to whole seconds, and so is Age when a cache adds it
    latest = date + age + (1.0 if age == 0 else 2.0)
    return date + age - seen.arrived_at, latest - seen.sent_at


def _epoch(text: str) -> float | None:
    if len(text) > _LONGEST_DATE:
        return None
    try:
        moment = email.utils.parsedate_to_datetime(text)
        return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
    except (ValueError, TypeError, OverflowError, IndexError):
        return None


def _age(text: str) -> int | None:
    text = text.strip()
    if not (text.isascii() and text.isdigit() and len(text) < 10):
        return None
    return int(text) if int(text) <= _LONGEST_AGE else None
