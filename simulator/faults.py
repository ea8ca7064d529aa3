"""Faults on demand: chooses which answer is faulty, and how.

Pure: time and randomness are arguments; the server applies the decision.
"""

import difflib
import math
import random
from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import Enum, StrEnum


class Fault(StrEnum):
    """Kinds of faults in an answer; each is also the name of the share of answers that have it."""

    STATUS_500 = "status_500"
    STATUS_502 = "status_502"
    STATUS_503 = "status_503"
    RESET = "reset"
    HANG = "hang"
    HTML = "html"
    HTML_403 = "html_403"
    TRUNCATED_JSON = "truncated_json"
    STATUS_429 = "status_429"
    EMPTY_PAGE = "empty_page"
    TOKEN_401 = "token_401"  # noqa: S105 -- the name of a fault
    REDIRECT_WITHOUT_LOCATION = "redirect_without_location"


class Endpoint(Enum):
    """The endpoints where a fault may occur."""

    TOKEN = "token"  # noqa: S105 -- the name of an endpoint
    LISTING = "listing"
    OTHER = "other"


#: A 401 for correct credentials would be wrong, and a token has no page: the token endpoint has fewer faults.
_NOT_ON_TOKEN = {Fault.STATUS_429, Fault.EMPTY_PAGE, Fault.TOKEN_401, Fault.REDIRECT_WITHOUT_LOCATION}

_DEFAULTS: dict[str, object] = {fault.value: 0.0 for fault in Fault} | {
    "latency": 0.0,
    "latency_jitter": 0.0,
    "hang_seconds": 30.0,
    "retry_after": None,
    "retry_after_seconds": 2,
    "token_401_bare": False,
    "fractional_reset": False,
}
#: every name that a change of faults may contain, besides `seconds`
KNOWN = frozenset(_DEFAULTS)
_SWITCHES = {"token_401_bare", "fractional_reset"}
_RETRY_AFTER_WORDS = {"seconds", "date"}


class FaultError(ValueError):
    """An unknown fault or an invalid value; the message says what is valid."""


@dataclass(frozen=True, slots=True)
class DrawnFaults:
    """The faults of one request."""

    latency: float = 0.0
    fault: Fault | None = None
    #: for faults that can occur before or in the middle of the answer
    midway: bool = False


@dataclass(slots=True)
class _Temporary:
    values: dict[str, object]
    until: float


@dataclass(slots=True)
class Faults:
    """The faults in force: permanent ones, and temporary ones that override them."""

    dice: random.Random
    _lasting: dict[str, object] = field(default_factory=dict)
    _temporary: list[_Temporary] = field(default_factory=list)

    def change(self, changes: Mapping[str, object], now: float) -> None:
        """Merge changes into the current faults; with `seconds` among them, only for that time."""
        values = dict(changes)
        seconds = values.pop("seconds", None)
        _check(values)
        merged = self.current(now) | values
        shares = sum(_number(merged[fault]) for fault in Fault)
        if shares > 1.0 + 1e-9:
            raise FaultError(f"the shares add up to {shares:g}: lower some; an answer can have only one fault")
        if seconds is not None:
            if isinstance(seconds, bool) or not isinstance(seconds, int | float) or seconds <= 0:
                raise FaultError(f"seconds = {seconds!r}: give a number above 0")
            self._temporary.append(_Temporary(values, now + seconds))
            return
        self._lasting |= values
        for temporary in self._temporary:
            temporary.values = {name: value for name, value in temporary.values.items() if name not in values}

    def clear(self) -> None:
        """Remove all faults."""
        self._lasting.clear()
        self._temporary.clear()

    def current(self, now: float) -> dict[str, object]:
        """Return every fault with its current value."""
        self._temporary = [temporary for temporary in self._temporary if temporary.until > now]
        current = _DEFAULTS | self._lasting
        for temporary in self._temporary:
            current |= temporary.values
        return current

    @property
    def none(self) -> bool:
        """Whether there are no faults at all."""
        return not self._lasting and not self._temporary

    def draw(self, endpoint: Endpoint, now: float) -> DrawnFaults:
        """Draw the faults of one request."""
        if self.none:
            return DrawnFaults()
        current = self.current(now)
        latency = _number(current["latency"]) + self.dice.random() * _number(current["latency_jitter"])
        return DrawnFaults(latency, self._draw(endpoint, current), midway=self.dice.random() < 0.5)

    def _draw(self, endpoint: Endpoint, current: Mapping[str, object]) -> Fault | None:
        point = self.dice.random()
        for fault in Fault:
            point -= _number(current[fault])
            if point < 0:
                return fault if _applies(fault, endpoint) else None
        return None


def _applies(fault: Fault, endpoint: Endpoint) -> bool:
    if endpoint is Endpoint.TOKEN:
        return fault not in _NOT_ON_TOKEN
    return endpoint is Endpoint.LISTING or fault is not Fault.EMPTY_PAGE


def _number(value: object) -> float:
    return float(value) if isinstance(value, int | float) else 0.0


def _check(values: Mapping[str, object]) -> None:
    for name, value in values.items():
        if name not in _DEFAULTS:
            near = difflib.get_close_matches(name, _DEFAULTS, 1)
            hint = f"did you mean {near[0]}? " if near else ""
            raise FaultError(f"no fault is called {name}: {hint}known are {', '.join(sorted(_DEFAULTS))}, and seconds")
        if name in _SWITCHES:
            if not isinstance(value, bool):
                raise FaultError(f"{name} = {value!r}: give true or false")
        elif name == "retry_after":
            if value is not None and value not in _RETRY_AFTER_WORDS and not _is_number(value):
                raise FaultError(f'retry_after = {value!r}: give a number of seconds, "seconds", "date", or null')
        elif not _is_number(value):
            raise FaultError(f"{name} = {value!r}: give a number, 0 or more")
        elif name in set(Fault) and _number(value) > 1:
            raise FaultError(f"{name} = {value!r}: give a share from 0 to 1")


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and not isinstance(value, bool) and 0 <= value < math.inf
