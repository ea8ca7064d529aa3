"""Metrics of the later changes: looks at delivered items, what they found, and what waits."""

from collections.abc import Iterator

from prometheus_client.metrics_core import Metric

from supervisor.monitor.metrics.metric_families import counter, gauge, gauges, labelled_counters
from supervisor.monitor.sampling.monotonic_counters import MonotonicCounters
from supervisor.monitor.sampling.sample import Sample


def families(sample: Sample, counters: MonotonicCounters) -> Iterator[Metric]:
    """Yield the metrics of the later changes; none where the process never ran and is not configured."""
    changes = sample.changes
    if changes is None:
        return
    events = {(op,): counters.follow(("changes", op), number) for op, number in changes.changes.items()}
    text = "Changes of delivered items that were found, by kind; each has an event in the topic of changes"
    yield from labelled_counters("reddit_changes_total", text, ["op"], events)
    looks = {(stream,): counters.follow(("looks", stream), number) for stream, number in changes.checked.items()}
    text = "Looks at delivered items: each asked Reddit for one item by its name"
    yield from labelled_counters("reddit_change_looks_total", text, ["stream"], looks)
    for name, number, text in (
        ("late", changes.late, "Looks that were made, but later than the time that counts as on time"),
        ("skipped", changes.skipped, "Looks that were replaced by a later one, since both were overdue"),
        ("dropped", changes.dropped, "Items that are not looked at any more, although ages of the schedule are left"),
    ):
        yield from counter(f"reddit_change_looks_{name}_total", text, counters.follow((f"looks {name}",), number))
    text = "Delivered records that left their spool before they were read: these items are never looked at"
    unfollowed = counters.follow(("changes unfollowed",), changes.unfollowed)
    yield from counter("reddit_change_unfollowed_total", text, unfollowed)
    text = "Losses of changes.db: items delivered before are not looked at any more"
    yield from counter("reddit_change_files_lost_total", text, counters.follow(("changes lost",), changes.files_lost))
    yield from _now(sample)


def _now(sample: Sample) -> Iterator[Metric]:
    changes = sample.changes
    if changes is None or not sample.status.follows_changes:
        return
    text = "Share of the looks of the last hour that were on time, 0 to 1; what is overdue now counts as late"
    yield from gauge("reddit_change_looks_on_time_ratio", text, changes.share_on_time_1h)
    text = "Seconds for which the oldest look has been due; 0 while none is"
    overdue = None if changes.at is None else round(changes.oldest_overdue_s(sample.now), 1)
    yield from gauge("reddit_change_oldest_overdue_seconds", text, overdue)
    text = "Seconds since the process last wrote its figures; it does so every five"
    age = None if changes.at is None else round(max(0.0, sample.now - changes.at), 1)
    yield from gauge("reddit_change_status_age_seconds", text, age)
    text = "Delivered items that wait for a look"
    yield from gauges("reddit_change_duties", text, "stream", dict(changes.duties))
