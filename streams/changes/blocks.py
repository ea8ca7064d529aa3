"""Blocks of duties: what a look makes of them. Pure.

All items of a block are due together. After a look most stay in their block, with the time of their next look. An item
that was missing moves to a block of its own, which is due earlier: a second look confirms the absence.
"""

import base64
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from streams.changes.duty_block import Duty, pack
from streams.changes.look import Known
from streams.changes.schedule import Schedule


@dataclass(frozen=True, slots=True)
class Block:
    """Items of one stream that are due together.

    Attributes:
        id: its number; a number is never used twice.
        stream: of its items.
        base: created_utc of its youngest item.
        due: when it is looked at next, epoch seconds.
        version: each change of the block raises it.
        duties: its items.
    """

    id: int
    stream: str
    base: float
    due: float
    version: int
    duties: tuple[Duty, ...]


@dataclass(frozen=True, slots=True)
class BlockChange:
    """The new content of a block, or its end (no duties). Version 1: a new block."""

    id: int
    version: int
    stream: str
    base: float
    due: float
    items: int
    blob: bytes

    def to_json(self) -> list[Any]:
        """Return it as plain data."""
        blob = base64.b85encode(self.blob).decode()
        return [self.id, self.version, self.stream, self.base, self.due, self.items, blob]

    @classmethod
    def from_json(cls, stored: Sequence[Any]) -> "BlockChange":
        """Read it from plain data. Raises ValueError or TypeError for any other."""
        block_id, version, stream, base, due, items, blob = stored
        content = base64.b85decode(str(blob))
        return cls(int(block_id), int(version), str(stream), float(base), float(due), int(items), content)


@dataclass(frozen=True, slots=True)
class Settled:
    """What a request makes of the blocks it was about.

    Attributes:
        changes: of the blocks.
        skipped: looks that were due while another one waited.
        dropped: items that are given up: missing while their subreddit cannot be read, or never answered.
    """

    changes: tuple[BlockChange, ...]
    skipped: int = 0
    dropped: int = 0


def settle(
    blocks: Sequence[Block],
    looked: Mapping[str, Known],
    undecided: Collection[str] = (),
    *,
    now: float,
    schedule: Schedule,
    next_id: int,
) -> Settled:
    """Return the blocks after a request.

    Args:
        blocks: those with items in the request.
        looked: the new states of the items that the answer decides, by `key_of`.
        undecided: the keys of those about which the answer proves nothing; they are looked at again soon.
        now: epoch seconds.
        schedule: of the looks.
        next_id: the first unused number of a block.
    """
    changes: list[BlockChange] = []
    skipped = dropped = 0
    for block in blocks:
        parts: dict[float, list[Duty]] = {}
        passed = schedule.passed(block.base, block.due, now)
        for duty in block.duties:
            key = key_of(block.stream, duty.id)
            known = looked.get(key)
            if known is None and key in undecided and schedule.gives_up(block.base, block.due):
                dropped += 1
                continue
            if known is None:
                again = now + schedule.again_s(block.base, now)
                parts.setdefault(again if key in undecided else block.due, []).append(duty)
                continue
            skipped += passed
            due = _next_look(block.base, duty.known, known, now, schedule)
            if due is None:
                dropped += known.absent
            else:
                parts.setdefault(due, []).append(replace(duty, known=known))
        # the largest part keeps the number of the block
        ordered = sorted(parts.items(), key=lambda part: -len(part[1])) or [(block.due, [])]
        changes.append(_changed(block, block.id, block.version + 1, *ordered[0]))
        for due, duties in ordered[1:]:
            changes.append(_changed(block, next_id, 1, due, duties))
            next_id += 1
    return Settled(tuple(changes), skipped, dropped)


def key_of(stream: str, item_id: str) -> str:
    """Return a key for an item of a stream: ids of posts and comments overlap."""
    return f"{stream}/{item_id}"


def _next_look(base: float, before: Known, known: Known, now: float, schedule: Schedule) -> float | None:
    """Return when an item is looked at next; None: never again."""
    regular = schedule.next_due(base, now)
    if not known.absent:
        return regular
    if not before.absent:
        return now + schedule.confirm_s
    # missing again, and its subreddit cannot be read
    if schedule.gives_up(base, now):
        return None
    later = now + schedule.unreadable_s
    return later if regular is None else max(min(regular, later), now + schedule.confirm_s)


def _changed(block: Block, block_id: int, version: int, due: float, duties: list[Duty]) -> BlockChange:
    return BlockChange(block_id, version, block.stream, block.base, due, len(duties), pack(duties))
