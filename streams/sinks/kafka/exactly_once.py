"""Exactly once: records and the position that covers them, in one Kafka transaction.

A consumer with `read_committed` sees each record once, whichever process is killed: a successor fences its predecessor
(`init_transactions` ends its open transaction), then reads the last committed position.
"""

# ruff: noqa: SLF001  librdkafka's own error codes are spelled with an underscore; they are public

from collections.abc import Callable
from functools import partial
from typing import Unpack

from confluent_kafka import KafkaError, KafkaException

from core.errors import TransientError
from streams.sinks.base import RoundResult
from streams.sinks.kafka.committed_position import CommittedPosition, CommittedPositionReader
from streams.sinks.kafka.delivery_strategy import DeliveryStrategy, StrategyParts
from streams.sinks.kafka.kafka_errors import (
    NOT_THE_MEMBER,
    NOT_THE_RECORD,
    ErrorClass,
    cause,
    classify,
    error_text,
    is_fenced,
    is_passing,
)
from streams.sinks.kafka.producer import KafkaSettings, discard
from streams.sinks.kafka.topics import Topic
from streams.sinks.kafka.transaction_size import TransactionSize

#: Longest wait of one call to the broker (seconds); an unfinished call is repeated.
_CALL_S = 0.25
#: Records in flight at which no more are added for the moment: enough to keep a fast broker busy. If the broker becomes
#: slow, only these delay the commit.
_MOST_IN_FLIGHT = 5_000
_ENDED_ELSEWHERE = "another machine has ended the open transaction of this one"
#: Seconds to wait until records in flight have arrived, before the next check.
_POLL_S = 0.01


class ExactlyOnce(DeliveryStrategy):
    """Runs one transaction after another. Each call does the steps of its own phases."""

    def __init__(
        self,
        positions: Topic,
        make_reader: Callable[[KafkaSettings, set[str]], CommittedPositionReader] = CommittedPositionReader,
        **parts: Unpack[StrategyParts],
    ) -> None:
        super().__init__(**parts)
        #: the topic of the positions, written with the records
        self._positions = positions
        self._make_reader = make_reader
        self._position_reader: CommittedPositionReader | None = None
        #: the sources whose committed position was read since the last init_transactions
        self._read_sources: frozenset[str] = frozenset()
        self._phase: Callable[[], RoundResult] = self._connect
        self._result = RoundResult.BUSY
        #: whether a step was done in this round
        self._stepped = False
        self._in_transaction = False
        #: whether the broker was told to commit the transaction: then it can no longer be aborted
        self._committing = False
        #: whether the names and states of a cluster are in the transaction
        self._states_added = False
        self._size = TransactionSize()

    def open(self) -> bool:
        """Take over from a predecessor and read the last committed positions."""
        if not self._in_transaction:
            self._senders.refresh()
        self._stepped = False
        if self._routing is not None and self._routing.take_void() and self._in_transaction and not self._committing:
            self._phase = self._abort  # its records may belong to another machine now
        self._step(self._connect, self._take_over, self._read_positions)
        return self._phase in (self._transact, self._fill)

    def send(self) -> int:
        """Begin a transaction with a batch from each source, or add one."""
        before = self._in_flight()
        self._step(self._transact, self._fill)
        return self._in_flight() - before

    def flush(self) -> bool:
        """Wait for all records of the transaction, then add the positions; or abort it."""
        self._step(self._flush, self._abort)
        return not self._in_transaction or self._phase == self._end

    def commit(self) -> RoundResult:
        """Commit the transaction, with the positions in it, and save them."""
        self._step(self._end)
        result, saved = self._result, self._writer.save()
        if self._health.check_outage(
            waiting=self._in_transaction or (result is not RoundResult.IDLE and self._senders.backlog() > 0)
        ):
            self._recheck_topics()  # they may be: check again
        self._ensure_topics(0.0)  # in every phase, so that a stuck one is noticed too
        answered = self._positions.ensure(0.0) and (self._topics.any_exists or not self._senders.topic_groups())
        if self._producer is not None and self._health.stuck(answered=answered):
            self._replace_producer("Kafka answers other requests, but not this producer's")
        return result if saved or result is not RoundResult.IDLE else RoundResult.BLOCKED

    def _step(self, *phases: Callable[[], RoundResult]) -> None:
        """Do one step if the phase is one of these; one step per round, so a round waits for the broker only once."""
        if not self._stepped and self._phase in phases:
            self._stepped = True
            self._result = self._phase()

    def _in_flight(self) -> int:
        return sum(len(sender.window.on_way) for sender in self._senders)

    # -- the phases, in order

    def _connect(self) -> RoundResult:
        if self._clock() < self._resume_at:
            return RoundResult.BLOCKED
        self._producer = self._make_producer(self._settings, self._health)
        self._phase = self._take_over
        return RoundResult.BUSY

    def _take_over(self) -> RoundResult:
        """End a predecessor's open transaction, and fence it so that it cannot begin another."""
        if self._call(self._active_producer.init_transactions):
            self._phase = self._read_positions
        return RoundResult.BUSY

    def _read_positions(self) -> RoundResult:
        """Read the last committed positions from their topic: the local file may lag by one transaction."""
        if self._clock() < self._resume_at:
            return RoundResult.BLOCKED
        exist = [self._positions.ensure(_CALL_S / 4), self._ensure_topics(_CALL_S / 4)]
        if not all(exist):
            pending = self._positions.request_pending or self._topics.request_pending
            return RoundResult.BUSY if pending else RoundResult.BLOCKED
        if self._position_reader is None:
            self._position_reader = self._make_reader(self._settings, {sender.source_id for sender in self._senders})
        try:
            committed = self._position_reader.read(_CALL_S)
        except KafkaException as exception:
            self._close_reader()
            error = cause(exception)
            if classify(error) is ErrorClass.TOPIC:
                self._recheck_topics()
            elif classify(error) is ErrorClass.HOLD:
                self._health.hold(error)
            else:
                self._health.log_error("committed_position_unreadable", error)
            self._resume_at = self._clock() + self._retries.fail()
            return RoundResult.BLOCKED
        if committed is not None:
            self._read_sources = self._position_reader.source_ids
            self._close_reader()
            self._senders.adopt(committed)
            self._phase = self._transact
        return RoundResult.BUSY

    def _transact(self) -> RoundResult:
        """Begin a transaction with the spools' records, if there are any."""
        if self._clock() < self._resume_at:
            return RoundResult.BLOCKED
        if not (self._positions.exists and self._topics_ready() and self._all_positions_read()):
            self._phase = self._read_positions
            return RoundResult.BUSY
        if not self._senders.pending() and not (self._routing is not None and self._routing.due):
            return RoundResult.IDLE
        if self._call(lambda _seconds: self._active_producer.begin_transaction()):
            self._in_transaction, self._committing, self._states_added = True, False, False
            self._size.begin(self._clock())
            self._add_batch()
            self._phase = self._fill
        return RoundResult.BUSY

    def _fill(self) -> RoundResult:
        """Add batches while there is a backlog, until the transaction is full."""
        if not self._call(self._active_producer.poll, 0.0):
            return RoundResult.BUSY
        if not self._senders.may_add or self._size.is_full(self._clock()) or not self._senders.pending():
            self._phase = self._flush
            return self._flush()
        if len(self._active_producer) >= _MOST_IN_FLIGHT or not self._add_batch():
            self._call(self._active_producer.poll, _POLL_S)
        return RoundResult.BUSY

    def _add_batch(self) -> int:
        before = self._senders.sent_bytes
        count = self._senders.send_batch(self._active_producer)
        self._size.add(count, self._senders.sent_bytes - before)
        return count

    def _flush(self) -> RoundResult:
        """Wait until all records arrived: a position must not be in the log before the records it covers."""
        if not self._call(self._active_producer.flush):
            return RoundResult.BUSY
        classes = self._senders.classify_failures()
        if classes:
            self._fail(classes, answered=classes == {ErrorClass.REFUSED})
        elif not self._senders.complete(self._active_producer):
            return RoundResult.BUSY  # a copy that did not fit before: it belongs to this transaction
        elif not self._writer.letters_kept:
            return RoundResult.BLOCKED  # a position must not pass a dead letter that is not yet on disk
        elif not len(self._active_producer):
            self._add_the_rest()
        return RoundResult.BUSY

    def _add_the_rest(self) -> None:
        """Add what covers the records; the proof that this machine may write it comes after all records."""
        routing = self._routing
        if routing is None:
            if self._call(self._add_positions):
                self._phase = self._end
        elif not self._states_added:
            self._states_added = self._call(self._add_states) and self._call(self._add_positions)
        elif self._call(partial(routing.fence, self._active_producer)):
            self._phase = self._end

    def _add_states(self, _seconds: float) -> None:
        """Add what the next owner of this machine's shards must know."""
        for (topic, partition), key, value in self._routing.writes(in_transaction=True) if self._routing else ():
            self._active_producer.produce(topic, value, key, partition)

    def _end(self) -> RoundResult:
        self._committing = True
        if self._call(self._active_producer.commit_transaction):
            self._in_transaction = False
            if self._routing is not None:
                self._routing.committed()
            self._size.committed(self._clock())
            arrived = self._senders.acknowledge()  # a record that failed would have kept the transaction from its end
            self._retries.succeed()
            self._health.arrived(lambda: arrived + self._senders.backlog())
            self._phase = self._transact
        return RoundResult.BUSY

    def _abort(self) -> RoundResult:
        if self._call(self._active_producer.abort_transaction):
            self._in_transaction = False
            self._rewind()
            self._phase = self._transact
        return RoundResult.BUSY

    # -- helpers of the phases

    def _rewind(self) -> None:
        """Send again, in a new transaction, what has not arrived."""
        self._senders.rewind()
        if self._routing is not None:
            self._routing.abandoned()

    def _all_positions_read(self) -> bool:
        return all(sender.source_id in self._read_sources for sender in self._senders)

    def _add_positions(self, _seconds: float) -> None:
        """Add each spool's new position to the transaction."""
        for sender in self._senders:
            window = sender.window
            if window.sent > window.position:
                position = CommittedPosition(window.sent, sender.last_key.decode(errors="replace"))
                self._active_producer.produce(self._settings.positions_topic, position.to_json(), sender.source_id, 0)

    def _call(self, call: Callable[[float], object], seconds: float = _CALL_S) -> bool:
        """Call librdkafka; return whether the call is done. If not, the phase determines the next step."""
        try:
            call(seconds)
        except KafkaException as exception:
            self._take_error(cause(exception))
            return False
        return True

    def _take_error(self, error: KafkaError) -> None:
        if is_fenced(error) and self._routing is not None:
            # the next owner of its shards ended its transaction; of two machines with one name the group refuses one
            self._replace_producer(_ENDED_ELSEWHERE)
            return
        if is_fenced(error):
            raise TransientError(
                "another publisher of this deployment has taken over, or the broker ended a transaction that took too"
                " long: this process ends"
            )
        if not error.fatal() and is_passing(error):
            return  # repeat the same call
        self._writer.count_errors(1)
        if self._routing is not None and error.code() in NOT_THE_MEMBER:
            self._routing.refused()
        # after a transaction fails, further records are refused with _STATE: only an abort remains
        if error.code() in NOT_THE_RECORD:
            self._health.hold(error, self._senders.clock_offset())
        failed = error.txn_requires_abort() or error.code() == KafkaError._STATE
        if failed and self._in_transaction and self._phase != self._abort:
            if error.code() not in NOT_THE_RECORD:
                self._health.log_error(
                    "transaction_failed", error, hint="its records are sent again in a new transaction"
                )
            self._fail({classify(error)})
        else:
            self._replace_producer(error_text(error))

    def _fail(self, classes: set[ErrorClass], *, answered: bool = False) -> None:
        """Abandon this transaction; its records are resent, after a pause unless Kafka `answered` about each."""
        self._size.restart()
        self._committing = False
        if ErrorClass.TOPIC in classes:
            self._recheck_topics()
        if self._routing is not None and not answered:
            self._routing.topic_missing()
        if answered:
            self._retries.succeed()
            self._health.answered()
        else:
            self._resume_at = self._clock() + self._retries.fail()
        self._phase = self._abort

    def _replace_producer(self, reason: str) -> None:
        """Discard the producer. The committed positions show how its last transaction ended."""
        pause = self._retries.fail()
        if times := self._health.times(f"producer_replaced {reason}"):
            self._log.error("producer_replaced", reason=reason, pause_seconds=round(pause, 2), times=times)
        discard(self._active_producer)
        if self._routing is not None:
            self._routing.topic_missing()
        self._producer = None
        self._in_transaction = False
        self._size.restart()
        self._read_sources = frozenset()
        self._rewind()
        self._resume_at = self._clock() + pause
        self._phase = self._connect

    def _recheck_topics(self) -> None:
        self._positions.missing()
        self._topics.missing()

    def _close_reader(self) -> None:
        if self._position_reader is not None:
            self._position_reader.close()
            self._position_reader = None

    def _disconnect(self, seconds: float) -> None:
        """Disconnect from the broker; abandon an open transaction, so that no reader waits for it."""
        self._close_reader()
        if self._producer is None:
            return
        if self._in_transaction:
            try:
                self._producer.abort_transaction(seconds)
            except KafkaException as exception:
                hint = "consumers with read_committed wait for its end until the next start"
                self._log.warning("transaction_left_open", error=error_text(cause(exception)), hint=hint)
        discard(self._producer)
        self._producer = None
