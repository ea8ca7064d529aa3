"""What the scraper's processes tell of themselves, one small file each: `state_dir/crawl/NAME.json`.

Whoever wants to know how the crawl goes reads these files and leaves the database alone. Each is replaced as a whole, a
few times a minute or more, by the one process it is about; a new incarnation goes on with the counts of the former.
"""

import json
import math
from collections.abc import Collection, Mapping
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path

import structlog

from core.config.model import Config, ScraperSection
from core.config.proxy import Proxy
from core.redact import redact_url

#: What `proxy_state` says of a proxy that works; the other words say what is done about one that does not.
HEALTHY, RESTING, PROBING, STARTING = "healthy", "resting", "probing", "starting"

#: The name of the way without a proxy.
DIRECT = "direct"

_FRESH = 15.0  # seconds: an older report is of a process that is gone or stuck, and says nothing about now

log = structlog.stdlib.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Frontier:
    """What the database holds and what is still to do, as one process counted it."""

    subreddits: int = 0  #: rows
    users: int = 0
    posts: int = 0
    rules: int = 0
    waiting: int = 0  #: subreddits that are due, and nobody's
    leased: int = 0  #: somebody is at it
    later: int = 0  #: to be tried again, but not yet
    done: int = 0
    growing: int | None = None  #: of the unfinished ones, how many may lead to others; None: not counted

    @property
    def to_do(self) -> int:
        """What could be worked on now."""
        return self.waiting + self.leased


@dataclass(frozen=True, slots=True)
class CrawlReport:
    """One process and its proxy. Moments are seconds since 1970; tallies count over all incarnations."""

    process: str
    proxy: str  #: its name; "direct" where there is none
    address: str | None = None  #: without the password
    seen_at: float = 0.0
    counters: dict[str, int] = field(default_factory=dict)  #: subreddits, users, posts, rules (saved), failures, …
    requests: dict[str, int] = field(default_factory=dict)  #: by HTTP status
    outcomes: dict[str, int] = field(default_factory=dict)  #: ok, refused, rate_limited, transport_error, …
    proxy_state: str = STARTING
    proxy_since: float | None = None  #: in this state
    failing_since: float | None = None  #: over rests and probes; None: it works, or was not tried yet
    resting_until: float | None = None
    last_error: str | None = None
    last_error_at: float | None = None
    mean_latency_ms: float | None = None
    in_flight: int = 0  #: requests
    subreddits_in_flight: int = 0
    frontier: Frontier | None = None
    counted_at: float | None = None  #: when `frontier` was read from the database
    per_hour: float | None = None  #: subreddits that this process finishes; None: too early to say
    database_away_since: float | None = None

    @property
    def request_count(self) -> int:
        """All requests, whatever came of them."""
        return sum(self.outcomes.values())

    @property
    def failed_count(self) -> int:
        """Requests that brought nothing. What Reddit refuses to show is an answer like any other."""
        return self.request_count - self.outcomes.get("ok", 0) - self.outcomes.get("refused", 0)


def continued(report: CrawlReport, former: CrawlReport | None) -> CrawlReport:
    """Add the tallies of a former incarnation to those that `report` has counted since its own start."""
    if former is None:
        return report
    return replace(
        report,
        counters=_added(report.counters, former.counters),
        requests=_added(report.requests, former.requests),
        outcomes=_added(report.outcomes, former.outcomes),
    )


def _added(*tallies: Mapping[str, int]) -> dict[str, int]:
    total: dict[str, int] = {}
    for tally in tallies:
        for name, count in tally.items():
            total[name] = total.get(name, 0) + count
    return total


@dataclass(frozen=True, slots=True)
class TimeToFinish:
    """How long what is to do takes at the present pace; `at_least` when more may be found, or be due, until then."""

    seconds: float
    at_least: bool


@dataclass(frozen=True, slots=True)
class Crawl:
    """All reports at one moment, and what they amount to together."""

    now: float = 0.0
    reports: tuple[CrawlReport, ...] = ()
    silent: tuple[str, ...] = ()  #: processes that are configured and have no report
    unreadable: tuple[str, ...] = ()  #: for people: which files make no sense
    discovers: bool = False  #: more subreddits may be found on the way

    @property
    def fresh(self) -> tuple[CrawlReport, ...]:
        """The reports that speak of now."""
        return tuple(report for report in self.reports if self.now - report.seen_at <= _FRESH)

    @property
    def counters(self) -> dict[str, int]:
        """What all of them counted."""
        return _added(*(report.counters for report in self.reports))

    @property
    def requests(self) -> dict[str, int]:
        """All requests by HTTP status."""
        return _added(*(report.requests for report in self.reports))

    @property
    def outcomes(self) -> dict[str, int]:
        """All requests by what came of them."""
        return _added(*(report.outcomes for report in self.reports))

    @property
    def in_flight(self) -> int:
        """Requests under way now."""
        return sum(report.in_flight for report in self.fresh)

    @property
    def counted_at(self) -> float | None:
        """When the newest look at the database was."""
        return max((report.counted_at or 0.0 for report in self._counting), default=None)

    @property
    def frontier(self) -> Frontier | None:
        """What the newest look at the database saw; None when none has had one."""
        newest = max(self._counting, key=lambda report: report.counted_at or 0.0, default=None)
        return newest.frontier if newest else None

    @property
    def _counting(self) -> list[CrawlReport]:
        return [report for report in self.reports if report.frontier is not None]

    @property
    def per_hour(self) -> float | None:
        """Subreddits finished per hour, by all that are at work."""
        known = [report.per_hour for report in self.fresh if report.per_hour is not None]
        return sum(known) if known else None

    @property
    def share_done(self) -> float | None:
        """How much of what is known and due is done; None when nothing is known."""
        frontier = self.frontier
        if frontier is None or not frontier.done + frontier.to_do:
            return None
        return frontier.done / (frontier.done + frontier.to_do)

    @property
    def time_to_finish(self) -> TimeToFinish | None:
        """Divide what is to do by the pace; None when either is unknown."""
        frontier, pace = self.frontier, self.per_hour
        if frontier is None:
            return None
        unfinished = frontier.to_do + frontier.later
        may_grow = self.discovers and (frontier.growing if frontier.growing is not None else unfinished) > 0
        if not frontier.to_do:
            return TimeToFinish(0.0, at_least=frontier.later > 0)
        if not pace:
            return None
        return TimeToFinish(frontier.to_do / pace * 3600.0, at_least=may_grow or frontier.later > 0)

    @property
    def all_failing_since(self) -> float | None:
        """Since when no proxy works; None while one does, or while one that is configured has not been tried."""
        moments = [report.failing_since for report in self.fresh]
        if not moments or self.silent or None in moments:
            return None
        return max(moment for moment in moments if moment is not None)

    @property
    def all_failing(self) -> bool:
        """Whether no proxy works."""
        return self.all_failing_since is not None

    @property
    def database_away_since(self) -> float | None:
        """Since when the database is away, as the first that noticed says; None while nobody misses it."""
        moments = [report.database_away_since for report in self.fresh if report.database_away_since is not None]
        return min(moments, default=None)


def process_name(proxy: Proxy | None) -> str:
    """Name the process of a proxy, or the one that goes without."""
    return f"scraper-{proxy.name if proxy else DIRECT}"


def process_names(scraper: ScraperSection) -> tuple[str, ...]:
    """Name the processes that a configuration asks for."""
    return tuple(process_name(proxy) for proxy in scraper.proxies or (None,)) if scraper.enabled else ()


def read_crawl_of(config: Config, now: float) -> Crawl:
    """Read the reports of the processes that this configuration asks for."""
    scraper = config.scraper
    discovers = scraper.discover and scraper.max_depth > 0
    return read_crawl(config.supervisor.state_dir, now, process_names(scraper), discovers=discovers)


def crawl_report_path(state_dir: Path, name: str) -> Path:
    """Return the file of the process of this name."""
    return state_dir / "crawl" / f"{name}.json"


def write_crawl_report(state_dir: Path, report: CrawlReport) -> None:
    """Replace the file as a whole: a reader never sees half of it. Raises OSError when the disk does not take it."""
    path = crawl_report_path(state_dir, report.process)
    fresh = path.with_suffix(".json.new")
    safe = replace(report, address=_safe(report.address), last_error=_safe(report.last_error))
    text = json.dumps(asdict(safe)) + "\n"
    try:
        fresh.write_text(text, encoding="utf-8")
    except FileNotFoundError:
        path.parent.mkdir(parents=True, exist_ok=True)
        fresh.write_text(text, encoding="utf-8")
    fresh.replace(path)


def _safe(text: str | None) -> str | None:
    return redact_url(text) if text is not None else None


def read_crawl_report(state_dir: Path, name: str) -> CrawlReport | None:
    """Read what the process of this name said last; None when it said nothing, or nothing that makes sense."""
    try:
        return _parse(crawl_report_path(state_dir, name).read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        log.warning("crawl_report_broken", process_name=name, error=str(error), hint="its counts begin anew")
        return None


def read_crawl(state_dir: Path, now: float, names: Collection[str] | None = None, *, discovers: bool = False) -> Crawl:
    """Read all reports; with `names` only those of these processes, and say which of them have none."""
    paths = {path.stem: path for path in crawl_report_path(state_dir, "x").parent.glob("*.json")}
    reports, unreadable = [], []
    for name in sorted(paths) if names is None else names:
        if name not in paths:
            continue
        try:
            reports.append(_parse(paths[name].read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            unreadable.append(f"the report of {name} cannot be read just now: {error}")
    silent = tuple(name for name in names or () if name not in paths)
    return Crawl(now, tuple(reports), silent, tuple(unreadable), discovers)


_TEXTS = {"process", "proxy", "address", "proxy_state", "last_error"}
_TALLIES = {"counters", "requests", "outcomes"}


def _parse(text: str) -> CrawlReport:
    """Make a report of its text; ValueError says what is wrong. What a newer version may have added is left out."""
    content = json.loads(text)
    if not isinstance(content, dict):
        raise ValueError("it is no JSON object")  # noqa: TRY004 (one error for all that can be wrong with a file)
    values = {one.name: content[one.name] for one in fields(CrawlReport) if content.get(one.name) is not None}
    if isinstance(values.get("frontier"), dict):
        counts = {one.name: values["frontier"].get(one.name) for one in fields(Frontier)}
        values["frontier"] = Frontier(**{name: count for name, count in counts.items() if _is_number(count)})
    if not {"process", "proxy"} <= values.keys():
        raise ValueError("it does not say whose it is")
    wrong = [name for name, value in values.items() if not _fits(name, value)]
    if wrong:
        raise ValueError(f"odd value of {', '.join(wrong)}")
    return CrawlReport(**values)


def _fits(name: str, value: object) -> bool:
    if name in _TEXTS:
        return isinstance(value, str)
    if name in _TALLIES:
        return isinstance(value, dict) and all(map(_is_number, value.values()))
    return isinstance(value, Frontier) if name == "frontier" else _is_number(value)


def _is_number(value: object) -> bool:
    return isinstance(value, int | float) and math.isfinite(value)
