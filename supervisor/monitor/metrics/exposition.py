"""Defines the metrics of `/metrics`: names, help texts, and the source of each number.

Counters pass `MonotonicCounters`, so none goes back: not when a broken file is replaced by an empty one, and not when
the monitor or the supervisor restarts, since they are stored on disk.
"""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from prometheus_client.exposition import generate_latest
from prometheus_client.metrics_core import Metric
from prometheus_client.registry import Collector

from core.config.slices import MonitorConfig
from supervisor.monitor.metrics import audit_metrics, changes_metrics, cluster_metrics, scraper_metrics, stream_metrics
from supervisor.monitor.metrics.metric_families import gauge, gauges, labelled_counters
from supervisor.monitor.readiness.problem_tracker import Readiness
from supervisor.monitor.readiness.reasons import REASONS, WARNINGS
from supervisor.monitor.sampling.monotonic_counters import MonotonicCounters
from supervisor.monitor.sampling.sample import Sample

#: The content type of prometheus_client's text format.
CONTENT_TYPE = "text/plain; version=0.0.4; charset=utf-8"


@dataclass(frozen=True, slots=True)
class MetricInput:
    """The inputs of the metrics."""

    sample: Sample
    config: MonitorConfig
    counters: MonotonicCounters


class _Families(Collector):
    """Finished families, in the shape of a registry for generate_latest."""

    def __init__(self, families: list[Metric]) -> None:
        self._families = families

    def collect(self) -> Iterable[Metric]:
        return self._families


def exposition(inputs: MetricInput) -> bytes:
    """Format one sample in Prometheus' text format."""
    return generate_latest(_Families(list(_sample_metrics(inputs))))


def counters_only(exposed: bytes) -> bytes:
    """Leave out everything that describes the present, such as gauges: of an old sample only counters are true."""
    kept, keeps = [], False
    for line in exposed.splitlines(keepends=True):
        if line.startswith(b"# HELP "):
            described = line
        elif line.startswith(b"# TYPE "):
            keeps = line.rstrip().endswith(b" counter")
            kept += [described, line] if keeps else []
        elif keeps:
            kept.append(line)
    return b"".join(kept)


def readiness_exposition(readiness: Readiness) -> bytes:
    """Format the readiness, for each request: a sample cannot know that it will be the last for a while."""
    return generate_latest(_Families(list(_readiness_metrics(readiness))))


def _sample_metrics(inputs: MetricInput) -> Iterator[Metric]:
    yield from _supervisor(inputs)
    yield from _processes(inputs)
    yield from stream_metrics.families(inputs.sample, inputs.config, inputs.counters)
    yield from changes_metrics.families(inputs.sample, inputs.counters)
    yield from audit_metrics.families(inputs.sample, inputs.counters)
    yield from scraper_metrics.families(inputs.sample, inputs.config, inputs.counters)
    yield from cluster_metrics.families(inputs.sample, inputs.counters)
    yield from _disks(inputs.sample)


def _readiness_metrics(readiness: Readiness) -> Iterator[Metric]:
    now = {reason.what for reason in readiness.reasons}
    known = {warning.what for warning in readiness.warnings}
    yield from gauge("monitor_ready", "1 while everything configured works, as in /readyz", int(readiness.ready))
    text = "1 while this reason holds; /readyz shows since when, and what to do"
    yield from gauges("monitor_not_ready", text, "reason", {name: int(name in now) for name in REASONS})
    text = "1 while this warning holds; it does not affect readiness"
    yield from gauges("monitor_warning", text, "warning", {name: int(name in known) for name in WARNINGS})


def _supervisor(inputs: MetricInput) -> Iterator[Metric]:
    status = inputs.sample.status
    yield from gauge("supervisor_up", "1 while the supervisor answers", int(status.runs))
    text = "Seconds since the supervisor started"
    yield from gauge("supervisor_uptime_seconds", text, status.supervisor.get("uptime_s"))


def _processes(inputs: MetricInput) -> Iterator[Metric]:
    rows = {str(row["name"]): row for row in inputs.sample.status.processes}
    up = {name: int(row["state"] == "RUNNING") for name, row in rows.items()}
    yield from gauges("process_up", "1 while the process is RUNNING, as it reports itself", "process", up)
    identity = inputs.sample.supervisor_identity
    restarts = {
        (name,): inputs.counters.follow(
            ("restarts", name), 0 if identity is None else int(row["restarts"]), identity or ""
        )
        for name, row in rows.items()
    }
    text = "Restarts of the process, after a death or on request, over all runs of the supervisor"
    yield from labelled_counters("process_restarts_total", text, ["process"], restarts)
    parked = {name: int(row["state"] == "FATAL") for name, row in rows.items()}
    yield from gauges("process_fatal", "1 while the process is parked until a person acts", "process", parked)
    up_for = {name: row.get("uptime_s") for name, row in rows.items()}
    yield from gauges("process_uptime_seconds", "Seconds since the process started", "process", up_for)
    memory = {name: row.get("rss_bytes") for name, row in rows.items()}
    yield from gauges("process_memory_bytes", "Resident memory of the process", "process", memory)
    beat = {name: row.get("heartbeat_age_s") for name, row in rows.items()}
    text = "Seconds since the last heartbeat of the process"
    yield from gauges("process_heartbeat_age_seconds", text, "process", beat)


def _disks(sample: Sample) -> Iterator[Metric]:
    free = {disk.what: disk.free for disk in sample.disks}
    yield from gauges("disk_free_bytes", "Free space on the disk of this directory", "directory", free)
    size = {disk.what: disk.size for disk in sample.disks}
    yield from gauges("disk_size_bytes", "Size of the disk of this directory", "directory", size)
