"""Decides readiness: whether everything configured works; if not, what is wrong, and what to do. Pure.

A cause hides its consequences: a stream whose process is parked is not also reported as silent.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from core.config.slices import MonitorConfig
from core.errors import FaultCode
from core.process import program
from supervisor.monitor.readiness import changes_reasons, cluster_reasons, scraper_reasons, stream_reasons
from supervisor.monitor.readiness.cluster_reasons import COMPLETE, Missing
from supervisor.monitor.readiness.failing_requests import Failing
from supervisor.monitor.readiness.problem_tracker import ActiveProblem
from supervisor.monitor.sampling.sample import SILENT_AFTER_S, Sample

#: The reasons for 503; `monitor_not_ready{reason}` has one line for each.
REASONS = (
    "supervisor_silent",
    "supervisor_stopping",
    "process_down",
    "process_hangs",
    "credentials_rejected",
    "stream_silent",
    "kafka_away",
    "delivery_stalled",
    "spool_growing",
    "quota_exhausted",
    "quota_blocked",
    "proxies_failing",
    "database_away",
    "crawl_stalled",
    "cluster_name_taken",
    "cluster_not_member",
    "cluster_rebalancing",
    "cluster_commit_failing",
    "shard_without_owner",
    "disk_nearly_full",
    "state_unreadable",
    "snapshot_late",
)

#: Warnings: a person should know, and nothing stops.
WARNINGS = (
    "proxy_failing",
    "database_replaced",
    "subreddit_unavailable",
    "spool_lost",
    "quota_short",
    "stream_behind",
    "gap_open",
    "audit_found_missing",
    "changes_silent",
    "changes_late",
    "changes_lost",
    "dead_letters",
    "cluster_machine_silent",
    "cluster_view_old",
)


#: What a parked process reports, by the code of its fault.
_PARKED_BECAUSE = {
    str(FaultCode.CREDENTIALS): "credentials_rejected",
    str(FaultCode.INSTANCE_TAKEN): "cluster_name_taken",
}


@dataclass(frozen=True, slots=True)
class Trend:
    """Observations over time (see supervisor.monitor.snapshot.history and flap_detector)."""

    growing: frozenset[str] = frozenset()  #: streams whose spool keeps growing
    answered_at: float | None = None  #: when the scraper last got an answer
    replacing: frozenset[str] = frozenset()  #: processes that are being replaced
    flapping: frozenset[str] = frozenset()  #: processes that run now and keep crashing
    blocked_at: float | None = None  #: when the quota last blocked all requests
    failing: Mapping[str, Failing] = field(default_factory=dict)  #: processes whose requests to Reddit all fail
    missing: Missing = COMPLETE  #: what the cluster lacks


def problems(sample: Sample, trend: Trend, config: MonitorConfig) -> list[ActiveProblem]:
    """Return the problems that are reasons for 503."""
    if not sample.status.runs:
        return [*_supervisor(sample), *_disks(sample)]
    return [
        *_supervisor(sample),
        *_processes(sample, trend, config),
        *stream_reasons.streams(sample, trend.blocked_at, trend.failing, config),
        *stream_reasons.delivery(sample, trend.growing, config),
        *stream_reasons.quota(sample, config),
        *scraper_reasons.crawl(sample, trend.answered_at, config),
        *cluster_reasons.membership(sample, config),
        *cluster_reasons.shards(sample, trend.missing),
        *_disks(sample),
        *_files(sample, config),
    ]


def warnings(sample: Sample, config: MonitorConfig, missing: Missing = COMPLETE) -> list[ActiveProblem]:
    """Return the warnings; `missing` is what a cluster lacks."""
    return [
        *stream_reasons.behind(sample, config),
        *stream_reasons.losses(sample),
        *changes_reasons.changes(sample, config),
        *scraper_reasons.single_proxies(sample),
        *scraper_reasons.replaced_database(sample),
        *cluster_reasons.others(sample, missing),
        *cluster_reasons.old_view(sample, config),
    ]


def _supervisor(sample: Sample) -> Iterator[ActiveProblem]:
    state = sample.status.supervisor["state"]
    if state == "STOPPING":
        text = "The supervisor is stopping; nothing new is captured."
        yield ActiveProblem("supervisor_stopping", "supervisor", text)
    elif not sample.status.runs:
        text = "The supervisor does not answer, so a process that dies is not replaced. See supervisor.log."
        hint = "If a signal stopped the supervisor, send it SIGCONT."
        yield ActiveProblem("supervisor_silent", "supervisor", f"{text} {hint}")


def _processes(sample: Sample, trend: Trend, config: MonitorConfig) -> Iterator[ActiveProblem]:
    if sample.status.supervisor["state"] == "STOPPING":
        return
    for process in sample.status.processes:
        name, state, age = process["name"], process["state"], process.get("state_age_s")
        since = sample.now - age if age is not None else None
        log = config.logging.log_dir / f"{name}.log"
        command = f"`{program.command()} restart CONFIG {name}`"
        if state == "FATAL":
            why = str(process.get("why") or "no reason given").rstrip(".")
            what = _PARKED_BECAUSE.get(str(process.get("code")), "process_down")
            text = f"{name} is parked: {why}. Details: {log}. Correct the cause, then run {command}; after a change"
            hint = "of the configuration or of .env send SIGHUP to the supervisor instead."
            yield ActiveProblem(what, name, f"{text} {hint}", since)
        elif name == "monitor":
            continue  # the monitor itself serves this text
        elif name in trend.replacing:
            continue  # a restart; reported when it takes longer or repeats
        elif state == "BACKOFF" or name in trend.flapping:
            yield ActiveProblem("process_down", name, f"{name} died and restarts automatically. See {log}", since)
        elif state == "STARTING":
            yield ActiveProblem("process_down", name, f"{name} is starting. If it takes long, see {log}", since)
        elif state != "RUNNING":
            yield ActiveProblem("process_down", name, f"{name} is not running ({state}). Run {command}.", since)
        elif (process.get("heartbeat_age_s") or 0.0) > SILENT_AFTER_S:
            text = f"{name} sends no heartbeat: it hangs, or a signal stopped it. Run {command}."
            yield ActiveProblem("process_hangs", name, text, sample.now - process["heartbeat_age_s"])


def _disks(sample: Sample) -> Iterator[ActiveProblem]:
    for disk in sample.disks:
        if disk.nearly_full:
            text = f"The disk of {disk.path} ({disk.what}) is nearly full. Free some space: when it is full, nothing"
            yield ActiveProblem("disk_nearly_full", disk.what, f"{text} more is captured.")


def _files(sample: Sample, config: MonitorConfig) -> Iterator[ActiveProblem]:
    if sample.unreadable:
        text = f"{'; '.join(sample.unreadable)}. Check that {config.state_dir} belongs to the user that runs Gapless."
        hint = "The process that writes a broken file examines it at its next start, and saves what can be read."
        yield ActiveProblem("state_unreadable", "state", f"{text} {hint}")
