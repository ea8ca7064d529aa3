"""The audit's statement in one plain sentence, for `audit`, the page and `status`. Pure."""

import math
from collections.abc import Iterable
from datetime import UTC, datetime

from core.status.audit_bound import ENOUGH_DRAWS, AuditReport, Outcomes
from core.status.confidence_bound import CONFIDENCE

#: The items of a stream, as people call them.
_ITEMS = {"submissions": "posts"}


def sentence(report: AuditReport) -> str:
    """Return the statement in one sentence, or say that there are too few samples for one."""
    covered = report.sampled
    if report.since is None or report.until is None or not covered:
        return "Nothing is known: no item has been sampled."
    outcomes = Outcomes()
    for bound in covered.values():
        outcomes = outcomes.plus(bound.outcomes)
    counts = f"{outcomes.sampled:,} sampled, {outcomes.missing:,} missing"
    of = f"of the {items(covered)} created between {_utc(report.since)} and {_utc(report.until)}"
    sure, missing = f"with {100 * CONFIDENCE:.0f} % confidence", "are missing outside the recorded gaps"
    only = [name for name, bound in covered.items() if bound.only_listed]
    listed = f" Of {items(only)}, this covers what Reddit lists." if only else ""
    if report.draws < ENOUGH_DRAWS:
        draws = f"{report.draws:,} independent {'draw' if report.draws == 1 else 'draws'}"
        few = f"Too few samples for a useful statement: {counts}, in {draws}."
        return f"{few} At most {share(report.at_most)} {of} {missing}, {sure}.{listed}"
    return f"At most {share(report.at_most)} {of} {missing}, {sure}: {counts}.{listed}"


def items(streams: Iterable[str]) -> str:
    """Name the items of these streams: "posts and comments"."""
    names = [_ITEMS.get(name, name) for name in streams]
    return " and ".join(filter(None, (", ".join(names[:-1]), names[-1]))) if names else "items"


def share(value: float) -> str:
    """Format an upper bound in percent with two digits that count, rounded up."""
    percent = value * 100.0
    if percent >= 99.5:
        return "100 %"
    for _ in range(2):  # rounding up may give one digit more, as from 0.0998 to 0.10
        digits = max(0, min(4, 1 - math.floor(math.log10(percent)))) if percent > 0.0 else 2
        percent = math.ceil(percent * 10**digits - 1e-6) / 10**digits
    return f"{percent:.{digits}f} %"


def _utc(seconds: float) -> str:
    return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%dT%H:%M:%SZ")
