"""Determines whether a new spool is the first one: what the topic holds before anything of it is sent.

When all state files are lost, only the topic shows that records of a stream were delivered before, and up to when (see
core.spool.predecessor). Until the answer is on disk, nothing is sent from such a spool: its own records would count.
"""

import time
from collections.abc import Callable, Collection, Iterable
from typing import Protocol

import structlog
from confluent_kafka import KafkaError, KafkaException

from core.spool.predecessor import TopicEnds
from streams.positions.position_writer import PositionWriter
from streams.sinks.base import Retries
from streams.sinks.kafka.kafka_errors import cause, is_passing
from streams.sinks.kafka.producer import KafkaSettings
from streams.sinks.kafka.topic_tail import TailReader, TopicItem, ends
from streams.sinks.spool_senders import SpoolSender

#: Longest time of one step, seconds: longer after each step in which a distant broker did not answer.
_SHORTEST, _LONGEST = 0.1, 1.0

#: Failures, while the broker answers, after which the topic counts as unreadable.
_ATTEMPTS = 5


class Reader(Protocol):
    """Reads the newest records of the topic."""

    items: list[TopicItem]
    reached: bool
    incomplete: bool
    streams: frozenset[str]
    unseen: frozenset[str]

    def read(self, seconds: float) -> bool:
        """Read for about `seconds`; return whether all is read."""
        ...

    def close(self) -> None:
        """Disconnect from the broker."""
        ...


class Survey:
    """Surveys the topic for each sender that waits for it, and releases the sender when the answer is on disk.

    Args:
        settings: the topics, and how to reach them.
        senders: all senders.
        writer: stores the answer.
        log: the logger.
        retries: the pauses after failures.
        clock: monotonic seconds.
        wall: epoch seconds.
        make_reader: creates the reader of a topic, for the streams that it holds.
    """

    def __init__(
        self,
        settings: KafkaSettings,
        senders: Iterable[SpoolSender],
        writer: PositionWriter,
        log: structlog.stdlib.BoundLogger,
        *,
        retries: Retries,
        clock: Callable[[], float],
        wall: Callable[[], float] = time.time,
        make_reader: Callable[[KafkaSettings, str, Collection[str]], Reader] = TailReader,
    ) -> None:
        self._settings = settings
        self._senders = senders
        self._writer = writer
        self._log = log
        self._retries = retries
        self._clock = clock
        self._wall = wall
        self._make_reader = make_reader
        self._reader: Reader | None = None
        self._resume_at = 0.0
        self._seconds = _SHORTEST
        #: the spools whose answer is being written to disk
        self._answered: set[str] = set()

    def step(self, limit: float = _LONGEST) -> bool:
        """Do one short step of at most `limit` seconds; return whether the next one is due at once."""
        waiting = [sender for sender in self._senders if sender.awaits_survey]
        for sender in waiting:
            sender.awaits_survey = not self._writer.is_surveyed(sender.source_id)
        unanswered = [sender for sender in waiting if sender.awaits_survey and sender.source_id not in self._answered]
        if not unanswered:
            self.close()
            return False
        if self._clock() < self._resume_at:
            return False
        try:
            if not self._ask(unanswered, limit):
                return True
        except KafkaException as exception:
            return self._failed(cause(exception), unanswered)
        self._conclude(unanswered)
        return True

    def _ask(self, senders: list[SpoolSender], limit: float) -> bool:
        if self._reader is None:
            topic_of = self._settings.destinations.topic_of
            topic = topic_of(senders[0].stream)
            together = [sender.stream for sender in senders if topic_of(sender.stream) == topic]
            self._reader = self._make_reader(self._settings, topic, together)
        return self._reader.read(min(self._seconds, max(0.01, limit)))

    def _failed(self, error: KafkaError, senders: list[SpoolSender]) -> bool:
        """Retry after a pause; if the broker answers other requests but not this one, continue without."""
        reached = self._reader is not None and self._reader.reached
        self._seconds = min(_LONGEST, self._seconds * 2.0)
        if reached and is_passing(error):
            return True  # the same request again, from the same reader
        pause = self._retries.fail()
        refused = error.code() == KafkaError.TOPIC_AUTHORIZATION_FAILED
        if refused or (reached and self._retries.failures >= _ATTEMPTS):
            asked = [one for one in senders if self._reader is None or one.stream in self._reader.streams]
            self._skip(f"{error.name()}: {error.str()}", asked)
            return True
        if not is_passing(error):
            self.close()
        self._resume_at = self._clock() + pause
        return False

    def _conclude(self, senders: list[SpoolSender]) -> None:
        reader = self._reader
        if reader is None:
            return
        asked = [
            sender for sender in senders if sender.stream in reader.streams
        ]  # other senders arrived meanwhile, or have another topic: they are next
        if unseen := [sender for sender in asked if sender.stream in reader.unseen]:
            absent = "none of its newest records belongs to the stream"
            self._skip("its records did not arrive in time" if reader.incomplete else absent, unseen)
        found = ends(reader.items, self._wall())
        for sender in asked:
            if sender in unseen:
                continue
            known = found.get(sender.stream, TopicEnds())
            newest = [span.newest for span in known.subreddits.values() if span.newest is not None]
            self._log.info(
                "topic_surveyed",
                stream=sender.stream,
                records=sum(item.stream == sender.stream for item in reader.items),
                subreddits=len(known.subreddits),
                newest=max(newest, default=None),
                complete=not reader.incomplete,
            )
            self._answer(sender, known)
        self._retries.succeed()
        self._seconds = _SHORTEST
        self.close()

    def _skip(self, reason: str, senders: list[SpoolSender]) -> None:
        """Release the senders without a survey, and log the reason."""
        self._log.warning(
            "topic_not_surveyed",
            reason=reason,
            streams=[sender.stream for sender in senders],
            hint="it is unknown what the topic holds, so this counts as a first start; if all state files were lost,"
            " the missed interval is in no gap. Allow the publisher to read the topic",
        )
        for sender in senders:
            self._answer(sender, TopicEnds(unread=reason))
        self.close()

    def _answer(self, sender: SpoolSender, found: TopicEnds) -> None:
        self._writer.keep_ends(sender.source_id, found.to_json())
        self._answered.add(sender.source_id)

    def close(self) -> None:
        """Disconnect from the broker."""
        if self._reader is not None:
            self._reader.close()
            self._reader = None
