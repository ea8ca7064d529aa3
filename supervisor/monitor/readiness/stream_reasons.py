"""Readiness rules for the streams: into the spools, and from there into Kafka. Pure."""

from collections.abc import Collection, Iterable, Iterator, Mapping

from core.config.slices import MonitorConfig
from core.process import program
from core.spool import Gap, GapState
from core.status.completeness import WINDOW
from core.status.completeness import longest_silence as silence_of
from supervisor.monitor.readiness.failing_requests import Failing
from supervisor.monitor.readiness.problem_tracker import ActiveProblem
from supervisor.monitor.sampling.sample import Sample
from supervisor.monitor.sampling.stream_sample import StreamSample

#: Seconds that records may wait before something is wrong.
_STALLED_AFTER = 20.0

#: A spool file that was lost and saved completely is reported for this time, seconds.
_SAVED_NEWS = 3600.0
#: Most subreddits in a text, and most characters of a reason: both come from outside.
_MOST_NAMED = 10
_LONGEST_REASON = 100

#: A shorter wait is over before a person can act, seconds.
_SHORT_BLOCK = 10.0


def longest_silence(config: MonitorConfig) -> float:
    """Return the longest time without progress of a healthy stream, seconds."""
    return silence_of(config.max_poll_interval)


def streams(
    look: Sample, waited_until: float | None, failing: Mapping[str, Failing], config: MonitorConfig
) -> Iterator[ActiveProblem]:
    """Yield streams that do not read their listing.

    Polls count, not items: a quiet subreddit at night is normal. `waited_until`: when the quota
    last blocked all requests. `failing`: streams whose requests all fail, which shows before their silence.
    """
    if quota_is_out(look):
        return
    for name in config.streams:
        if look.works_since(name) is None or name not in look.streams or name in look.unreadable_streams:
            continue
        stream = look.streams[name]
        if stream.progress_at is None:
            yield ActiveProblem("stream_silent", name, f"{name} has not read its listing yet. {_see(config, name)}")
        elif look.now - max(stream.progress_at, waited_until or 0.0) > longest_silence(config):
            everybody = {one.lower() for one in config.subreddits} <= {one.lower() for one in stream.absent}
            why = "none of its subreddits can be read" if everybody else "its requests to Reddit do not succeed"
            text = f"{name} takes nothing in: {why}. {_see(config, name)}"
            yield ActiveProblem("stream_silent", name, text, stream.progress_at)
        elif name in failing:
            text = f"{name} takes nothing in: {failing[name].text}. {_see(config, name)}"
            yield ActiveProblem("stream_silent", name, text, failing[name].since)


def _see(config: MonitorConfig, name: str) -> str:
    return f"What Reddit answers stands in {config.logging.log_dir / f'{name}.log'} (request_failed)."


def delivery(look: Sample, growing: Collection[str], config: MonitorConfig) -> Iterator[ActiveProblem]:
    """Check whether captured records reach Kafka."""
    log = config.logging.log_dir / "publisher.log"
    servers = config.kafka_servers
    if look.outage_since is not None and look.kafka_refusal:
        text = (
            f"Kafka ({servers}) answers and takes nothing: {look.kafka_refusal.rstrip('.')}. Records wait on disk, and"
        )
        yield ActiveProblem(
            "delivery_stalled", "kafka", f"{text} leave by themselves once it does. More: {log}", look.outage_since
        )
        return
    if look.outage_since is not None:
        text = f"Kafka ({servers}) acknowledges nothing, and says nothing of why: it is away, or cannot be reached. The"
        text = f"{text} streams go on and records wait on disk, so nothing is lost while"
        hint = f"there is space; what the publisher tried stands in {log}. It goes on by itself when Kafka is back."
        yield ActiveProblem("kafka_away", "kafka", f"{text} {hint}", look.outage_since)
        return
    working_since = look.works_since("publisher")
    if working_since is None:
        return
    stuck = {name: stream.stuck_since for name, stream in look.streams.items()}
    # a new publisher has its time, however long records waited before
    begun = look.now - _STALLED_AFTER
    stalled = {name: at for name, at in stuck.items() if at is not None and max(at, working_since) < begun}
    for name, since in stalled.items():
        text = f"Records of {name} wait and none is delivered: access rights, the topic, or a full broker. {log} says"
        yield ActiveProblem("delivery_stalled", name, f"{text} what Kafka ({servers}) answers.", since)
    for name in growing:
        if name not in stalled:
            text = (
                f"{name} brings more than Kafka ({servers}) takes, and what waits on disk grows and grows. Look at the"
            )
            yield ActiveProblem("spool_growing", name, f"{text} broker's load and the network to it.")


def quota(look: Sample, config: MonitorConfig) -> Iterator[ActiveProblem]:
    """Check whether Reddit allows requests at all."""
    if not config.streams and not (config.scrapers and config.crawls_with_token):
        return
    flow, known = look.flow.quota, look.quota
    if _is_blocked(look) and known is not None:
        text = "Reddit answered 429 and asked everybody to wait. That passes by itself; should it come again and again,"
        hint = "another program uses this client id, or reddit.requests_per_minute is higher than Reddit allows."
        yield ActiveProblem("quota_blocked", "quota", f"{text} {hint}", known.refused_at)
    elif flow.reset_s and not flow.remaining:
        text = "The quota of this window is used up; everything waits for the next one. Should that come again and"
        hint = "again, another program uses this client id, or there are too many subreddits for one client."
        yield ActiveProblem("quota_exhausted", "quota", f"{text} {hint}")


def quota_is_out(look: Sample) -> bool:
    """Return whether no request is allowed now."""
    return _is_blocked(look) or bool(look.flow.quota.reset_s and not look.flow.quota.remaining)


def _is_blocked(look: Sample) -> bool:
    """Return whether Reddit's pause is long enough to report."""
    known = look.quota
    if known is None or look.flow.quota.blocked_s <= 0:
        return False
    return known.blocked_until - min(known.refused_at, look.now) > _SHORT_BLOCK


def behind(look: Sample, config: MonitorConfig) -> Iterator[ActiveProblem]:
    """Yield streams that read their listing and are proven only up to a time long ago: they catch up, or are blocked.

    A stream that does not read at all is not ready, which is reported elsewhere.
    """
    patience = longest_silence(config)
    for name in config.streams:
        stream = look.streams.get(name)
        if stream is None or look.works_since(name) is None or stream.progress_at is None or quota_is_out(look):
            continue
        proof = stream.proof(config.subreddits)
        unread_s = proof.unread_s(look.now)
        if unread_s is not None and unread_s > patience >= look.now - stream.progress_at:
            late = [
                f"r/{subreddit}"
                for subreddit in proof.counted
                if proof.reddit_now(look.now) - proof.moments[subreddit.lower()] > patience
            ]
            more = f" and {len(late) - _MOST_NAMED} more" if len(late) > _MOST_NAMED else ""
            text = (
                f"{name} reads its listing, and has not read all since a while: {', '.join(late[:_MOST_NAMED])}{more}."
            )
            hint = f"After an outage it catches up by itself. {_see(config, name)}"
            yield ActiveProblem("stream_behind", name, f"{text} {hint}", look.now - unread_s)


def _lost_files(name: str, gaps: Iterable[Gap], now: float) -> Iterator[ActiveProblem]:
    """Yield spool files that were lost or broken lately; a completely saved one is reported for an hour."""
    found = [gap for gap in gaps if gap.concerns_spool]
    news = [gap for gap in found if now - gap.recorded_at < (_SAVED_NEWS if gap.repaired else WINDOW)]
    if news:
        newest = max(news, key=lambda gap: gap.recorded_at)
        text = f"{name}: {newest.reason}. Somebody or something touches the files of the state: find out who. Its log"
        yield ActiveProblem("spool_lost", name, f"{text} has more (spool_lost, spool_file_lost).", newest.recorded_at)


def losses(look: Sample) -> Iterator[ActiveProblem]:
    """Yield warnings about missing items while everything flows."""
    for name, stream in look.streams.items():
        yield from _unavailable(name, stream)
        yield from _lost_files(name, stream.gaps, look.now)
        yield from _gaps(name, stream, look.now)
    refused_at = look.dead_letter_at
    if refused_at is not None and look.now - refused_at < WINDOW:
        text = (
            f"Kafka refused records for good; they are kept. `{program.command()} dead-letters CONFIG` lists, resends"
        )
        text += " or drops them."
        yield ActiveProblem("dead_letters", "kafka", text, refused_at)


def _unavailable(name: str, stream: StreamSample) -> Iterator[ActiveProblem]:
    """Yield the subreddits that are set aside, with Reddit's reason: private, banned, a status."""
    if not stream.absent:
        return
    shown = sorted(stream.absent.items())[:_MOST_NAMED]
    listed = ", ".join(f"r/{subreddit} ({_shortened(why)})" for subreddit, why in shown)
    more = f" and {len(stream.absent) - len(shown)} more" if len(stream.absent) > len(shown) else ""
    text = f"{name}: {listed}{more} cannot be read. It is tried again by itself; the others go on."
    yield ActiveProblem("subreddit_unavailable", name, text, stream.absent_since)


def _gaps(name: str, stream: StreamSample, now: float) -> Iterator[ActiveProblem]:
    """Yield open gaps, and gaps lost within a day; older ones stay in the ledger only.

    A gap without an end has its own warning: the subreddit is unavailable.
    """
    news = [
        gap.recorded_at
        for gap in stream.gaps
        if (gap.state is GapState.OPEN and (gap.end is not None or not stream.absent))
        or (gap.state is GapState.LOST and now - (gap.closed_at or gap.recorded_at) < WINDOW)
    ]
    if news:
        text = f"{name} has intervals that are not proven complete: {program.command()} gaps CONFIG lists them."
        yield ActiveProblem("gap_open", name, text, min(news))


def _shortened(text: str) -> str:
    return text if len(text) <= _LONGEST_REASON else f"{text[: _LONGEST_REASON - 1]}…"
