"""Builds the page's data from one sample: small enough to send every second, and without secrets."""

from collections.abc import Callable, Iterable
from datetime import UTC, datetime
from typing import Any

from core.config.slices import MonitorConfig
from core.spool import Gap, GapState
from core.status.completeness import longest_silence
from core.status.crawl import CrawlReport
from core.status.standings import gap_rank
from supervisor.monitor.readiness.problem_tracker import Readiness, Reason
from supervisor.monitor.sampling.sample import Sample
from supervisor.monitor.snapshot.audit_view import audit_view
from supervisor.monitor.snapshot.changes_view import changes_view
from supervisor.monitor.snapshot.cluster_view import cluster_view
from supervisor.monitor.snapshot.history import History, Step

#: Most gaps per stream on the page, the worst ones; `python -m supervisor gaps --all` lists all.
_MAX_GAPS = 100

#: Most subreddits that the page names for one gap.
_MAX_NAMED = 12

#: Most steps in which the page draws time not read yet.
_MAX_STEPS = 40

#: Masks a text for display.
Mask = Callable[[str], str]


def view(sample: Sample, config: MonitorConfig, history: History, readiness: Readiness, mask: Mask) -> dict[str, Any]:
    """Describe one sample. Parts that are not configured are None."""
    scraper = bool(config.scrapers) or bool(sample.crawl.reports)
    return {
        "at": round(sample.now, 1),
        **readiness_json(readiness, mask),
        "may_restart": bool(config.token),
        "supervisor": sample.status.supervisor,
        "processes": [_process(row, mask) for row in sample.status.processes],
        "streams": {name: _stream(name, sample, config, history, mask) for name in sample.streams},
        "kafka": _kafka(sample, config, mask) if sample.streams else None,
        "quota": _quota(sample),
        "scraper": _scraper(sample, config, history, mask) if scraper else None,
        "audit": audit_view(sample.audit.report),
        "changes": None if sample.changes is None else changes_view(sample.changes, sample.now, on=config.changes),
        "cluster": None if sample.cluster is None else cluster_view(sample.cluster),
        "disks": _disks(sample),
    }


def readiness_json(readiness: Readiness, mask: Mask) -> dict[str, Any]:
    """Describe readiness as `/readyz` and the page show it."""
    return {
        "ready": readiness.ready,
        "reasons": [_reason(reason, mask) for reason in readiness.reasons],
        "warnings": [_reason(warning, mask) for warning in readiness.warnings],
    }


def _reason(reason: Reason, mask: Mask) -> dict[str, Any]:
    since = datetime.fromtimestamp(reason.since, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")
    return {"what": reason.what, "subject": reason.subject, "since": since, "text": mask(reason.text)}


def _disks(sample: Sample) -> list[dict[str, Any]]:
    """Describe the disks; directories on the same disk share an entry."""
    shared: dict[tuple[int, int], list[str]] = {}
    for disk in sample.disks:
        shared.setdefault((disk.free, disk.size), []).append(disk.what)
    low = {(disk.free, disk.size): disk.nearly_full for disk in sample.disks}
    return [
        {"what": ", ".join(names), "free": key[0], "size": key[1], "low": low[key]} for key, names in shared.items()
    ]


def _process(row: dict[str, Any], mask: Mask) -> dict[str, Any]:
    shown = (
        "name",
        "pid",
        "state",
        "restarts",
        "uptime_s",
        "last_exit",
        "rss_bytes",
        "heartbeat_age_s",
        "restart_in_s",
    )
    return {**{name: row.get(name) for name in shown}, "why": mask(str(row.get("why") or ""))}


def _stream(name: str, sample: Sample, config: MonitorConfig, history: History, mask: Mask) -> dict[str, Any]:
    flow, stream = sample.flow.streams[name], sample.streams[name]
    proof = stream.proof(sample.subreddits(config, name))
    shares, unread_s = proof.shares(sample.now), proof.unread_s(sample.now)
    captured, published = history.rates().get(name, (0.0, 0.0))
    recent = [gap for gap in reversed(stream.gaps) if gap.end is None or gap.end >= shares.start]
    shown = sorted(recent, key=gap_rank)[:_MAX_GAPS] if len(recent) > _MAX_GAPS else recent
    return {
        "on": name in config.streams,
        "captured": flow.captured,
        "published": flow.published,
        "spooled": flow.spooled,
        "bytes": stream.size_bytes,
        "lag_s": flow.lag_s,
        "delay_s": _rounded(stream.delay(sample.now), 2),
        "waiting_s": _rounded(None if stream.waiting_since is None else max(0.0, sample.now - stream.waiting_since), 1),
        "polled_s": _rounded(None if stream.polled_at is None else max(0.0, sample.now - stream.polled_at), 1),
        "captured_rate": round(captured, 2),
        "published_rate": round(published, 2),
        "gaps": flow.gaps,
        "open_gaps": flow.open_gaps,
        "states": {state.value: sum(gap.state is state for gap in stream.gaps) for state in GapState},
        "complete": shares.percent if proof.subreddits and (stream.begun is not None or stream.gaps) else None,
        "shares": {
            "proven": round(shares.proven, 6),
            **{state.value: round(share, 6) for state, share in shares.gaps.items()},
            "unread": round(shares.unread, 6),
        },
        "proven_until": _rounded(proof.proven_until, 0),
        "unread_s": _rounded(unread_s, 1),
        "old": unread_s is not None and unread_s > longest_silence(config.max_poll_interval),
        "unread": [[round(max(shares.start, at)), round(part, 4)] for at, part in proof.unread_steps(_MAX_STEPS)],
        "window": [round(shares.start), round(shares.end)],
        "ledger": [_gap(gap, shares.start, len(proof.subreddits), mask) for gap in shown],
        "absent": len(stream.absent),
    }


def _gap(gap: Gap, start: float, subreddits: int, mask: Mask) -> dict[str, Any]:
    concerned = gap.unproven or gap.subreddits
    return {
        "id": gap.id,
        "from": round(max(start, gap.start) if gap.start is not None else start),
        "to": None if gap.end is None else round(gap.end),
        "reason": mask(gap.reason),
        "state": gap.state.value,
        "found": gap.found,
        "subreddits": list(concerned[:_MAX_NAMED]),
        "concerned": len(concerned),
        "part": round(min(1.0, len(concerned) / max(1, subreddits)), 4),
    }


def _kafka(sample: Sample, config: MonitorConfig, mask: Mask) -> dict[str, Any]:
    flow = sample.flow
    return {
        "servers": mask(config.kafka_servers),
        "topic": config.kafka_topic,
        "delivery": config.kafka_delivery,
        "published": flow.published,
        "errors": flow.errors,
        "dead_letters": flow.dead_letters_kept,
        "dead_letters_resent": flow.resent,
        "dead_letters_dropped": flow.dropped,
        "waiting": sample.waiting,
        "away_since": _rounded(sample.outage_since, 1),
    }


def _quota(sample: Sample) -> dict[str, Any]:
    quota = sample.flow.quota
    return {
        "used": quota.used,
        "remaining": quota.remaining,
        "reset_s": quota.reset_s,
        "blocked_s": round(quota.blocked_s, 1),
        "refused": sum(count for (_, status), count in sample.requests.items() if status == "429"),
    }


def _scraper(sample: Sample, config: MonitorConfig, history: History, mask: Mask) -> dict[str, Any]:
    crawl = sample.crawl
    frontier, estimate = crawl.frontier, crawl.time_to_finish
    counted = ("subreddits", "users", "posts", "rules", "waiting", "leased", "later", "done")
    return {
        "proxies": [_proxy(report, sample, mask) for report in crawl.reports],
        "silent": [name.removeprefix("scraper-") for name in config.scrapers if name in crawl.silent],
        "frontier": {name: getattr(frontier, name) for name in counted} if frontier else None,
        "share_done": _rounded(crawl.share_done, 4),
        "per_hour": _rounded(crawl.per_hour, 1),
        "finish": {"seconds": round(estimate.seconds), "at_least": estimate.at_least} if estimate else None,
        "answers_rate": round(history.answers_a_second(), 2),
        "in_flight": crawl.in_flight,
        "database_away_since": _rounded(crawl.database_away_since, 1),
    }


def _proxy(report: CrawlReport, sample: Sample, mask: Mask) -> dict[str, Any]:
    return {
        "name": report.proxy,
        "address": mask(report.address) if report.address else None,
        "state": report.proxy_state if report in sample.crawl.fresh else "silent",
        "since": _rounded(report.proxy_since, 1),
        "until": _rounded(report.resting_until, 1),
        "requests": report.request_count,
        "failed": report.failed_count,
        "latency_ms": _rounded(report.mean_latency_ms, 0),
        "in_flight": report.in_flight,
        "error": mask(report.last_error) if report.last_error else None,
        "error_at": _rounded(report.last_error_at, 1),
    }


def history_json(steps: Iterable[Step]) -> dict[str, Any]:
    """Describe the last half hour in columns, sent once when a page connects."""
    return {"steps": [step_as_json(step) for step in steps]}


def step_as_json(step: Step) -> dict[str, Any]:
    """Describe one step; a stream is [captured/s, published/s, waiting, lag, delay]."""
    return {
        "at": round(step.at, 1),
        "streams": {
            name: [
                round(one.captured, 2),
                round(one.published, 2),
                one.spooled,
                _rounded(one.lag_s, 2),
                _rounded(one.delay_s, 2),
            ]
            for name, one in step.streams.items()
        },
        "answers": round(step.answers, 2),
        "changes": round(step.changes, 1),
    }


def _rounded(value: float | None, digits: int) -> float | None:
    return None if value is None else round(value, digits)
