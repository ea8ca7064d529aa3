"""What keeps the streams from flowing: into the spools, and from there into Kafka. Pure."""

from collections.abc import Collection, Iterable, Iterator

from core.config import Config
from core.spool import Gap
from supervisor.monitor.completeness import WINDOW
from supervisor.monitor.look import Look
from supervisor.monitor.since import Trouble

#: A quiet stream notes a poll at least every `max_poll_interval` and 15 s more; a poll itself may take a while.
_POLL_PATIENCE = 45.0

#: Records wait a moment by nature; so long only when something is wrong.
_STALLED_AFTER = 20.0

#: A spool file that was lost and saved whole is told of for so long, seconds.
_SAVED_NEWS = 3600.0

#: A refusal that asks for less is over before anybody can act on it.
_SHORT_BLOCK = 10.0


def longest_silence(config: Config) -> float:
    """Return for how long a healthy stream may show no progress, seconds."""
    return 2.0 * config.streams.max_poll_interval + _POLL_PATIENCE


def streams(look: Look, waited_until: float | None, config: Config) -> Iterator[Trouble]:
    """Find streams that do not read their listing.

    That is measured by polls and not by items: a quiet subreddit at night is no fault. `waited_until`: when the quota
    last let nobody ask.
    """
    if quota_is_out(look):
        return
    for name in config.streams.enabled:
        if look.works_since(name) is None or name not in look.streams or _is_unreadable(look, name):
            continue
        stream = look.streams[name]
        if stream.progress_at is None:
            yield Trouble("stream_silent", name, f"{name} has not read its listing yet. {_see(config, name)}")
        elif look.now - max(stream.progress_at, waited_until or 0.0) > longest_silence(config):
            everybody = {one.lower() for one in config.reddit.subreddits} <= {one.lower() for one in stream.absent}
            why = "none of its subreddits can be read" if everybody else "its requests to Reddit do not succeed"
            text = f"{name} takes nothing in: {why}. {_see(config, name)}"
            yield Trouble("stream_silent", name, text, stream.progress_at)


def _see(config: Config, name: str) -> str:
    return f"What Reddit answers stands in {config.supervisor.log_dir / f'{name}.log'} (request_failed)."


def _is_unreadable(look: Look, name: str) -> bool:
    return any(f"the spool of {name} " in text for text in look.unreadable)


def delivery(look: Look, growing: Collection[str], config: Config) -> Iterator[Trouble]:
    """Find out whether what was captured reaches Kafka."""
    log = config.supervisor.log_dir / "publisher.log"
    servers = config.kafka.bootstrap_servers
    if look.outage_since is not None and look.kafka_refusal:
        text = (
            f"Kafka ({servers}) answers and takes nothing: {look.kafka_refusal.rstrip('.')}. Records wait on disk, and"
        )
        yield Trouble(
            "delivery_stalled", "kafka", f"{text} leave by themselves once it does. More: {log}", look.outage_since
        )
        return
    if look.outage_since is not None:
        text = f"Kafka ({servers}) acknowledges nothing, and says nothing of why: it is away, or cannot be reached. The"
        text = f"{text} streams go on and records wait on disk, so nothing is lost while"
        hint = f"there is space; what the publisher tried stands in {log}. It goes on by itself when Kafka is back."
        yield Trouble("kafka_away", "kafka", f"{text} {hint}", look.outage_since)
        return
    working_since = look.works_since("publisher")
    if working_since is None:
        return
    stuck = {name: stream.stuck_since for name, stream in look.streams.items()}
    # whatever waited while there was no publisher, this one has its time
    begun = look.now - _STALLED_AFTER
    stalled = {name: at for name, at in stuck.items() if at is not None and max(at, working_since) < begun}
    for name, since in stalled.items():
        text = f"Records of {name} wait and none is delivered: access rights, the topic, or a full broker. {log} says"
        yield Trouble("delivery_stalled", name, f"{text} what Kafka ({servers}) answers.", since)
    for name in growing:
        if name not in stalled:
            text = (
                f"{name} brings more than Kafka ({servers}) takes, and what waits on disk grows and grows. Look at the"
            )
            yield Trouble("spool_growing", name, f"{text} broker's load and the network to it.")


def quota(look: Look, config: Config) -> Iterator[Trouble]:
    """Find out whether Reddit lets us ask at all."""
    scraper = config.scraper
    if not config.streams.enabled and not (scraper.enabled and scraper.authentication == "oauth"):
        return
    flow, known = look.flow.quota, look.quota
    if _is_blocked(look) and known is not None:
        text = "Reddit answered 429 and asked everybody to wait. That passes by itself; should it come again and again,"
        hint = "another program uses this client id, or reddit.requests_per_minute is higher than Reddit allows."
        yield Trouble("quota_blocked", "quota", f"{text} {hint}", known.refused_at)
    elif flow.reset_s and not flow.remaining:
        text = "The quota of this window is used up; everything waits for the next one. Should that come again and"
        hint = "again, another program uses this client id, or there are too many subreddits for one client."
        yield Trouble("quota_exhausted", "quota", f"{text} {hint}")


def quota_is_out(look: Look) -> bool:
    """Tell whether nobody may ask Reddit now."""
    return _is_blocked(look) or bool(look.flow.quota.reset_s and not look.flow.quota.remaining)


def _is_blocked(look: Look) -> bool:
    """Tell whether the wait that Reddit asked for is worth a word."""
    known = look.quota
    if known is None or look.flow.quota.blocked_s <= 0:
        return False
    return known.blocked_until - min(known.refused_at, look.now) > _SHORT_BLOCK


def _lost_files(name: str, gaps: Iterable[Gap], now: float) -> Iterator[Trouble]:
    """Name a spool file that was lost or broken lately; one of which everything was saved is news for an hour."""
    found = [gap for gap in gaps if gap.concerns_spool]
    news = [gap for gap in found if now - gap.recorded_at < (_SAVED_NEWS if gap.repaired else WINDOW)]
    if news:
        newest = max(news, key=lambda gap: gap.recorded_at)
        text = f"{name}: {newest.reason}. Somebody or something touches the files of the state: find out who. Its log"
        yield Trouble("spool_lost", name, f"{text} has more (spool_lost, spool_file_lost).", newest.recorded_at)


def losses(look: Look) -> Iterator[Trouble]:
    """Name what is missing although everything flows."""
    for name, stream in look.streams.items():
        if stream.absent:
            listed = ", ".join(f"r/{subreddit} ({why})" for subreddit, why in sorted(stream.absent.items()))
            text = f"{name}: {listed} cannot be read. It is tried again by itself; the others go on."
            yield Trouble("subreddit_unavailable", name, text)
        yield from _lost_files(name, stream.gaps, look.now)
        # what nothing can repair any more stays in the ledger, and is no news for ever
        news = [gap.recorded_at for gap in stream.gaps if not gap.repaired and look.now - gap.recorded_at < WINDOW]
        if news:
            text = f"{name} has intervals that are not proven complete: python -m supervisor gaps CONFIG lists them."
            yield Trouble("gap_open", name, text, min(news))
    refused_at = look.dead_letter_at
    if refused_at is not None and look.now - refused_at < WINDOW:
        text = "Kafka refused records for good; they are kept in publisher.db, table dead_letters, with the reason."
        yield Trouble("dead_letters", "kafka", text, refused_at)
