"""Metrics of the audit: its samples, and the bound of what is missing."""

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from supervisor.monitor.metrics.metric_families import Value, gauges, labelled_counters
from supervisor.monitor.sampling.monotonic_counters import MonotonicCounters
from supervisor.monitor.sampling.sample import Sample

_COUNTERS = {
    "requests": "Requests that the audit sent",
    "sampled": "Items that the audit drew at random and checked",
    "missing": "Of these, items that were missing outside the recorded gaps",
}


def families(sample: Sample, counters: MonotonicCounters) -> Iterator[Metric]:
    """Yield the metrics of the audit; a stream that was never audited has no line."""
    audit = sample.audit
    for name, text in _COUNTERS.items():
        for stream, counted in audit.counters.items():
            counters.follow((f"audit {name}", stream), counted.get(f"audit_{name}", 0))
        known = {(stream,): 0 for stream in audit.counters} | counters.family(f"audit {name}")
        yield from labelled_counters(f"gapless_audit_{name}_total", text, ["stream"], known)
    bounds: dict[str, Value] = {name: bound.at_most for name, bound in audit.report.sampled.items()}
    text = "Share of the items of the last week that is missing outside gaps at most, with 95 % confidence, 0 to 1"
    yield from gauges("reddit_missing_at_most_ratio", text, "stream", bounds)
