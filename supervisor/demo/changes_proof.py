"""Compares the events and tombstones with the simulator's truth: the proof of the later changes. Pure."""

from collections import defaultdict
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from supervisor.demo.proof import TopicRecord

#: One line of the simulator's truth of changes.
Change = dict[str, Any]

#: Whole seconds of created_utc, and the time that a look takes, seconds.
_MARGIN_S = 2.0

#: After these operations `latest` holds a tombstone; not after a deleted account (category `account`).
_LOST = ("removed", "deleted", "gone")

_WORDS = {
    "deleted": ("deletion", "deleted by its author"),
    "removed": ("removal", "removed"),
    "gone": ("disappearance", "gone"),
}


@dataclass(frozen=True, slots=True)
class Tombstone:
    """The example that the demo shows: one deletion (else another loss), and when it arrived."""

    op: str
    fullname: str
    subreddit: str
    captured_at: float
    lost_at: float
    arrived_at: float


@dataclass(frozen=True, slots=True)
class ChangesProof:
    """The result in numbers."""

    made: int = 0  #: changes that a look had to find
    reported: int = 0  #: of these, in the topic of changes
    false: int = 0  #: events of changes that were never made
    lost: int = 0  #: items that are removed, deleted or gone, among those changes
    tombstones: int = 0  #: of these, with a tombstone as their newest record in `latest`
    example: Tombstone | None = None
    evidence: tuple[Change, ...] = ()  #: what is missing or false

    @property
    def missing(self) -> int:
        """Changes without their event."""
        return self.made - self.reported

    @property
    def holds(self) -> bool:
        """Whether every change was reported, none was invented, and every lost item has its tombstone."""
        return not self.missing and not self.false and self.lost == self.tombstones


def prove_changes(
    truth: Sequence[Change],
    captured: Iterable[TopicRecord],
    events: Iterable[TopicRecord],
    latest: Iterable[TopicRecord],
    last_age: float,
) -> ChangesProof:
    """Compare the changes with the events and with the newest records.

    A change must be found if it was made after the capture, and before the last look at the item, which is due at
    `last_age`. A removal hides an edit before it, if no look was between them: such an edit may be missing.
    """
    captured_at = {record.key: moment for record in captured if (moment := _captured_at(record)) is not None}
    known = {(line["fullname"], line["op"], line["category"], line["text"]) for line in truth}
    reported: dict[tuple[Any, ...], TopicRecord] = {}
    for record in events:
        reported.setdefault(_of_event(record), record)
    owed = list(_owed(truth, captured_at, last_age))
    missing = [line for line in owed if (line["fullname"], line["op"], line["category"], line["text"]) not in reported]
    false = [record.content for key, record in reported.items() if key not in known]
    newest = {record.key: record for record in latest}
    lost = [line for line in owed if _is_loss(line)]
    buried = [line for line in lost if line["fullname"] in newest and newest[line["fullname"]].value is None]
    return ChangesProof(
        made=len(owed),
        reported=len(owed) - len(missing),
        false=len(false),
        lost=len(lost),
        tombstones=len(buried),
        example=_example(buried, captured_at, newest),
        evidence=(*missing, *false, *(line for line in lost if line not in buried)),
    )


def lines(proof: ChangesProof, latest: str) -> Iterator[str]:
    """Return the proof as text; `latest` is the name of the topic."""
    numbers = [
        ("changed", proof.made, "edits, removals and deletions in the simulated Reddit that a later look could see"),
        ("reported", proof.reported, "of these, found in the topic of changes"),
        ("missing", proof.missing, "without their event"),
        ("false", proof.false, "events of what did not happen"),
        (
            "tombstones",
            proof.tombstones,
            f"in {latest}, for {proof.lost:,} items that were removed or deleted",
        ),
    ]
    for name, number, meaning in numbers:
        yield f"  {name:<11}{number:>8,}   {meaning}"
    one = proof.example
    if one is not None:
        noun, what = _WORDS[one.op]
        yield (
            f"  A {noun} arrived as a tombstone: {one.fullname} in r/{one.subreddit}, captured at "
            f"{_clock(one.captured_at)}, {what} at {_clock(one.lost_at)}, "
            f"tombstone at {_clock(one.arrived_at)}."
        )


def _owed(truth: Sequence[Change], captured_at: Mapping[str, float], last_age: float) -> Iterator[Change]:
    """Yield the changes that a look must have found."""
    by_item: dict[str, list[Change]] = defaultdict(list)
    for line in truth:
        by_item[line["fullname"]].append(line)
    for name, changes in by_item.items():
        captured = captured_at.get(name)
        if captured is None:
            continue  # never delivered, so never looked at
        in_time = [one for one in changes if one["time"] > captured and one["age"] < last_age - _MARGIN_S]
        states = [one for one in in_time if one["op"] != "edit"]
        yield from states[-1:]
        if not any(_is_loss(one) for one in changes):
            yield from [one for one in in_time if one["op"] == "edit"][-1:]


def _is_loss(line: Change) -> bool:
    return line["op"] in _LOST and line["category"] != "account"


def _of_event(record: TopicRecord) -> tuple[Any, ...]:
    event = record.content
    return record.key, event.get("op"), event.get("category"), event.get("text")


def _captured_at(record: TopicRecord) -> float | None:
    timestamp = record.content.get("timestamp")
    return None if timestamp is None else datetime.fromisoformat(timestamp).timestamp()


def _example(
    buried: Sequence[Change], captured_at: Mapping[str, float], newest: Mapping[str, TopicRecord]
) -> Tombstone | None:
    """Return the deletion by an author that came longest after the capture; else another loss."""
    deletions = [line for line in buried if line["op"] == "deleted"] or buried
    line = max(deletions, key=lambda one: one["time"] - captured_at[one["fullname"]], default=None)
    if line is None:
        return None
    name = line["fullname"]
    return Tombstone(line["op"], name, line["subreddit"], captured_at[name], line["time"], newest[name].at)


def _clock(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%H:%M:%S")
