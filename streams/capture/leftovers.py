"""Records that another machine captured and could not deliver: what becomes of each. Pure.

An item whose name is known is in this spool, or was delivered before. One that is older than all names which are kept
of its subreddit may have been delivered long ago: nothing shows it. It is kept aside, and neither sent nor dropped.
"""

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field

from core.cluster.mailbox import Leftover
from core.record_value import own_fields
from core.spool import Record, Seen
from streams.capture.seen_names import FOREIGN

#: Of fewer names than this, none was forgotten.
_ALL_KEPT = 1_000

#: The reason in the table `rejects`.
TOO_OLD = "another machine captured it, and nothing shows whether it was delivered: it is older than all known names"


@dataclass(slots=True)
class Sorted:
    """The leftovers of a shard, sorted: to be sent from this spool, delivered or captured before, and undecided."""

    records: list[Record] = field(default_factory=list)
    seen: list[Seen] = field(default_factory=list)
    known: int = 0
    rejects: list[tuple[str, bytes]] = field(default_factory=list)


def bucket_of(leftover: Leftover, configured: frozenset[str]) -> str:
    """Return the bucket in which the spool keeps the name."""
    name = leftover.subreddit.lower()
    return name if name in configured else FOREIGN


def sort(
    leftovers: Iterable[Leftover],
    known: Callable[[str], bool],
    kept: Mapping[str, tuple[int, float]],
    configured: frozenset[str],
    now: float,
) -> Sorted:
    """Sort the leftovers of a shard.

    Args:
        leftovers: in their order.
        known: whether the stream knows a name.
        kept: bucket → number of its names, and when the first of them was met (epoch seconds).
        configured: subreddits in lower case.
        now: epoch seconds.
    """
    result = Sorted()
    taken: set[str] = set()
    for one in leftovers:
        name, bucket = one.key.decode(errors="replace"), bucket_of(one, configured)
        if name in taken or known(name):
            result.known += 1
            continue
        count, oldest = kept.get(bucket, (0, float("inf")))
        created = created_of(one.value)
        if count >= _ALL_KEPT and oldest != float("inf") and (created is None or created < oldest):
            result.rejects.append((TOO_OLD, one.value))
            continue
        taken.add(name)
        result.records.append(Record(one.key, one.value, one.schema))
        result.seen.append(Seen(name, bucket, now, 0))
    return result


def created_of(value: bytes) -> float | None:
    """Return the field `created_utc` of a record, None without a number."""
    try:
        created = own_fields(value)["created_utc"]
    except (ValueError, LookupError, TypeError):
        return None
    return float(created) if isinstance(created, int | float) else None
