"""Metrics of the streams: Reddit, the spools, Kafka, the quota."""

from collections.abc import Callable, Iterator

from prometheus_client.metrics_core import Metric

from core.config.slices import MonitorConfig
from core.spool import GapState
from core.status.completeness import Shares
from core.stream_kinds import stream_names
from supervisor.monitor.metrics.metric_families import Value, counter, counters, gauge, gauges, labelled_gauges
from supervisor.monitor.sampling.monotonic_counters import MonotonicCounters
from supervisor.monitor.sampling.sample import Sample
from supervisor.monitor.sampling.stream_sample import StreamSample


def families(look: Sample, config: MonitorConfig, tally: MonotonicCounters) -> Iterator[Metric]:
    """Yield the metrics of the streams."""
    yield from _captured(look, tally)
    yield from _reading(look, config)
    yield from _losses(look, tally)
    yield from _proof(look, config)
    yield from _requests(look, config, tally)
    yield from _quota(look)
    yield from _spools(look)
    yield from _kafka(look, tally)


def _captured(look: Sample, tally: MonotonicCounters) -> Iterator[Metric]:
    for stream in stream_names():
        count = look.streams.get(stream, StreamSample()).tallied(tally, stream, "captured")
        text = f"{stream.capitalize()} captured from Reddit into the spool, each once"
        yield from counter(f"reddit_{stream}_total", text, count)
    for name, text in (
        ("late", "Items that surfaced below newer ones and were found by a deeper look"),
        ("rejected", "Entries of a listing that were no item at all; kept in the spool"),
    ):
        counts = {(stream,): each.tallied(tally, stream, name) for stream, each in look.streams.items()}
        yield from counters(f"reddit_{name}_items_total", text, ["stream"], counts)


def _each(look: Sample, value: Callable[[StreamSample], Value]) -> dict[str, Value]:
    return {name: value(stream) for name, stream in look.streams.items()}


def _reading(look: Sample, config: MonitorConfig) -> Iterator[Metric]:
    lag: dict[str, Value] = {name: flow.lag_s for name, flow in look.flow.streams.items()}
    text = "Seconds from an item's creation at Reddit to its capture, median of the newest"
    yield from gauges("reddit_capture_lag_seconds", text, "stream", lag)
    text = "Seconds since the stream last read its listing as far as needed; noted every 15 s in a quiet stream"
    yield from gauges(
        "reddit_last_poll_age_seconds", text, "stream", _each(look, lambda one: _age(look, one.polled_at))
    )
    text = "Seconds since the newest item was captured; grows while a subreddit is quiet"
    ages = _each(look, lambda one: _age(look, one.captured_at))
    yield from gauges("reddit_last_capture_age_seconds", text, "stream", ages)
    text = "Configured subreddits that cannot be read now: private, banned, or set aside for what Reddit answers"
    absent = {name: len(look.streams[name].absent) for name in config.streams if name in look.streams}
    yield from gauges("reddit_subreddits_unavailable", text, "stream", dict(absent))


def _age(look: Sample, moment: float | None) -> float | None:
    return None if moment is None else max(0.0, look.now - moment)


def _losses(look: Sample, tally: MonotonicCounters) -> Iterator[Metric]:
    for name, each in look.streams.items():
        each.tallied(tally, name, "gaps")
    text = "Intervals that could not be proven complete, repaired ones too"
    yield from counter("reddit_gaps_total", text, sum(tally.family("gaps").values()))
    open_gaps: dict[str, Value] = {name: flow.open_gaps for name, flow in look.flow.streams.items()}
    text = "Gaps whose items may still be read; those of unavailable subreddits have no end yet"
    yield from gauges("reddit_gaps_open", text, "stream", open_gaps)
    counts = {
        (name, state.value): sum(gap.state is state for gap in each.gaps)
        for name, each in look.streams.items()
        for state in GapState
    }
    text = "Gaps in the ledger, by state: open, repaired, filled, lost"
    yield from labelled_gauges("reddit_ledger_gaps", text, ["stream", "state"], counts)


def _proof(look: Sample, config: MonitorConfig) -> Iterator[Metric]:
    """Yield the metrics of what is proven."""
    proofs = {name: look.streams[name].proof(config.subreddits) for name in config.streams if name in look.streams}
    text = "created_utc up to which every configured subreddit is proven or in a gap; none while one never was"
    moments: dict[str, Value] = {name: proof.proven_until for name, proof in proofs.items()}
    yield from gauges("reddit_proven_until_seconds", text, "stream", moments)
    shares = {name: proof.shares(look.now) for name, proof in proofs.items()}
    text = "Proven share of the last 24 h, 0 to 1; time that is not read yet is not complete"
    ratios: dict[str, Value] = {name: share.completeness for name, share in shares.items()}
    yield from gauges("reddit_completeness_ratio", text, "stream", ratios)
    text = "Shares of the last 24 h, all subreddits: proven, not read yet, or in a gap that is open, filled or lost"
    parts = {(name, state): value for name, share in shares.items() for state, value in _parts(share).items()}
    yield from labelled_gauges("reddit_time_ratio", text, ["stream", "state"], parts)
    offsets: dict[str, Value] = {name: proof.clock_offset for name, proof in proofs.items()}
    text = "Seconds by which Reddit's clock is ahead of ours; 0 while that is not known"
    yield from gauges("reddit_clock_offset_seconds", text, "stream", offsets)


def _parts(shares: Shares) -> dict[str, float]:
    in_gaps = {state.value: shares.gaps.get(state, 0.0) for state in GapState if state is not GapState.REPAIRED}
    return {"proven": shares.completeness, **in_gaps, "unread": shares.unread}


def _requests(look: Sample, config: MonitorConfig, tally: MonotonicCounters) -> Iterator[Metric]:
    counts = dict(look.requests)
    if not config.crawls_with_token:  # such requests have no quota; their sender counts them
        names = config.scrapers
        for report in look.crawl.reports:
            if report.process in names:
                counts |= {(report.process, status): count for status, count in report.requests.items()}
    for key, count in counts.items():
        tally.follow(("requests", *key), count)
    askers = (*config.streams, *config.scrapers)
    followed = {(process, "200"): 0 for process in askers} | tally.family("requests")
    text = "Requests to Reddit, by who sent them and the HTTP status of the answer, or what came instead of one"
    yield from counters("reddit_requests_total", text, ["process", "status"], followed)
    refused = sum(count for (_, status), count in followed.items() if status == "429")
    yield from counter("reddit_rate_limit_hits_total", "Requests that Reddit answered with 429", refused)


def _quota(look: Sample) -> Iterator[Metric]:
    quota = look.flow.quota
    text = "Requests that are left in the quota's window of ten minutes"
    yield from gauge("reddit_quota_remaining", text, quota.remaining)
    yield from gauge("reddit_quota_used", "Requests of this window that were sent, by all processes", quota.used)
    text = "Seconds until the quota's next window; 0 while none has begun"
    yield from gauge("reddit_quota_reset_seconds", text, quota.reset_s)
    text = "Seconds that everybody still waits because Reddit answered 429"
    yield from gauge("reddit_quota_blocked_seconds", text, quota.blocked_s)


def _spools(look: Sample) -> Iterator[Metric]:
    text = "Records that are captured and not yet acknowledged by Kafka, all streams"
    yield from gauge("reddit_queue_size", text, look.waiting)
    spooled: dict[str, Value] = {name: flow.spooled for name, flow in look.flow.streams.items()}
    text = "Records that are captured and not yet acknowledged by Kafka"
    yield from gauges("spool_records", text, "stream", spooled)
    text = "What the spool takes of the disk, acknowledged records that are not yet dropped included"
    yield from gauges("spool_bytes", text, "stream", _each(look, lambda one: one.size_bytes))
    text = "How long the oldest unacknowledged record waits; 0 while none does"
    ages = _each(look, lambda one: _age(look, one.waiting_since) or 0.0)
    yield from gauges("spool_oldest_age_seconds", text, "stream", ages)


def _kafka(look: Sample, tally: MonotonicCounters) -> Iterator[Metric]:
    flow = look.flow
    text = "Records that Kafka acknowledged"
    yield from counter("kafka_published_total", text, tally.follow(("published",), flow.published))
    text = "Deliveries that failed, and outages; records are sent again, so none of it is a loss"
    yield from counter("kafka_errors_total", text, tally.follow(("errors",), flow.errors))
    text = "Records that Kafka refused for good, kept in publisher.db"
    yield from counter("kafka_dead_letters_total", text, tally.follow(("dead_letters",), flow.dead_letters))
    for name, number, text in (
        ("resent", flow.resent, "Dead letters that arrived after all, sent again with `dead-letters resend`"),
        ("dropped", flow.dropped, "Dead letters that somebody dropped with `dead-letters drop`"),
    ):
        yield from counter(f"kafka_dead_letters_{name}_total", text, tally.follow((f"dead_letters_{name}",), number))
    text = "0 while records wait and Kafka acknowledges none of them"
    yield from gauge("kafka_up", text, int(look.outage_since is None))
    delays = _each(look, lambda one: one.delay(look.now))
    text = "Seconds from creation at Reddit to Kafka, of the newest record there, or of the one that waits the longest"
    yield from gauges("kafka_delivery_delay_seconds", text, "stream", delays)
