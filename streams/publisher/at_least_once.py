"""At least once: an idempotent producer, and a position that follows the delivery reports."""

from confluent_kafka import KafkaException, Producer

from streams.publisher.client import discard
from streams.publisher.pace import Pace
from streams.publisher.topics import Topic
from streams.publisher.verdict import Verdict, cause, said
from streams.publisher.workplace import Workplace

#: How long to wait for reports, or for an answer about the topic, before looking for new rows again, seconds.
_PATIENCE = 0.01
#: The same while Kafka is away: nothing to hurry for.
_PATIENCE_AWAY = 0.1
#: After so many failures without one arrival between them, the producer itself is under suspicion.
_FAILURES_TOO_MANY = 5


class AtLeastOnce:
    """Sends everything; after a failure it sends again, in order, what has not arrived."""

    def __init__(self, place: Workplace, topic: Topic) -> None:
        self._settings = place.settings
        self._lanes = place.lanes
        self._ledger = place.ledger
        self._watch = place.watch
        self._retries = place.retries
        self._log = place.log
        self._clock = place.clock
        self._make_producer = place.make_producer
        self._topic = topic
        self._producer: Producer | None = None
        #: records failed, and this is what it means: nothing more is sent until all reports are in, then we start
        #: again behind the position
        self._failures: set[Verdict] = set()
        self._resume_at = 0.0

    def step(self) -> Pace:
        """Do one round: hand over, take in reports, save the position."""
        self._lanes.refresh(lambda reader: self._ledger.position(reader.spool_id))
        self._lanes.begin()
        if self._producer is None and self._clock() >= self._resume_at:
            self._producer = self._make_producer(self._settings, self._watch)
        producer = self._producer
        if producer is None:
            return self._rest()
        ready = self._ready()
        fed = self._lanes.feed(producer, self._topic.name) if ready else 0
        in_flight = len(producer) > 0
        try:
            producer.poll(0.0 if fed else self._patience(producer))
        except KafkaException as exception:  # how the client tells that this producer is at its end
            self._watch.fatal = cause(exception)
        self._take_reports(producer)
        saved = self._ledger.save()
        if fed or in_flight or self._failures:
            return Pace.BUSY  # reports that came may have made room for more
        return self._rest(ready=ready, saved=saved)

    def _ready(self) -> bool:
        return (
            not self._failures
            and self._clock() >= self._resume_at
            and self._topic.ensure(_PATIENCE_AWAY if self._watch.away else _PATIENCE)
        )

    def _patience(self, producer: Producer) -> float:
        if not len(producer):
            return 0.0
        return _PATIENCE_AWAY if self._watch.away else _PATIENCE

    def _rest(self, *, ready: bool = False, saved: bool = True) -> Pace:
        waiting = not ready and self._lanes.backlog() > 0
        self._look(waiting=waiting)
        if self._topic.asking:
            return Pace.BUSY
        return Pace.BLOCKED if waiting or not saved else Pace.IDLE

    def _look(self, *, waiting: bool) -> None:
        if self._watch.look(waiting=waiting):
            self._topic.missing()  # it may be: ask again

    def _take_reports(self, producer: Producer) -> None:
        arrived = self._lanes.collect()
        if arrived:
            self._watch.arrived(lambda: arrived + self._lanes.backlog())
            self._retries.succeed()
        elif len(producer):
            self._look(waiting=True)
        verdicts = self._lanes.judge_failures()
        if self._watch.stuck(answered=self._topic.there):
            self._start_anew("Kafka answers, but not to this producer")
        elif self._watch.fatal is not None or Verdict.FATAL in verdicts:
            self._start_anew("it failed for good")
        elif Verdict.TOPIC in verdicts:
            self._topic.missing()
            self._start_anew("the topic is gone: asking for it")
        else:
            self._failures |= verdicts
        if self._failures and not len(producer):
            self._try_again()

    def _try_again(self) -> None:
        failures, self._failures = self._failures, set()
        self._lanes.rewind()
        if failures == {Verdict.REFUSED}:  # an answer, about the records alone: nothing to wait for
            self._retries.succeed()
            self._watch.answered()
            return
        self._resume_at = self._clock() + self._retries.fail()
        if Verdict.HOLD not in failures and self._retries.failures >= _FAILURES_TOO_MANY:
            self._start_anew("records fail again and again")

    def _start_anew(self, reason: str) -> None:
        """Throw the producer away; what it held is sent again by a new one, after a pause."""
        fatal, self._watch.fatal = self._watch.fatal, None
        pause = self._retries.fail()
        if fatal is not None:
            self._watch.refused(said(fatal))
        if times := self._watch.times(f"producer_replaced {reason}"):
            self._log.error(
                "producer_replaced",
                reason=reason,
                error=said(fatal) if fatal else None,
                pause_seconds=round(pause, 2),
                times=times,
                hint="a new one goes on behind the position",
            )
        if self._producer is not None:
            discard(self._producer)
            self._producer = None
        self._failures = set()
        self._lanes.rewind()
        self._resume_at = self._clock() + pause

    def close(self, seconds: float) -> None:
        """Wait at most `seconds` for the last reports, then let go of the broker."""
        if self._producer is None:
            return
        if len(self._producer):
            self._producer.flush(max(0.0, seconds))
            self._lanes.collect()
        discard(self._producer)
        self._producer = None
