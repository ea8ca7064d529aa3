"""The report file of each scraper process: `state_dir/crawl/NAME.json`, which the process replaces atomically."""

import json
import math
from collections.abc import Collection
from dataclasses import asdict, fields, replace
from pathlib import Path

import structlog

from core.config.slices import StatusConfig
from core.masking.external import masked
from core.status.crawl.crawl_report import CrawlReport, Frontier
from core.status.crawl.overview import Crawl
from core.storage.private_files import replace_json

log = structlog.stdlib.get_logger(__name__)


def read_crawl_of(config: StatusConfig, now: float) -> Crawl:
    """Read the reports of the configured processes."""
    return read_crawl(config.state_dir, now, config.scrapers, discovers=config.discovers)


def crawl_report_path(state_dir: Path, name: str) -> Path:
    """Return the file of the process of this name."""
    return state_dir / "crawl" / f"{name}.json"


def write_crawl_report(state_dir: Path, report: CrawlReport) -> None:
    """Write the report of this process, without passwords. Raises OSError when the write fails."""
    path = crawl_report_path(state_dir, report.process)
    safe = replace(report, address=_safe(report.address), last_error=_safe(report.last_error))
    path.parent.mkdir(parents=True, exist_ok=True)
    replace_json(path, asdict(safe))


def _safe(text: str | None) -> str | None:
    return masked(text) if text is not None else None


def read_crawl_report(state_dir: Path, name: str) -> CrawlReport | None:
    """Read the last report of the process of this name; None when it is missing or invalid."""
    try:
        return _parse(crawl_report_path(state_dir, name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        log.warning("crawl_report_broken", process_name=name, error=str(error), hint="its counts start again at zero")
        return None


def read_crawl(state_dir: Path, now: float, names: Collection[str] | None = None, *, discovers: bool = False) -> Crawl:
    """Read all reports; with `names` only those of these processes, and list which of them have none."""
    paths = {path.stem: path for path in crawl_report_path(state_dir, "x").parent.glob("*.json")}
    reports, unreadable = [], []
    for name in sorted(paths) if names is None else names:
        if name not in paths:
            continue
        try:
            reports.append(_parse(paths[name].read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            unreadable.append(f"the report of {name} cannot be read now: {error}")
    silent = tuple(name for name in names or () if name not in paths)
    return Crawl(now, tuple(reports), silent, tuple(unreadable), discovers)


_TEXTS = {"process", "proxy", "address", "proxy_state", "last_error", "witness", "database_replaced"}
_COUNTERS = {"counters", "requests", "outcomes"}


def _parse(text: str) -> CrawlReport:
    """Parse a report; raise ValueError with the reason. Ignore fields that a newer version may have added."""
    content = json.loads(text)
    if not isinstance(content, dict):
        raise ValueError("it is not a JSON object")  # noqa: TRY004 (one error for all that can be wrong with a file)
    values = {one.name: content[one.name] for one in fields(CrawlReport) if content.get(one.name) is not None}
    if isinstance(values.get("frontier"), dict):
        counts = {one.name: values["frontier"].get(one.name) for one in fields(Frontier)}
        values["frontier"] = Frontier(**{name: count for name, count in counts.items() if _is_number(count)})
    if isinstance(values.get("failing"), list):
        values["failing"] = tuple(values["failing"])
    if not {"process", "proxy"} <= values.keys():
        raise ValueError("it names no process or no proxy")
    wrong = [name for name, value in values.items() if not _fits(name, value)]
    if wrong:
        raise ValueError(f"invalid value of {', '.join(wrong)}")
    return CrawlReport(**values)


def _fits(name: str, value: object) -> bool:
    if name in _TEXTS:
        return isinstance(value, str)
    if name == "failing":
        return isinstance(value, tuple) and all(isinstance(one, str) for one in value)
    if name in _COUNTERS:
        return isinstance(value, dict) and all(map(_is_number, value.values()))
    return isinstance(value, Frontier) if name == "frontier" else _is_number(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
