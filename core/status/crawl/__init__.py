"""Reports of the scraper's processes, one small file each.

Readers of the crawl's progress use these files and not the database. A new incarnation of a process continues the
counts of the previous one.
"""

from core.status.crawl.crawl_report import (
    HEALTHY,
    IDLE,
    PROBING,
    RESTING,
    STARTING,
    STOPPED,
    CrawlReport,
    Frontier,
    continued,
)
from core.status.crawl.overview import Crawl, TimeToFinish
from core.status.crawl.report_files import (
    crawl_report_path,
    read_crawl,
    read_crawl_of,
    read_crawl_report,
    write_crawl_report,
)

__all__ = [
    "HEALTHY",
    "IDLE",
    "PROBING",
    "RESTING",
    "STARTING",
    "STOPPED",
    "Crawl",
    "CrawlReport",
    "Frontier",
    "TimeToFinish",
    "continued",
    "crawl_report_path",
    "read_crawl",
    "read_crawl_of",
    "read_crawl_report",
    "write_crawl_report",
]
