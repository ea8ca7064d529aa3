"""Reports of the scraper's processes, one small file each.

Whoever wants to know how the crawl goes reads these files and leaves the database alone. A new incarnation of a process
goes on with the counts of the former.
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
