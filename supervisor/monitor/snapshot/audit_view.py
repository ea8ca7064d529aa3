"""Builds the audit's part of the page's data. Pure."""

from typing import Any

from core.status.audit_bound import AuditReport, Outcomes
from core.status.audit_sentence import sentence, share

_ALL = "all"


def audit_view(report: AuditReport) -> dict[str, Any] | None:
    """Describe the audit: the sentence, and a row for each stream and source; None before the first sample."""
    if not report.outcomes.sampled:
        return None
    rows = []
    for name, bound in report.streams.items():
        rows += [_row(name, source, outcomes, None) for source, outcomes in bound.sources.items()]
        rows.append(_row(name, _ALL, bound.outcomes, share(bound.at_most) if bound.draws else None))
    return {"text": sentence(report), "rows": rows}


def _row(stream: str, source: str, outcomes: Outcomes, at_most: str | None) -> dict[str, Any]:
    return {
        "stream": stream,
        "source": source,
        "sampled": outcomes.sampled,
        "missing": outcomes.missing,
        "missing_in_gaps": outcomes.missing_in_gaps,
        "removed_first": outcomes.removed_first,
        "at_most": at_most,
    }
