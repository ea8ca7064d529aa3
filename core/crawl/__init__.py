"""Reports of the scraper's processes, one small file each.

Whoever wants to know how the crawl goes reads these files and leaves the database alone. A new incarnation of a process
goes on with the counts of the former.
"""

from core.crawl.files import (
    crawl_report_path,
    process_name,
    process_names,
    read_crawl,
    read_crawl_of,
    read_crawl_report,
    write_crawl_report,
)
from core.crawl.overview import Crawl, TimeToFinish
from core.crawl.report import (
    DIRECT,
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

__all__ = [
    "DIRECT",
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
    "process_name",
    "process_names",
    "read_crawl",
    "read_crawl_of",
    "read_crawl_report",
    "write_crawl_report",
]
