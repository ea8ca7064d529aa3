"""The result of one probe of `check --connect`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from core.masking.external import masked


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the answer; the text gives the state, or what to do.

    The text stays on one line and contains no secret, whatever its source.
    """

    name: str
    ok: bool
    text: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", masked(self.text))


def fine(name: str, text: str) -> Finding:
    """Report a success."""
    return Finding(name, ok=True, text=text)


def failed(name: str, text: str) -> Finding:
    """Report a failure; the text gives what to do."""
    return Finding(name, ok=False, text=text)


@dataclass(frozen=True, slots=True)
class Probe:
    """One probe; `name` starts its line."""

    name: str
    run: Callable[[], Iterator[Finding]]
