"""Readiness rules for the streams: into the spools, and from there into Kafka. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from core.config.slices import MonitorConfig
from core.process import program
from core.spool import Gap, GapState
from core.status import completeness
from supervisor.monitor.readiness.failing_requests import Failing
from supervisor.monitor.readiness.problem_tracker import ActiveProblem
from supervisor.monitor.sampling.sample import Sample
from supervisor.monitor.sampling.stream_sample import StreamSample

#: Seconds that records may wait before something is wrong.
_STALLED_AFTER_S = 20.0

#: A spool file that was lost and saved completely is reported for this time, seconds.
_REPAIRED_SHOWN_S = 3600.0
#: Most subreddits in a text, and most characters of a reason: both come from outside.
_MAX_NAMED = 10
_MAX_REASON_LENGTH = 100

#: A shorter wait is over before a person can act, seconds.
_SHORT_BLOCK_S = 10.0


def longest_silence(config: MonitorConfig) -> float:
    """Return the longest time without progress of a healthy stream, seconds."""
    return completeness.longest_silence(config.max_poll_interval)


def streams(
    sample: Sample, blocked_at: float | None, failing: Mapping[str, Failing], config: MonitorConfig
) -> Iterator[ActiveProblem]:
    """Yield streams that do not read their listing.

    Polls count, not items: a quiet subreddit at night is normal. `blocked_at`: when the quota
    last blocked all requests. `failing`: streams whose requests all fail, which shows before their silence.
    """
    if quota_is_out(sample) or sample.stands_by:
        return
    for name in config.streams:
        if sample.running_since(name) is None or name not in sample.streams or name in sample.unreadable_streams:
            continue
        if not sample.reads(config, name):
            continue
        stream = sample.streams[name]
        if stream.progress_at is None:
            yield ActiveProblem("stream_silent", name, f"{name} has not read its listing yet. {_see(config, name)}")
        elif sample.now - max(stream.progress_at, blocked_at or 0.0) > longest_silence(config):
            all_absent = {one.lower() for one in sample.subreddits(config, name)} <= {
                one.lower() for one in stream.absent
            }
            why = "none of its subreddits can be read" if all_absent else "its requests to Reddit fail"
            text = f"{name} captures nothing: {why}. {_see(config, name)}"
            yield ActiveProblem("stream_silent", name, text, stream.progress_at)
        elif name in failing:
            text = f"{name} captures nothing: {failing[name].text}. {_see(config, name)}"
            yield ActiveProblem("stream_silent", name, text, failing[name].since)


def _see(config: MonitorConfig, name: str) -> str:
    return f"See request_failed in {config.logging.log_dir / f'{name}.log'}"


def delivery(sample: Sample, growing: Collection[str], config: MonitorConfig) -> Iterator[ActiveProblem]:
    """Check whether captured records reach Kafka."""
    log = config.logging.log_dir / "publisher.log"
    servers = config.kafka_servers
    if sample.outage_since is not None and sample.kafka_refusal:
        text = f"Kafka ({servers}) answers, but accepts nothing: {sample.kafka_refusal.rstrip('.')}."
        hint = f"Records wait on disk; they are sent automatically when Kafka accepts them. See {log}"
        yield ActiveProblem("delivery_stalled", "kafka", f"{text} {hint}", sample.outage_since)
        return
    if sample.outage_since is not None:
        text = f"Kafka ({servers}) acknowledges nothing and gives no reason: it is down, or cannot be reached."
        hint = "Capture continues, and records wait on disk; nothing is lost while there is space. They are sent"
        hint = f"{hint} automatically when Kafka answers. See {log}"
        yield ActiveProblem("kafka_away", "kafka", f"{text} {hint}", sample.outage_since)
        return
    working_since = sample.running_since("publisher")
    if working_since is None:
        return
    stuck = {name: stream.stuck_since for name, stream in sample.streams.items()}
    if sample.changes is not None:
        stuck["changes"] = sample.changes.stuck_since
    # a new publisher has its time, however long records waited before
    begun = sample.now - _STALLED_AFTER_S
    stalled = {name: at for name, at in stuck.items() if at is not None and max(at, working_since) < begun}
    for name, since in stalled.items():
        text = f"Records of {name} wait, and Kafka ({servers}) accepts none of them. Check access rights, the topic"
        yield ActiveProblem("delivery_stalled", name, f"{text} and the disk of the broker. See {log}", since)
    for name in growing:
        if name not in stalled:
            text = f"{name} captures more than Kafka ({servers}) accepts, so more and more records wait on disk."
            yield ActiveProblem("spool_growing", name, f"{text} Check the broker's load and the network to it.")


def quota(sample: Sample, config: MonitorConfig) -> Iterator[ActiveProblem]:
    """Check whether Reddit allows requests at all."""
    if not config.streams and not (config.scrapers and config.crawls_with_token):
        return
    flow, known = sample.flow.quota, sample.quota
    if _is_blocked(sample) and known is not None:
        text = "Reddit answered 429, so all requests wait. This ends automatically. If it happens repeatedly, another"
        hint = "program uses this client id, or reddit.requests_per_minute is higher than Reddit allows."
        yield ActiveProblem("quota_blocked", "quota", f"{text} {hint}", known.refused_at)
    elif flow.reset_s and not flow.remaining:
        text = "The quota of this window is used up; all requests wait for the next window. If it happens repeatedly,"
        hint = "another program uses this client id, or there are too many subreddits for one client."
        yield ActiveProblem("quota_exhausted", "quota", f"{text} {hint}")


def quota_is_out(sample: Sample) -> bool:
    """Return whether no request is allowed now."""
    return _is_blocked(sample) or bool(sample.flow.quota.reset_s and not sample.flow.quota.remaining)


def _is_blocked(sample: Sample) -> bool:
    """Return whether Reddit's pause is long enough to report."""
    known = sample.quota
    if known is None or sample.flow.quota.blocked_s <= 0:
        return False
    return known.blocked_until - min(known.refused_at, sample.now) > _SHORT_BLOCK_S


def behind(sample: Sample, config: MonitorConfig) -> Iterator[ActiveProblem]:
    """Yield streams that read their listing, but are proven only up to a time long ago: they catch up, or are blocked.

    A stream that does not read at all is not ready, which is reported elsewhere.
    """
    patience = longest_silence(config)
    for name in config.streams:
        stream = sample.streams.get(name)
        if stream is None or sample.running_since(name) is None or stream.progress_at is None or quota_is_out(sample):
            continue
        proof = stream.proof(sample.subreddits(config, name))
        unread_s = proof.unread_s(sample.now)
        if unread_s is not None and unread_s > patience >= sample.now - stream.progress_at:
            late = [
                f"r/{subreddit}"
                for subreddit in proof.counted
                if proof.reddit_now(sample.now) - proof.moments[subreddit.lower()] > patience
            ]
            more = f" and {len(late) - _MAX_NAMED} more" if len(late) > _MAX_NAMED else ""
            text = f"{name} reads new items, but has not caught up with {', '.join(late[:_MAX_NAMED])}{more}."
            hint = f"After an outage it catches up automatically. {_see(config, name)}"
            yield ActiveProblem("stream_behind", name, f"{text} {hint}", sample.now - unread_s)


def _lost_files(name: str, gaps: Iterable[Gap], now: float) -> Iterator[ActiveProblem]:
    """Yield spool files that were lost or broken lately; a completely saved one is reported for an hour."""
    found = [gap for gap in gaps if gap.concerns_spool]
    recent = [
        gap for gap in found if now - gap.recorded_at < (_REPAIRED_SHOWN_S if gap.repaired else completeness.WINDOW)
    ]
    if recent:
        newest = max(recent, key=lambda gap: gap.recorded_at)
        text = f"{name}: {newest.reason}. Find out which program or person changes files of the state directory."
        hint = "See spool_lost and spool_file_lost in the log of the stream."
        yield ActiveProblem("spool_lost", name, f"{text} {hint}", newest.recorded_at)


def losses(sample: Sample) -> Iterator[ActiveProblem]:
    """Yield warnings about missing items while everything flows."""
    for name, stream in sample.streams.items():
        yield from _unavailable(name, stream)
        yield from _shortage(name, stream)
        yield from _lost_files(name, stream.gaps, sample.now)
        yield from _gaps(name, stream, sample.now)
    yield from _found_missing(sample)
    refused_at = sample.dead_letter_at
    if refused_at is not None and sample.now - refused_at < completeness.WINDOW:
        text = "Kafka refused records permanently; they are kept."
        hint = f"`{program.command()} dead-letters CONFIG` lists, resends or drops them."
        yield ActiveProblem("dead_letters", "kafka", f"{text} {hint}", refused_at)


def _unavailable(name: str, stream: StreamSample) -> Iterator[ActiveProblem]:
    """Yield the subreddits that are set aside, with Reddit's reason: private, banned, a status."""
    if not stream.absent:
        return
    shown = sorted(stream.absent.items())[:_MAX_NAMED]
    listed = ", ".join(f"r/{subreddit} ({_shortened(why)})" for subreddit, why in shown)
    more = f" and {len(stream.absent) - len(shown)} more" if len(stream.absent) > len(shown) else ""
    text = f"{name}: {listed}{more} cannot be read. Retries are automatic; the other subreddits continue."
    yield ActiveProblem("subreddit_unavailable", name, text, stream.absent_since)


def _shortage(name: str, stream: StreamSample) -> Iterator[ActiveProblem]:
    """Yield the shortage of the quota, which precedes a loss."""
    shortage = stream.shortage
    if shortage is None:
        return
    shown = ", ".join(f"r/{subreddit}" for subreddit in shortage.subreddits[:_MAX_NAMED])
    more = f" and {shortage.slowed - _MAX_NAMED} more" if shortage.slowed > _MAX_NAMED else ""
    text = (
        f"The quota is too small for {name}: it needs {shortage.needed:.0f} requests a minute and gets "
        f"{shortage.allowed:.0f}. Polled less often: {shown}{more}."
    )
    hint = "Nothing is lost yet. Configure fewer subreddits, or another client id for a part of them."
    yield ActiveProblem("quota_short", name, f"{text} {hint}", shortage.since)


def _gaps(name: str, stream: StreamSample, now: float) -> Iterator[ActiveProblem]:
    """Yield open gaps, and gaps lost within a day; older ones stay in the ledger only.

    A gap without an end has its own warning: the subreddit is unavailable.
    """
    recent = [
        gap.recorded_at
        for gap in stream.gaps
        if (gap.state is GapState.OPEN and (gap.end is not None or not stream.absent))
        or (gap.state is GapState.LOST and now - (gap.closed_at or gap.recorded_at) < completeness.WINDOW)
    ]
    if recent:
        text = f"{name} has intervals that are not proven complete. `{program.command()} gaps CONFIG` lists them."
        yield ActiveProblem("gap_open", name, text, min(recent))


def _found_missing(sample: Sample) -> Iterator[ActiveProblem]:
    """Yield that the audit found missing items outside the gaps, within a day."""
    for name, (since, number) in sample.audit.found_missing.items():
        these = f"{number:,} sampled items" if number > 1 else "a sampled item"
        text = f"The audit found {these} of {name} missing outside the recorded gaps, within a day. What was found is"
        hint = f"captured; others may be missing: `{program.command()} audit CONFIG --items 0` shows how many at most."
        yield ActiveProblem("audit_found_missing", name, f"{text} {hint}", since)


def _shortened(text: str) -> str:
    return text if len(text) <= _MAX_REASON_LENGTH else f"{text[: _MAX_REASON_LENGTH - 1]}…"
