"""At least once: an idempotent producer, and a position that follows the delivery reports."""

from functools import partial
from typing import Unpack

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from streams.sinks.base import RoundResult
from streams.sinks.kafka.delivery_strategy import DeliveryStrategy, StrategyParts
from streams.sinks.kafka.kafka_errors import ErrorClass, cause, error_text
from streams.sinks.kafka.producer import discard
from streams.sinks.kafka.routing import Routing

#: Seconds to wait for reports, or for an answer about the topic, before the next check for new rows.
_TIMEOUT_S = 0.01
#: The same while Kafka is unreachable: there is no hurry.
_TIMEOUT_AWAY_S = 0.1
#: After this number of failures without a delivery between them, the producer itself may be at fault.
_FAILURES_TOO_MANY = 5


class AtLeastOnce(DeliveryStrategy):
    """Sends all records; after a failure, resends in order what has not arrived."""

    def __init__(self, **parts: Unpack[StrategyParts]) -> None:
        super().__init__(**parts)
        #: the classes of the failures: sending pauses until all reports have arrived, then resumes after the position
        self._failures: set[ErrorClass] = set()
        self._ready = False
        #: whether this round sent something, and whether something was in flight
        self._sent = self._in_flight = False

    def open(self) -> bool:
        """Create the producer if there is none, and check whether the topics exist."""
        self._senders.refresh()
        self._senders.begin()
        if self._producer is None and self._clock() >= self._resume_at:
            self._producer = self._make_producer(self._settings, self._health)
        self._sent = self._in_flight = False
        self._ready = (
            self._producer is not None
            and not self._failures
            and self._clock() >= self._resume_at
            and self._ensure_topics(_TIMEOUT_AWAY_S if self._health.away else _TIMEOUT_S)
        )
        if self._routing is not None:
            self._routing.take_void()  # nothing is open: what another machine owns now goes there from now on
            self._write_states(self._routing)
        return self._ready

    def _write_states(self, routing: Routing) -> None:
        """Write what the next owner of this machine's shards must know, about records that have arrived."""
        if not (self._ready and self._producer is not None and routing.due):
            return
        try:
            for (topic, partition), key, value in routing.writes(in_transaction=False):
                self._producer.produce(topic, value, key, partition, partial(_report_topic, routing))
        except (BufferError, KafkaException) as exception:
            self._log.warning("states_not_written", error=str(exception), hint="they are written again")
            return
        routing.committed()

    def send(self) -> int:
        """Send a batch from each source."""
        sent = self._senders.send_batch(self._active_producer)
        self._sent = sent > 0
        return sent

    def flush(self) -> bool:
        """Process the delivery reports that arrived."""
        producer = self._producer
        if producer is None:
            return True
        self._in_flight = len(producer) > 0
        try:
            producer.poll(0.0 if self._sent else self._timeout(producer))
        except KafkaException as exception:  # the client reports a fatal error of this producer this way
            self._health.fatal = cause(exception)
        self._take_reports(producer)
        return self._producer is None or not len(self._producer)

    def commit(self) -> RoundResult:
        """Save the positions."""
        saved = self._writer.save()
        if self._sent or self._in_flight or self._failures:
            return RoundResult.BUSY  # reports that arrived may have made room for more
        return self._idle_result(saved=saved)

    def _timeout(self, producer: Producer) -> float:
        if not len(producer):
            return 0.0
        return _TIMEOUT_AWAY_S if self._health.away else _TIMEOUT_S

    def _idle_result(self, *, saved: bool) -> RoundResult:
        waiting = not self._ready and self._senders.backlog() > 0
        self._check_outage(waiting=waiting)
        if self._topics.request_pending:
            return RoundResult.BUSY
        held = bool(self._senders.absent) and self._senders.backlog() > 0
        return RoundResult.BLOCKED if waiting or held or not saved else RoundResult.IDLE

    def _check_outage(self, *, waiting: bool) -> None:
        if self._health.check_outage(waiting=waiting):
            self._topics.missing()  # they may be: check again

    def _take_reports(self, producer: Producer) -> None:
        arrived = self._senders.collect()
        if arrived:
            self._health.arrived(lambda: arrived + self._senders.backlog())
            self._retries.succeed()
        elif len(producer):
            self._check_outage(waiting=True)
        classes = self._senders.classify_failures()
        if self._health.stuck(answered=self._topics.any_exists):
            self._replace_producer("Kafka answers other requests, but not this producer's")
        elif self._health.fatal is not None or ErrorClass.FATAL in classes:
            self._replace_producer("it has a fatal error")
        elif ErrorClass.TOPIC in classes:
            self._topics.missing()
            self._replace_producer("a topic no longer exists")
        else:
            self._failures |= classes
        if self._failures and not len(producer):
            self._resend()

    def _resend(self) -> None:
        failures, self._failures = self._failures, set()
        self._senders.rewind()
        if failures == {ErrorClass.REFUSED}:  # an answer about the records alone: no wait needed
            self._retries.succeed()
            self._health.answered()
            return
        self._resume_at = self._clock() + self._retries.fail()
        if ErrorClass.HOLD not in failures and self._retries.failures >= _FAILURES_TOO_MANY:
            self._replace_producer("records fail repeatedly")

    def _replace_producer(self, reason: str) -> None:
        """Discard the producer; after a pause, a new one resends what it held."""
        fatal, self._health.fatal = self._health.fatal, None
        pause = self._retries.fail()
        if fatal is not None:
            self._health.refused(error_text(fatal))
        if times := self._health.times(f"producer_replaced {reason}"):
            self._log.error(
                "producer_replaced",
                reason=reason,
                error=error_text(fatal) if fatal else None,
                pause_seconds=round(pause, 2),
                times=times,
                hint="a new producer continues after the position",
            )
        if self._producer is not None:
            discard(self._producer)
            self._producer = None
        self._failures = set()
        self._senders.rewind()
        self._resume_at = self._clock() + pause

    def _disconnect(self, seconds: float) -> None:
        """Wait at most `seconds` for the last reports, then disconnect from the broker."""
        if self._producer is None:
            return
        if len(self._producer):
            self._producer.flush(max(0.0, seconds))
            self._senders.collect()
        discard(self._producer)
        self._producer = None


def _report_topic(routing: Routing, error: KafkaError | None, _message: Message) -> None:
    """Tell about a state that did not arrive."""
    if error is not None:
        routing.topic_missing()
