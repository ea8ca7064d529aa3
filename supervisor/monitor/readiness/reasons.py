"""Decides readiness: whether everything that is configured flows; if not, what does not, and what to do. Pure.

A cause hides its consequences: a stream whose process is parked is not also reported as silent.
"""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field

from core.config.slices import MonitorConfig
from core.errors import FaultCode
from core.process import program
from supervisor.monitor.readiness import scraper_reasons, stream_reasons
from supervisor.monitor.readiness.failing_requests import Failing
from supervisor.monitor.readiness.problem_tracker import ActiveProblem
from supervisor.monitor.sampling.sample import SILENT_AFTER, Sample

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
    "stream_behind",
    "gap_open",
    "dead_letters",
)


@dataclass(frozen=True, slots=True)
class Trend:
    """Observations over time (see supervisor.monitor.snapshot.history and flap_detector)."""

    growing: frozenset[str] = frozenset()  #: streams whose spool keeps growing
    answered_at: float | None = None  #: when the scraper last got an answer
    brief: frozenset[str] = frozenset()  #: processes that are being replaced
    unsteady: frozenset[str] = frozenset()  #: processes that run now and keep crashing
    waited_until: float | None = None  #: when the quota last blocked all requests
    failing: Mapping[str, Failing] = field(default_factory=dict)  #: processes whose requests to Reddit all fail


def troubles(look: Sample, trend: Trend, config: MonitorConfig) -> list[ActiveProblem]:
    """Return the reasons why something that is configured does not flow."""
    if not look.status.runs:
        return [*_supervisor(look), *_disks(look)]
    return [
        *_supervisor(look),
        *_processes(look, trend, config),
        *stream_reasons.streams(look, trend.waited_until, trend.failing, config),
        *stream_reasons.delivery(look, trend.growing, config),
        *stream_reasons.quota(look, config),
        *scraper_reasons.crawl(look, trend.answered_at, config),
        *_disks(look),
        *_files(look, config),
    ]


def warnings(look: Sample, config: MonitorConfig) -> list[ActiveProblem]:
    """Return the warnings."""
    return [
        *stream_reasons.behind(look, config),
        *stream_reasons.losses(look),
        *scraper_reasons.single_proxies(look),
        *scraper_reasons.replaced_database(look),
    ]


def _supervisor(look: Sample) -> Iterator[ActiveProblem]:
    state = look.status.supervisor["state"]
    if state == "STOPPING":
        yield ActiveProblem(
            "supervisor_stopping", "supervisor", "The supervisor was asked to stop; nothing new is taken in."
        )
    elif not look.status.runs:
        text = "The supervisor does not answer, so no process that dies is replaced. See supervisor.log; if it was"
        yield ActiveProblem("supervisor_silent", "supervisor", f"{text} stopped by a signal, send it SIGCONT.")


def _processes(look: Sample, trend: Trend, config: MonitorConfig) -> Iterator[ActiveProblem]:
    if look.status.supervisor["state"] == "STOPPING":
        return
    for process in look.status.processes:
        name, state, age = process["name"], process["state"], process.get("state_age_s")
        since = look.now - age if age is not None else None
        log = config.logging.log_dir / f"{name}.log"
        again = f"{program.command()} restart CONFIG {name}"
        if state == "FATAL":
            why = str(process.get("why") or "it gave no reason").rstrip(".")
            what = "credentials_rejected" if process.get("code") == FaultCode.CREDENTIALS else "process_down"
            text = f"{name} is parked: {why}. More is in {log}. When that is mended: {again}; after a change of the"
            yield ActiveProblem(
                what, name, f"{text} configuration or of .env send SIGHUP to the supervisor instead.", since
            )
        elif name == "monitor":
            continue  # the monitor itself serves this text
        elif name in trend.brief:
            continue  # a restart; reported when it takes longer or repeats
        elif state == "BACKOFF" or name in trend.unsteady:
            yield ActiveProblem(
                "process_down", name, f"{name} died and is started again by itself; {log} says why.", since
            )
        elif state == "STARTING":
            yield ActiveProblem("process_down", name, f"{name} is starting. Should that take long: {log}", since)
        elif state != "RUNNING":
            yield ActiveProblem("process_down", name, f"{name} does not run ({state}): {again}", since)
        elif (process.get("heartbeat_age_s") or 0.0) > SILENT_AFTER:
            text = f"{name} runs, but gives no sign of life: it hangs, or was stopped by a signal. {again}"
            yield ActiveProblem("process_hangs", name, text, look.now - process["heartbeat_age_s"])


def _disks(look: Sample) -> Iterator[ActiveProblem]:
    for disk in look.disks:
        if disk.nearly_full:
            text = f"The disk below {disk.path} ({disk.what}) is nearly full. Free some space: when nothing can be"
            yield ActiveProblem("disk_nearly_full", disk.what, f"{text} written any more, nothing more is taken in.")


def _files(look: Sample, config: MonitorConfig) -> Iterator[ActiveProblem]:
    if look.unreadable:
        text = f"{'; '.join(look.unreadable)}. Does {config.state_dir} belong to the user who runs this? A"
        hint = (
            "file that is broken is examined, and what can be read is saved, when the process that writes it restarts."
        )
        yield ActiveProblem("state_unreadable", "state", f"{text} {hint}")
