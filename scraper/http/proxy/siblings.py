"""Reads the reports of the other scraper processes of this installation about their proxies.

Each process replaces its own small file once a second. A process that dies leaves no lock behind, and its file
grows old; the database is not needed.
"""

import time
from collections.abc import Callable, Collection
from dataclasses import dataclass
from pathlib import Path

from core.status.crawl import STOPPED, CrawlReport, read_crawl

#: A proxy whose last good answer is younger than this works, seconds.
_RECENT = 60.0

#: A proxy is reliable when at most this share of its last attempts failed, of at least this number.
_RELIABLE = 0.2
_FEWEST_ATTEMPTS = 20


@dataclass(frozen=True, slots=True)
class Sibling:
    """The report of another process of this installation about its proxy."""

    good_for: float  #: seconds since its last good answer
    good: int = 0  #: of its last attempts
    bad: int = 0
    failing: Collection[str] = ()  #: names that fail there
    witness: str | None = None  #: a recently served path

    @property
    def works(self) -> bool:
        """Whether it gets answers."""
        return self.good_for <= _RECENT

    @property
    def reliable(self) -> bool:
        """Whether nearly all of its last attempts were good."""
        attempts = self.good + self.bad
        return self.works and attempts >= _FEWEST_ATTEMPTS and self.bad <= _RELIABLE * attempts


#: Returns the current reports of the other processes.
Siblings = Callable[[], list[Sibling]]


def alone() -> list[Sibling]:
    """Return no reports: there are no other processes."""
    return []


def siblings_of(
    state_dir: Path, process: str, processes: Collection[str], clock: Callable[[], float] = time.time
) -> Siblings:
    """Return a reader of the reports of the other `processes`; it skips old and unreadable ones."""
    others = tuple(name for name in processes if name != process)

    def read() -> list[Sibling]:
        if not others:
            return []
        crawl = read_crawl(state_dir, clock(), others)
        return [_sibling(report, crawl.now) for report in crawl.fresh if report.proxy_state != STOPPED]

    return read


def _sibling(report: CrawlReport, now: float) -> Sibling:
    good_for = max(0.0, now - report.good_at) if report.good_at is not None else float("inf")
    return Sibling(good_for, report.recent_good, report.recent_bad, report.failing, report.witness)
