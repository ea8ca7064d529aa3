"""Warnings about later changes: looks are late, the process writes nothing, its file was lost. Pure.

None is a reason for 503: looks use spare quota, and what is captured and delivered does not depend on them.
"""

from collections.abc import Iterator

from core.config.slices import MonitorConfig
from core.status import completeness
from supervisor.monitor.readiness.problem_tracker import ActiveProblem
from supervisor.monitor.sampling.sample import Sample

#: Seconds that a look may be overdue; shorter delays are normal while the quota is short.
OVERDUE_AFTER_S = 3 * 3600.0

#: The process writes its figures every five seconds; after this time without (seconds) it makes no progress.
_SILENT_AFTER_S = 60.0


def changes(sample: Sample, config: MonitorConfig) -> Iterator[ActiveProblem]:
    """Yield the warnings; a process that does not run has a reason of its own."""
    known = sample.changes
    if known is None or not config.changes:
        return
    running_since = sample.running_since("changes")
    if running_since is not None:
        log = config.logging.log_dir / "changes.log"
        written = max(known.at or 0.0, running_since)
        if sample.now - written > _SILENT_AFTER_S:
            text = f"The process changes runs, and makes no progress: later changes are not found. See {log}"
            yield ActiveProblem("changes_silent", "changes", text, written)
        elif known.oldest_due is not None and known.oldest_overdue_s(sample.now) > OVERDUE_AFTER_S:
            text = "Looks at delivered items are hours late: the quota leaves too few requests for them, or they fail."
            hint = f"No item is forgotten; the oldest come first. See request_failed in {log}, or shorten schedule."
            yield ActiveProblem("changes_late", "changes", f"{text} {hint}", known.oldest_due)
    if known.lost_at is not None and sample.now - known.lost_at < completeness.WINDOW:
        text = "changes.db was lost or broken: items delivered before are not looked at again, later ones are."
        hint = "Find out which program or person changes files of the state directory."
        yield ActiveProblem("changes_lost", "changes", f"{text} {hint}", known.lost_at)
