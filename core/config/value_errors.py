"""The error of a parser that cannot accept a value."""

from dataclasses import dataclass

_UNSET = object()


@dataclass(frozen=True, slots=True)
class Fault:
    """One reason why a value is wrong; `at` and `value` point at a part of it, such as `[2].url`.

    `plain`: the part cannot hold a secret, even where the setting may.
    """

    advice: str
    at: str = ""
    value: object = _UNSET
    plain: bool = False
    missing: bool = False  #: the part is missing, so there is nothing to show

    @property
    def has_value(self) -> bool:
        """Return whether the fault names a part instead of the whole value."""
        return self.value is not _UNSET


class InvalidValue(Exception):
    """A value is invalid; holds every reason found."""

    def __init__(self, *faults: Fault | str) -> None:
        self.faults = tuple(Fault(fault) if isinstance(fault, str) else fault for fault in faults)
        super().__init__("; ".join(fault.advice for fault in self.faults))
