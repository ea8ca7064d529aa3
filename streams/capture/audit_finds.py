"""Captures what the audit found missing, and keeps the index of captured names: short steps of the capture loop."""

import contextlib
import time
from collections.abc import Callable, Sequence
from pathlib import Path

from core.child import ChildContext
from core.errors import GaplessError
from core.reddit.request_errors import TooLarge
from core.spool import Batch, Gap, GapState
from core.spool.model import AUDIT_FOUND
from core.spool.name_index import NameIndex
from core.spool.name_index_writer import NameIndexWriter
from core.stream_kinds import listing_of
from streams.audit.found_files import Finding, read_finding, waiting_findings
from streams.capture.coverage import Coverage
from streams.reddit.listing_page import Item, Page, parse_page

#: Seconds between two looks for files of the audit, and between two writes of the index.
_EVERY_S = 5.0

#: An entry of the ledger is extended for this time after it was recorded, by items created about then, seconds.
_RECENT_S = 86_400.0
_SAME_TIME_S = 3600.0


class AuditFinds:
    """The part of the audit in the process that writes the spool.

    Args:
        coverage: captures the items.
        context: of the process.
        state_dir: the directory of the files.
        subreddits: as the configuration spells them.
        index: of captured names; None: there is none.
        clock: a monotonic clock, seconds.
    """

    def __init__(
        self,
        coverage: Coverage,
        context: ChildContext,
        state_dir: Path,
        subreddits: Sequence[str],
        index: NameIndexWriter | None,
        *,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._coverage = coverage
        self._context = context
        self._log = context.log
        self._state_dir = state_dir
        self._spelling = {name.lower(): name for name in subreddits}
        self._writer = index
        self._index = NameIndex(state_dir, coverage.stream)
        self._clock = clock
        #: when the next step is due, on the clock
        self.due = clock() + _EVERY_S

    def step(self) -> None:
        """Write the index; capture the items of one file. Raises SpoolError; then the file waits."""
        self.due = self._clock() + _EVERY_S
        if self._writer is not None:
            self._writer.flush()
        files = waiting_findings(self._state_dir, self._coverage.stream)
        if not files:
            return
        path = files[0]
        try:
            finding = read_finding(path)
        except (OSError, ValueError, TooLarge, RecursionError) as error:
            self._set_aside(path, error)
            return
        try:
            self._capture(finding)
        except GaplessError:
            raise
        except Exception as error:  # noqa: BLE001 (capture must not end because of a file of the audit)
            self._log.exception("audit_capture_failed", path=str(path))
            self._set_aside(path, error)
            return
        with contextlib.suppress(OSError):  # it is read again, and everything in it is known
            path.unlink()
        if len(files) > 1:
            self.due = self._clock()

    def _capture(self, finding: Finding) -> None:
        coverage = self._coverage
        stream = coverage.stream
        children = [{"kind": listing_of(stream).prefix, "data": data} for data in finding.items]
        page = parse_page({"kind": "Listing", "data": {"children": children}}, stream)
        ours = [item for item in page.items if item.subreddit.lower() in coverage.configured]
        unknown = [item for item in ours if not coverage.names.known(item.name)]
        # the finder has compared them with the whole index; what was captured since then is in its newest files
        left = frozenset(self._index.unknown(dict.fromkeys((one.name for one in unknown), finding.found_at)))
        items = sorted((one for one in unknown if one.name in left), key=lambda one: -(one.created or 0.0))
        if not items:
            self._log.info("audit_items_known", count=len(page.items), foreign=len(page.items) - len(ours))
            return
        names = tuple(dict.fromkeys(self._spelling[item.subreddit.lower()] for item in items))
        moment = coverage.moment(names)
        entry = None if finding.in_gaps else self._entry(items, names)
        absorbed = coverage.absorb(
            Page(tuple(items), None),
            epoch=coverage.epoch,
            proven_until=float("-inf") if moment is None else moment,
            change=None if entry is None else Batch(gaps=[entry]),
            counter="audit_captured",
        )
        if absorbed.delivered:
            self._context.announce(absorbed.last_seq)
        self._log.warning("audit_items_captured", count=absorbed.new, subreddits=absorbed.subreddits)

    def _entry(self, items: Sequence[Item], names: tuple[str, ...]) -> Gap:
        """Return the entry of the ledger: late items were missing from `late_from` to `start`, others may be."""
        coverage, now = self._coverage, self._coverage.now()
        created = [item.created for item in items if item.created is not None] or [now]
        late_from, until, found = min(created), max(created), len(items)
        near = [gap for gap in coverage.gaps.values() if _is_near(gap, late_from, until, now)]
        last = max(near, key=lambda gap: gap.recorded_at, default=None)
        if last is not None and last.late_from is not None and last.end is not None:
            late_from, until, found = min(late_from, last.late_from), max(until, last.end), found + last.found
            names = tuple(dict.fromkeys([*last.subreddits, *names]))
        return Gap(
            stream=coverage.stream,
            subreddits=names,
            start=until,
            end=until,
            reason=AUDIT_FOUND,
            recorded_at=now if last is None else last.recorded_at,
            epoch=coverage.epoch,
            unproven=names,
            found=found,
            state=GapState.LOST,
            closed_at=now,
            late_from=late_from,
            id=None if last is None else last.id,
        )

    def _set_aside(self, path: Path, error: Exception) -> None:
        with contextlib.suppress(OSError):
            path.rename(path.with_suffix(".bad"))
        self._log.error("audit_file_unreadable", path=str(path), error=str(error), hint="it is kept as .bad")


def _is_near(gap: Gap, late_from: float, until: float, now: float) -> bool:
    """Return whether the entry is a recent one about items that were created at about the same time."""
    if gap.reason != AUDIT_FOUND or gap.late_from is None or gap.end is None or now - gap.recorded_at > _RECENT_S:
        return False
    return gap.late_from - _SAME_TIME_S <= until and late_from <= gap.end + _SAME_TIME_S
