"""The health of Kafka: whether it is unreachable, since when, and the errors it reports.

An outage is logged once, a repeated error once a minute.
"""

# ruff: noqa: SLF001  librdkafka's own error codes are spelled with an underscore; they are public

import logging
from collections.abc import Callable

import structlog
from confluent_kafka import KafkaError

from core.masking.external import outside
from core.status.kafka_outage import OutageMark
from streams.positions.position_writer import PositionWriter
from streams.sinks.kafka.kafka_errors import Cause, ErrorClass, classify, error_text, explain

#: A lost connection often returns at once; one that is lost for this long (seconds) is an outage.
_LOST_FOR_S = 1.0
#: A broker may stop answering on open connections: seconds without a report while records wait for one.
_SILENT_FOR_S = 8.0
#: Kafka answers other clients, but not the producer, for this long (seconds): the producer is stuck.
_STALLED_FOR_S = 10.0


class Outage:
    """Detects outages from lost connections, waiting records and deliveries."""

    def __init__(self) -> None:
        self._lost_at: float | None = None
        self._waiting_since: float | None = None
        self._began: float | None = None

    @property
    def on(self) -> bool:
        """Whether Kafka is unreachable as far as is known."""
        return self._began is not None

    def seconds(self, now: float) -> float:
        """Return the duration of the outage in seconds, 0 without one."""
        return 0.0 if self._began is None else now - self._began

    def lost(self, now: float) -> None:
        """Record that no broker can be reached."""
        if self._lost_at is None:
            self._lost_at = now

    def begins(self, now: float, *, waiting: bool) -> bool:
        """Return True once per outage, when it begins; `waiting`: something is to be delivered."""
        if not waiting:
            self._waiting_since = None
            return False
        if self._waiting_since is None:
            self._waiting_since = now
        if self.on:
            return False
        lost = self._lost_at is not None and now - self._lost_at >= _LOST_FOR_S
        if lost or now - self._waiting_since >= _SILENT_FOR_S:
            self._began = min(self._waiting_since, self._lost_at if self._lost_at is not None else now)
            return True
        return False

    def answered(self) -> None:
        """Record an answer without progress: the wait for progress restarts."""
        self._lost_at = self._waiting_since = None

    def arrived(self, now: float) -> float | None:
        """Record a delivery; return the duration of the outage in seconds if this ended one."""
        self._lost_at = self._waiting_since = None
        if self._began is None:
            return None
        began, self._began = self._began, None
        return now - began


class ProducerStall:
    """Detects that an outage is the producer's own: it keeps state that the broker no longer knows."""

    def __init__(self) -> None:
        self._answered_at: float | None = None

    def found(self, now: float, *, away: bool, answered: bool) -> bool:
        """Return True once if the producer is stuck; `answered`: Kafka answered another request during the outage."""
        if not (away and answered):
            self._answered_at = None
        elif self._answered_at is None:
            self._answered_at = now
        elif now - self._answered_at >= _STALLED_FOR_S:
            self._answered_at = None
            return True
        return False


_REPEAT_AFTER_S = 60.0

#: The cause of a hold is requested again every half minute; not confirmed for this long (seconds), it is unknown.
_HELD_FOR_S = 60.0

#: Seconds by which a refusal may precede the records that wait because of it.
_JUST_BEFORE_S = 5.0

_UNREACHABLE = {
    KafkaError._ALL_BROKERS_DOWN,
    KafkaError._TRANSPORT,
    KafkaError._TIMED_OUT,
}
_ACCESS_DENIED = {
    KafkaError._AUTHENTICATION,
    KafkaError._SSL,
    KafkaError.SASL_AUTHENTICATION_FAILED,
    KafkaError.CLUSTER_AUTHORIZATION_FAILED,
    KafkaError.TOPIC_AUTHORIZATION_FAILED,
    KafkaError.TRANSACTIONAL_ID_AUTHORIZATION_FAILED,
}

_librdkafka = structlog.stdlib.get_logger("librdkafka")


class KafkaHealth:
    """Receives librdkafka's errors and log lines (`on_error`, `log`) and logs the relevant ones without repetition."""

    def __init__(
        self,
        log: structlog.stdlib.BoundLogger,
        writer: PositionWriter,
        servers: str,
        clock: Callable[[], float],
        mark: OutageMark | None = None,
    ) -> None:
        self._log = log
        self._writer = writer
        self._servers = servers
        self._clock = clock
        self._mark = mark
        self._outage = Outage()
        self._producer_stall = ProducerStall()
        self._logged: dict[str, tuple[float, int]] = {}
        self._refusal, self._refused_at = "", float("-inf")
        #: since when Kafka refuses for a cause other than the record, and when it last did
        self._held_since: float | None = None
        self._held_at = float("-inf")
        #: the error that ended the current producer, until it is handled
        self.fatal: KafkaError | None = None

    @property
    def away(self) -> bool:
        """Whether Kafka is unreachable as far as is known."""
        return self._outage.on

    @property
    def held(self) -> bool:
        """Whether Kafka is reachable and refuses records, for a cause other than the record."""
        return self._held_since is not None and self._clock() - self._held_at <= _HELD_FOR_S

    def on_error(self, error: KafkaError) -> None:
        """Handle librdkafka's `error_cb`."""
        if classify(error) is ErrorClass.FATAL:
            self.fatal = error
        elif error.code() == KafkaError._ALL_BROKERS_DOWN:
            self._outage.lost(self._clock())
        elif error.code() not in _UNREACHABLE:
            self.log_error("kafka_error", error)

    def log(self, level: int, template: str, *arguments: object) -> None:
        """Handle librdkafka's log lines (it calls this like `logging.Logger.log`)."""
        facility = str(arguments[0]) if arguments else ""
        details: dict[str, object] = {
            "facility": facility,
            "text": outside(template % arguments if arguments else template),
        }
        if level < logging.WARNING:
            _librdkafka.debug("librdkafka", **details)
        elif times := self.times(f"librdkafka {facility}"):  # lost connections arrive by the hundred
            # librdkafka's errors may be transient; on_error and the outage detection decide
            severity = logging.ERROR if level >= logging.CRITICAL else logging.WARNING
            _librdkafka.log(severity, "librdkafka", **details, times=times)

    def log_error(self, event: str, error: KafkaError, **details: object) -> None:
        """Log an error, the same one at most once a minute, with its count."""
        if error.code() > 0:  # only a broker sends this: it is reachable, and refuses records
            self.refused(f"{error.name()}: {error_text(error)}")
        times = self.times(f"{event} {error.name()}")
        if not times:
            return
        if error.code() in _ACCESS_DENIED:
            details["hint"] = "check security.*, sasl.*, ssl.* in [kafka.producer] and the broker's access rules"
        if times > 1:
            details["times"] = times
        self._log.error(event, error=error.name(), text=error_text(error), **details)

    def hold(
        self, error: KafkaError, clock_offset: float | None = None, cause: Cause | None = None, topic: str | None = None
    ) -> None:
        """Record that Kafka refuses, not because of the record: log the cause once, and store it for the monitor.

        `clock_offset`: Reddit's clock minus this machine's in seconds, if known. `cause`: what the error lacks.
        `topic`: the one whose records are refused, if known.
        """
        now = self._clock()
        if not self.held:
            self._held_since = now
        self._held_at = now
        self._outage.arrived(now)  # it answers: Kafka is reachable
        cause = cause or explain(error, clock_offset)
        if self._mark is not None:
            self._mark.begins(0.0)
            self._mark.refused(cause.text)
        if self.times(f"delivery_held {error.name()}"):
            self._log.error(
                "delivery_held",
                cause=cause.text,
                error=error.name(),
                text=error_text(error),
                topic=topic,
                hint=cause.hint,
            )

    def refused(self, reason: str) -> None:
        """Record Kafka's answer in place of a delivery: it is published while nothing is delivered."""
        self._refusal, self._refused_at = reason, self._clock()
        self._mark_refusal()

    def times(self, kind: str) -> int:
        """Count a repeated event; return 0 if it is not to be logged now, else the count since it was last logged."""
        now = self._clock()
        logged_at, suppressed = self._logged.get(kind, (-_REPEAT_AFTER_S, 0))
        if now - logged_at < _REPEAT_AFTER_S:
            self._logged[kind] = (logged_at, suppressed + 1)
            return 0
        self._logged[kind] = (now, 0)
        return suppressed + 1

    def check_outage(self, *, waiting: bool) -> bool:
        """Log an outage when it begins, and return True then."""
        if self.held or not self._outage.begins(self._clock(), waiting=waiting):
            return False
        self._writer.count_errors(1)
        if self._mark is not None:
            self._mark.begins(self._outage.seconds(self._clock()))
            self._mark_refusal()
        self._log.error("kafka_away", servers=self._servers, hint="the streams continue, records wait in the spools")
        return True

    def _mark_refusal(self) -> None:
        # a refusal before the outage does not explain it: the broker may have become unreachable since
        now = self._clock()
        if (
            self._mark is not None
            and self.away
            and now - self._refused_at <= self._outage.seconds(now) + _JUST_BEFORE_S
        ):
            self._mark.refused(self._refusal)

    def stuck(self, *, answered: bool) -> bool:
        """Return whether the producer gets no answer although Kafka `answered` another request meanwhile."""
        return self._producer_stall.found(self._clock(), away=self.away, answered=answered)

    def answered(self) -> None:
        """Record that Kafka answered without accepting a record: it is reachable."""
        self._outage.answered()

    def arrived(self, backlog: Callable[[], int]) -> None:
        """Record a delivery: records arrived, or a transaction was committed."""
        now = self._clock()
        seconds = self._outage.arrived(now)
        if self._mark is not None:
            self._mark.ends()
        if self._held_since is not None:
            held, self._held_since = now - self._held_since, None
            self._log.warning("delivery_resumed", held_seconds=round(held, 1), records_waiting=backlog())
        if seconds is not None:
            self._log.warning("kafka_back", away_seconds=round(seconds, 1), records_waiting=backlog())
