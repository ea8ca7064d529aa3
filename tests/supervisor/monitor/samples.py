"""Samples for tests: everything works; helpers change one part."""

from dataclasses import replace
from pathlib import Path
from typing import Any

from core.cluster.view import ClusterView
from core.config import Config, Proxy
from core.config.sections import KafkaSection, RedditSection, ScraperSection, SupervisorSection
from core.config.slices import monitor_config
from core.reddit.quota import Quota
from core.spool import Gap, GapState
from core.status.audit_bound import Outcomes, StreamObservations
from core.status.audit_bound import report as audit_report
from core.status.audit_status import AuditStatus
from core.status.changes_status import ChangesStatus
from core.status.cluster_status import ClusterStatus
from core.status.crawl import HEALTHY, Crawl, CrawlReport, Frontier
from core.status.stream_stats import Flow, QuotaFlow, StreamFlow
from core.status.system_status import Status
from supervisor.monitor.sampling.disk import Disk
from supervisor.monitor.sampling.sample import Sample
from supervisor.monitor.sampling.stream_sample import StreamSample
from tests.support.clusters import SECTION, cluster_view

NOON = 1_800_000_000.0
GIB = 2**30

CONFIGURATION = Config(
    reddit=RedditSection(subreddits=("Bitcoin", "ethereum"), client_id="id"),
    kafka=KafkaSection(bootstrap_servers="kafka.example:9092"),
    scraper=ScraperSection(proxies=(Proxy("a", "http://u:p@127.0.0.1:1"), Proxy("b", "socks5://127.0.0.1:2"))),
    supervisor=SupervisorSection(state_dir=Path("state"), log_dir=Path("logs")),
)
CONFIG = monitor_config(CONFIGURATION)
CLUSTER_CONFIG = monitor_config(replace(CONFIGURATION, cluster=SECTION))

NAMES = ("publisher", "submissions", "comments", "scraper-a", "scraper-b", "monitor")


def process(name: str, state: str = "RUNNING", **more: Any) -> dict[str, Any]:
    row = {
        "name": name,
        "pid": 4711 if state in {"RUNNING", "STARTING", "STOPPING"} else None,
        "state": state,
        "restarts": 0,
        "uptime_s": 300.0,
        "last_exit": None,
        "rss_bytes": 40_000_000,
        "heartbeat_age_s": 0.3,
        "restart_in_s": None,
        "why": "",
    }
    return {**row, **more}


def gap(**more: Any) -> Gap:
    known = {
        "stream": "comments",
        "subreddits": ("Bitcoin",),
        "start": NOON - 3600,
        "end": NOON - 3000,
        "reason": "the listing ended before it met what was proven",
        "recorded_at": NOON - 2900,
        "epoch": 2,
        "unproven": ("Bitcoin",),
    }
    return Gap(**{**known, **more})


HEALTHY_STREAM = StreamSample(
    counters={"captured": 1000, "late": 3},
    spool_id="spool",
    begun=NOON - 7200,
    proven={"bitcoin": NOON, "ethereum": NOON},
    polled_at=NOON - 4,
    captured_at=NOON - 4,
    delivered_at=NOON - 3,
    delay_s=1.2,
    gaps=(gap(state=GapState.REPAIRED, closed_at=NOON - 2800),),
    size_bytes=700_000,
)


AUDITED = AuditStatus(
    audit_report(
        {
            "submissions": StreamObservations({("ids", Outcomes(1)): 500}, {}, NOON - 90_000, NOON - 4000),
            "comments": StreamObservations(
                {("trees", Outcomes(4)): 300, ("trees", Outcomes(3, 0, 1)): 2}, {}, NOON - 90_000, NOON - 4000
            ),
        }
    ),
    {
        "submissions": {"audit_requests": 40, "audit_sampled": 500, "audit_missing": 0},
        "comments": {"audit_requests": 310, "audit_sampled": 1208, "audit_missing": 0},
    },
)


CHANGED = ChangesStatus(
    checked={"submissions": 300, "comments": 4200},
    changes={"edit": 12, "score": 900, "removed": 7, "deleted": 30, "restored": 1, "gone": 2},
    on_time=4400,
    late=100,
    on_time_1h=390,
    late_1h=8,
    skipped=5,
    duties={"submissions": 400, "comments": 9000},
    overdue=2,
    oldest_due=NOON - 90,
    at=NOON - 3,
)


def report(name: str, **more: Any) -> CrawlReport:
    known = {
        "process": f"scraper-{name}",
        "proxy": name,
        "address": f"http://u:***@{name}.example:80",
        "seen_at": NOON - 0.5,
        "counters": {"subreddits": 12, "users": 80, "posts": 3000, "rules": 60},
        "requests": {"200": 500, "404": 20},
        "outcomes": {"ok": 500, "refused": 20, "transport_error": 2},
        "proxy_state": HEALTHY,
        "mean_latency_ms": 210.0,
        "in_flight": 7,
        "frontier": Frontier(subreddits=12, users=80, posts=3000, rules=60, waiting=30, leased=2, done=12),
        "counted_at": NOON - 2,
        "per_hour": 600.0,
    }
    return CrawlReport(**{**known, **more})


def healthy() -> Sample:
    """Return a sample in which everything works."""
    flow = Flow(
        QuotaFlow(300, 700, 200.0),
        {
            "submissions": StreamFlow(100, 98, 2, 1, 0, 3.0, 0, NOON, 1.0, 0.0),
            "comments": StreamFlow(1000, 990, 10, 2, 0, 1.5, 0, NOON, 1.0, 0.0),
        },
        published=1088,
        errors=3,
    )
    return Sample(
        NOON,
        Status(
            {"pid": 1, "state": "RUNNING", "uptime_s": 400.0},
            [process(name) for name in NAMES],
            flow,
            crawl=Crawl(NOON, (report("a"), report("b"))),
            audit=AUDITED,
            changes=CHANGED,
            now=NOON,
            follows_changes=True,
        ),
        {
            "submissions": HEALTHY_STREAM,
            "comments": replace(HEALTHY_STREAM, gaps=HEALTHY_STREAM.gaps * 2, waiting_since=NOON - 1),
        },
        quota=Quota(limit=1000.0, used=300.0, window_start=NOON - 400, reset_at=NOON + 200),
        requests={("comments", "200"): 900, ("comments", "429"): 2, ("submissions", "none"): 1},
        disks=(Disk("state", "state", 50 * GIB, 100 * GIB),),
    )


def clustered(view: ClusterView | None = None, **more: Any) -> Sample:
    """Return a healthy sample of a machine of a cluster that captures both subreddits."""
    assert CLUSTER_CONFIG.cluster is not None
    owned, names = frozenset(range(0, 16, 3)), CLUSTER_CONFIG.subreddits
    known = ClusterStatus(CLUSTER_CONFIG.cluster, NOON, owned, names, view or cluster_view(NOON), frozenset(range(16)))
    sample = healthy()
    return replace(sample, status=replace(sample.status, cluster=replace(known, **more)))


def with_process(sample: Sample, name: str, state: str = "RUNNING", **more: Any) -> Sample:
    rows = [process(name, state, **more) if row["name"] == name else row for row in sample.status.processes]
    return replace(sample, status=replace(sample.status, processes=rows))


def with_changes(sample: Sample, **more: Any) -> Sample:
    """Return the sample with a running process `changes`, and other figures of it."""
    processes = [*sample.status.processes, process("changes")]
    changed = replace(CHANGED, **more)
    return replace(sample, status=replace(sample.status, processes=processes, changes=changed))


def with_supervisor(sample: Sample, state: str) -> Sample:
    return replace(sample, status=replace(sample.status, supervisor={"pid": 1, "state": state, "uptime_s": 400.0}))


def with_stream(sample: Sample, name: str, **more: Any) -> Sample:
    return replace(sample, streams={**sample.streams, name: replace(sample.streams[name], **more)})


def with_quota(sample: Sample, flow: QuotaFlow, **more: Any) -> Sample:
    assert sample.quota is not None
    changed = replace(sample.flow, quota=flow)
    return replace(sample, status=replace(sample.status, flow=changed), quota=replace(sample.quota, **more))


def with_flow(sample: Sample, name: str, **more: Any) -> Sample:
    streams = {**sample.flow.streams, name: replace(sample.flow.streams[name], **more)}
    return replace(sample, status=replace(sample.status, flow=replace(sample.flow, streams=streams)))


def with_reports(sample: Sample, *reports: CrawlReport, silent: tuple[str, ...] = ()) -> Sample:
    return replace(sample, status=replace(sample.status, crawl=Crawl(NOON, reports, silent)))
