"""Metrics of the streams: Reddit, the spools, Kafka, the quota."""

from collections.abc import Callable, Iterator

from prometheus_client.metrics_core import Metric

from core.config.slices import MonitorConfig
from core.spool import GapState
from core.status.completeness import Shares
from core.stream_kinds import stream_names
from supervisor.monitor.metrics.metric_families import Value, counter, gauge, gauges, labelled_counters, labelled_gauges
from supervisor.monitor.sampling.monotonic_counters import MonotonicCounters
from supervisor.monitor.sampling.sample import Sample
from supervisor.monitor.sampling.stream_sample import StreamSample


def families(sample: Sample, config: MonitorConfig, counters: MonotonicCounters) -> Iterator[Metric]:
    """Yield the metrics of the streams."""
    yield from _captured(sample, counters)
    yield from _reading(sample, config)
    yield from _losses(sample, counters)
    yield from _proof(sample, config)
    yield from _requests(sample, config, counters)
    yield from _quota(sample)
    yield from _spools(sample)
    yield from _kafka(sample, counters)


def _captured(sample: Sample, counters: MonotonicCounters) -> Iterator[Metric]:
    for stream in stream_names():
        count = sample.streams.get(stream, StreamSample()).monotonic(counters, stream, "captured")
        text = f"{stream.capitalize()} captured from Reddit into the spool, each once"
        yield from counter(f"reddit_{stream}_total", text, count)
    for name, text in (
        ("late", "Items that appeared below newer ones and were found by a scan for late items"),
        ("rejected", "Entries of a listing that were not items; the newest are kept in the spool"),
    ):
        counts = {(stream,): each.monotonic(counters, stream, name) for stream, each in sample.streams.items()}
        yield from labelled_counters(f"reddit_{name}_items_total", text, ["stream"], counts)


def _each(sample: Sample, value: Callable[[StreamSample], Value]) -> dict[str, Value]:
    return {name: value(stream) for name, stream in sample.streams.items()}


def _reading(sample: Sample, config: MonitorConfig) -> Iterator[Metric]:
    lag: dict[str, Value] = {name: flow.lag_s for name, flow in sample.flow.streams.items()}
    text = "Seconds from an item's creation at Reddit to its capture, median of the newest"
    yield from gauges("reddit_capture_lag_seconds", text, "stream", lag)
    # a stream whose subreddits are all on other machines reads nothing on purpose
    reads = {name: one for name, one in sample.streams.items() if sample.reads(config, name)}
    text = "Seconds since the stream last read its listing completely; recorded every 15 s in a quiet stream"
    polled: dict[str, Value] = {name: _age(sample, one.polled_at) for name, one in reads.items()}
    yield from gauges("reddit_last_poll_age_seconds", text, "stream", polled)
    text = "Seconds since the newest item was captured; grows while a subreddit is quiet"
    ages: dict[str, Value] = {name: _age(sample, one.captured_at) for name, one in reads.items()}
    yield from gauges("reddit_last_capture_age_seconds", text, "stream", ages)
    text = "Configured subreddits that cannot be read now: private, banned, or set aside after errors"
    absent = {name: len(sample.streams[name].absent) for name in config.streams if name in sample.streams}
    yield from gauges("reddit_subreddits_unavailable", text, "stream", dict(absent))
    text = "Requests a minute that the quota lacks to poll all groups of subreddits in time; 0: it suffices"
    yield from gauges("reddit_requests_lacking_per_minute", text, "stream", _each(sample, _lacking))


def _lacking(stream: StreamSample) -> float:
    return 0.0 if stream.shortage is None else round(stream.shortage.needed - stream.shortage.allowed, 1)


def _age(sample: Sample, moment: float | None) -> float | None:
    return None if moment is None else max(0.0, sample.now - moment)


def _losses(sample: Sample, counters: MonotonicCounters) -> Iterator[Metric]:
    for name, each in sample.streams.items():
        each.monotonic(counters, name, "gaps")
    text = "Intervals that could not be proven complete, repaired ones too"
    yield from counter("reddit_gaps_total", text, sum(counters.family("gaps").values()))
    open_gaps: dict[str, Value] = {name: flow.open_gaps for name, flow in sample.flow.streams.items()}
    text = "Gaps that may still be repaired; those of unavailable subreddits have no end yet"
    yield from gauges("reddit_gaps_open", text, "stream", open_gaps)
    counts = {
        (name, state.value): sum(gap.state is state for gap in each.gaps)
        for name, each in sample.streams.items()
        for state in GapState
    }
    text = "Gaps in the ledger, by state: open, repaired, filled, lost"
    yield from labelled_gauges("reddit_ledger_gaps", text, ["stream", "state"], counts)


def _proof(sample: Sample, config: MonitorConfig) -> Iterator[Metric]:
    """Yield the metrics of what is proven."""
    if sample.stands_by:
        return
    streams = [name for name in config.streams if name in sample.streams and sample.reads(config, name)]
    proofs = {name: sample.streams[name].proof(sample.subreddits(config, name)) for name in streams}
    text = "created_utc up to which every configured subreddit is proven or in a gap; absent while one never was"
    moments: dict[str, Value] = {name: proof.proven_until for name, proof in proofs.items()}
    yield from gauges("reddit_proven_until_seconds", text, "stream", moments)
    shares = {name: proof.shares(sample.now) for name, proof in proofs.items()}
    text = "Proven share of the last 24 h, 0 to 1; time not read yet is not complete"
    ratios: dict[str, Value] = {name: share.completeness for name, share in shares.items()}
    yield from gauges("reddit_completeness_ratio", text, "stream", ratios)
    text = "Shares of the last 24 h, all subreddits: proven, not read yet, or in a gap that is open, filled or lost"
    parts = {(name, state): value for name, share in shares.items() for state, value in _parts(share).items()}
    yield from labelled_gauges("reddit_time_ratio", text, ["stream", "state"], parts)
    offsets: dict[str, Value] = {name: proof.clock_offset for name, proof in proofs.items()}
    text = "Seconds by which Reddit's clock is ahead of ours; 0 while not known"
    yield from gauges("reddit_clock_offset_seconds", text, "stream", offsets)


def _parts(shares: Shares) -> dict[str, float]:
    in_gaps = {state.value: shares.gaps.get(state, 0.0) for state in GapState if state is not GapState.REPAIRED}
    return {"proven": shares.completeness, **in_gaps, "unread": shares.unread}


def _requests(sample: Sample, config: MonitorConfig, counters: MonotonicCounters) -> Iterator[Metric]:
    counts = dict(sample.requests)
    if not config.crawls_with_token:  # such requests have no quota; their sender counts them
        names = config.scrapers
        for report in sample.crawl.reports:
            if report.process in names:
                counts |= {(report.process, status): count for status, count in report.requests.items()}
    for key, count in counts.items():
        counters.follow(("requests", *key), count)
    senders = (*config.streams, *config.scrapers)
    followed = {(process, "200"): 0 for process in senders} | counters.family("requests")
    text = "Requests to Reddit by process and HTTP status, or by the kind of failure when no answer came"
    yield from labelled_counters("reddit_requests_total", text, ["process", "status"], followed)
    refused = sum(count for (_, status), count in followed.items() if status == "429")
    yield from counter("reddit_rate_limit_hits_total", "Requests that Reddit answered with 429", refused)


def _quota(sample: Sample) -> Iterator[Metric]:
    quota = sample.flow.quota
    text = "Requests left in the quota's window of ten minutes"
    yield from gauge("reddit_quota_remaining", text, quota.remaining)
    yield from gauge("reddit_quota_used", "Requests sent in this window by all processes", quota.used)
    text = "Seconds until the next window of the quota; 0 while none has begun"
    yield from gauge("reddit_quota_reset_seconds", text, quota.reset_s)
    text = "Seconds that all processes still wait because Reddit answered 429"
    yield from gauge("reddit_quota_blocked_seconds", text, quota.blocked_s)


def _spools(sample: Sample) -> Iterator[Metric]:
    text = "Records captured and not yet acknowledged by Kafka, all streams"
    yield from gauge("reddit_queue_size", text, sample.waiting)
    spooled: dict[str, Value] = {name: flow.spooled for name, flow in sample.flow.streams.items()}
    if sample.changes is not None:
        spooled["changes"] = sample.changes.spooled
    text = "Records captured and not yet acknowledged by Kafka"
    yield from gauges("spool_records", text, "stream", spooled)
    text = "Size of the spool on disk, including acknowledged records that are not deleted yet"
    yield from gauges("spool_bytes", text, "stream", _each(sample, lambda one: one.size_bytes))
    text = "Seconds that the oldest unacknowledged record has waited; 0 while none waits"
    ages = _each(sample, lambda one: _age(sample, one.waiting_since) or 0.0)
    yield from gauges("spool_oldest_age_seconds", text, "stream", ages)


def _kafka(sample: Sample, counters: MonotonicCounters) -> Iterator[Metric]:
    flow = sample.flow
    text = "Records that Kafka acknowledged, each once, however many topics have it"
    yield from counter("kafka_published_total", text, counters.follow(("published",), flow.published))
    latest = {(kind,): counters.follow(("latest", kind), flow.latest.get(kind, 0)) for kind in ("record", "tombstone")}
    text = "Newest states of items and tombstones that the topic `latest` acknowledged; none without such a topic"
    yield from labelled_counters("kafka_latest_total", text, ["kind"], latest)
    text = "Failed deliveries and outages; the records are sent again, so none is lost"
    yield from counter("kafka_errors_total", text, counters.follow(("errors",), flow.errors))
    text = "Acknowledged records that Kafka takes only without `reddit`, with which they are too large"
    yield from counter("kafka_payloads_dropped_total", text, counters.follow(("payloads",), flow.payloads_dropped))
    text = "Records that Kafka refused permanently; kept in publisher.db"
    yield from counter("kafka_dead_letters_total", text, counters.follow(("dead_letters",), flow.dead_letters))
    for name, number, text in (
        ("resent", flow.resent, "Dead letters that were delivered later with `dead-letters resend`"),
        ("dropped", flow.dropped, "Dead letters that a user dropped with `dead-letters drop`"),
    ):
        yield from counter(f"kafka_dead_letters_{name}_total", text, counters.follow((f"dead_letters_{name}",), number))
    text = "0 while records wait and Kafka acknowledges none of them"
    yield from gauge("kafka_up", text, int(sample.outage_since is None))
    delays = _each(sample, lambda one: one.delay(sample.now))
    text = "Seconds from creation at Reddit to Kafka: of the newest delivered record, or of the one that waits longest"
    yield from gauges("kafka_delivery_delay_seconds", text, "stream", delays)
