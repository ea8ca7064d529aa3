"""The result of one probe of `check --connect`."""

from collections.abc import Callable, Iterator
from dataclasses import dataclass

from core.masking.external import masked


@dataclass(frozen=True, slots=True)
class Finding:
    """One line of the answer; the text says what is there, or what to do.

    Whoever its parts come from, it stays one line, and has no secret in it.
    """

    name: str
    ok: bool
    text: str

    def __post_init__(self) -> None:
        object.__setattr__(self, "text", masked(self.text))


def fine(name: str, text: str) -> Finding:
    """Report what works."""
    return Finding(name, ok=True, text=text)


def failed(name: str, text: str) -> Finding:
    """Report what does not; the text says what to do."""
    return Finding(name, ok=False, text=text)


@dataclass(frozen=True, slots=True)
class Probe:
    """Something to try, by the name its line begins with."""

    name: str
    run: Callable[[], Iterator[Finding]]
