"""Removes what no database can store: NUL and lone surrogates in text, integers beyond 64 bits. Pure.

Reddit's JSON may hold both. They are so rare that they go unnoticed until the database refuses them.
"""

import dataclasses
import re
from dataclasses import dataclass
from typing import Any

from scraper.store.batches.merged_batch import MergedBatch

#: Replaces a character that cannot be stored.
REPLACEMENT = "\ufffd"

_UNSTORABLE = re.compile("[\x00\ud800-\udfff]")


class UnstorableValue(ValueError):
    """A text or an integer that the database cannot store."""


@dataclass(slots=True)
class Replaced:
    """Counts the values that had to be changed."""

    texts: int = 0
    integers: int = 0

    def __bool__(self) -> bool:
        return bool(self.texts or self.integers)


def is_integer(value: int) -> bool:
    """Return whether an integer fits into 64 bits with its sign."""
    return -(2**63) <= value < 2**63


def clean(work: MergedBatch) -> tuple[MergedBatch, Replaced]:
    """Return a copy that can be stored, and the number of values changed."""
    replaced = Replaced()
    fields = {field.name: _clean(getattr(work, field.name), replaced) for field in dataclasses.fields(MergedBatch)}
    return MergedBatch(**fields), replaced


def _clean(value: Any, replaced: Replaced) -> Any:  # noqa: ANN401 (whatever stands in a row)
    match value:
        case str():
            text, count = _UNSTORABLE.subn(REPLACEMENT, value)
            replaced.texts += count > 0
            return text if count else value
        case bool():
            return value
        case int():
            replaced.integers += not is_integer(value)
            return value if is_integer(value) else None
        case list():
            return [_clean(item, replaced) for item in value]
        case tuple():
            items = [_clean(item, replaced) for item in value]
            return value._make(items) if hasattr(value, "_make") else tuple(items)
        case _:
            return value
