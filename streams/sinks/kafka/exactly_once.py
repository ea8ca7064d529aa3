"""Exactly once: records and the position that passes over them, in one Kafka transaction.

A consumer with `read_committed` sees each record once, whatever is killed: a successor fences its predecessor
(`init_transactions` ends what that one left open), then reads the position that was committed last.
"""

# ruff: noqa: SLF001  librdkafka's own error codes are spelled with an underscore; they are public

from collections.abc import Callable
from typing import Unpack

from confluent_kafka import KafkaError, KafkaException

from core.errors import TransientError
from streams.sinks.base import RoundResult
from streams.sinks.kafka.committed_position import CommittedPosition, CommittedPositionReader
from streams.sinks.kafka.delivery_strategy import DeliveryStrategy, StrategyParts
from streams.sinks.kafka.kafka_errors import NOT_THE_RECORD, ErrorClass, cause, classify, is_fenced, is_passing, said
from streams.sinks.kafka.producer import Settings, discard
from streams.sinks.kafka.topics import Topic

#: A call to the broker waits so long at most (seconds); what is not finished then is called again.
_CALL = 0.25


class ExactlyOnce(DeliveryStrategy):
    """One transaction after the other. Each call makes the moves of the phases that belong to it."""

    def __init__(
        self,
        topics: tuple[Topic, Topic],
        make_reader: Callable[[Settings, set[str]], CommittedPositionReader] = CommittedPositionReader,
        **parts: Unpack[StrategyParts],
    ) -> None:
        super().__init__(**parts)
        self._topics = topics
        self._make_reader = make_reader
        self._position_reader: CommittedPositionReader | None = None
        #: the sources whose committed position was read since the last init_transactions
        self._recalled: frozenset[str] = frozenset()
        self._phase: Callable[[], RoundResult] = self._connect
        self._pace = RoundResult.BUSY
        #: whether a move was made in this round
        self._moved = False
        self._in_transaction = False

    def open(self) -> bool:
        """Take over from a predecessor and read what was committed last."""
        if not self._in_transaction:
            self._senders.refresh()
        self._moved = False
        self._move(self._connect, self._take_over, self._recall)
        return self._phase == self._transact

    def send(self) -> int:
        """Begin a transaction with a portion of each source."""
        before = self._handed_over()
        self._move(self._transact)
        return self._handed_over() - before

    def flush(self) -> bool:
        """Wait for all records of the transaction, and put the position behind them; or abort it."""
        self._move(self._flush, self._abort)
        return not self._in_transaction or self._phase == self._end

    def commit(self) -> RoundResult:
        """Commit the transaction, with the positions in it, and save them."""
        self._move(self._end)
        pace, saved = self._pace, self._writer.save()
        if self._health.look(
            waiting=self._in_transaction or (pace is not RoundResult.IDLE and self._senders.backlog() > 0)
        ):
            self._lose_topics()  # they may be: ask again
        if self._producer is not None and self._health.stuck(answered=all(topic.there for topic in self._topics)):
            self._start_anew("Kafka answers, but not to this producer")
        return pace if saved or pace is not RoundResult.IDLE else RoundResult.BLOCKED

    def _move(self, *phases: Callable[[], RoundResult]) -> None:
        """Make one move if this is one of our phases; one move a round, so that none waits for the broker twice."""
        if not self._moved and self._phase in phases:
            self._moved = True
            self._pace = self._phase()

    def _handed_over(self) -> int:
        return sum(len(sender.window.on_way) for sender in self._senders)

    # -- the phases, in their order

    def _connect(self) -> RoundResult:
        if self._clock() < self._resume_at:
            return RoundResult.BLOCKED
        self._producer = self._make_producer(self._settings, self._health)
        self._phase = self._take_over
        return RoundResult.BUSY

    def _take_over(self) -> RoundResult:
        """End what a predecessor left open, and keep it from beginning anything more."""
        if self._call(self._live.init_transactions):
            self._phase = self._recall
        return RoundResult.BUSY

    def _recall(self) -> RoundResult:
        """Read from the topic of positions what was committed last: our own file may lag by one transaction."""
        if self._clock() < self._resume_at:
            return RoundResult.BLOCKED
        there = [topic.ensure(_CALL / 4) for topic in self._topics]
        if not all(there):
            return RoundResult.BUSY if any(topic.asking for topic in self._topics) else RoundResult.BLOCKED
        if self._position_reader is None:
            self._position_reader = self._make_reader(self._settings, {sender.source_id for sender in self._senders})
        try:
            committed = self._position_reader.read(_CALL)
        except KafkaException as exception:
            self._forget_reader()
            error = cause(exception)
            if classify(error) is ErrorClass.TOPIC:
                self._lose_topics()
            elif classify(error) is ErrorClass.HOLD:
                self._health.hold(error)
            else:
                self._health.complain("committed_position_unreadable", error)
            self._resume_at = self._clock() + self._retries.fail()
            return RoundResult.BLOCKED
        if committed is not None:
            self._recalled = self._position_reader.source_ids
            self._forget_reader()
            self._senders.adopt(committed)
            self._phase = self._transact
        return RoundResult.BUSY

    def _transact(self) -> RoundResult:
        """Begin a transaction with what the spools hold, if they hold anything."""
        if self._clock() < self._resume_at:
            return RoundResult.BLOCKED
        if not all(topic.there for topic in self._topics) or not self._known():
            self._phase = self._recall
            return RoundResult.BUSY
        if not self._senders.pending():
            return RoundResult.IDLE
        if self._call(lambda _seconds: self._live.begin_transaction()):
            self._in_transaction = True
            self._senders.feed(self._live, self._settings.topic)
            self._phase = self._flush
        return RoundResult.BUSY

    def _flush(self) -> RoundResult:
        """Wait until all records are in: a position must not be in the log before what it covers."""
        for topic in self._topics:
            topic.ensure(0.0)
        if not self._call(self._live.flush):
            return RoundResult.BUSY
        classes = self._senders.classify_failures()
        if classes:
            self._fail(classes, answered=classes == {ErrorClass.REFUSED})
        elif not self._writer.letters_kept:
            return RoundResult.BLOCKED  # a position must not pass a dead letter that is not on disk
        elif not len(self._live) and self._call(self._add_positions):
            self._phase = self._end
        return RoundResult.BUSY

    def _end(self) -> RoundResult:
        if self._call(self._live.commit_transaction):
            self._in_transaction = False
            arrived = self._senders.collect()
            self._retries.succeed()
            self._health.arrived(lambda: arrived + self._senders.backlog())
            self._phase = self._transact
        return RoundResult.BUSY

    def _abort(self) -> RoundResult:
        if self._call(self._live.abort_transaction):
            self._in_transaction = False
            self._senders.rewind()
            self._phase = self._transact
        return RoundResult.BUSY

    # -- what they are made of

    def _known(self) -> bool:
        return all(sender.source_id in self._recalled for sender in self._senders)

    def _add_positions(self, _seconds: float) -> None:
        """Put the new position of each spool into the transaction."""
        for sender in self._senders:
            window = sender.window
            if window.sent > window.position:
                position = CommittedPosition(window.sent, sender.last_key.decode(errors="replace"))
                self._live.produce(self._settings.positions_topic, position.to_json(), sender.source_id, 0)

    def _call(self, call: Callable[[float], object]) -> bool:
        """Make a call to librdkafka; tell whether it is done. If not, the phase says what comes next."""
        try:
            call(_CALL)
        except KafkaException as exception:
            self._take_error(cause(exception))
            return False
        return True

    def _take_error(self, error: KafkaError) -> None:
        if is_fenced(error):
            raise TransientError(
                "another publisher of this deployment took over, or the broker ended a transaction that took too long:"
                " this one ends"
            )
        if not error.fatal() and is_passing(error):
            return  # the same call again
        self._writer.count_errors(1)
        # once a transaction has failed, further records are refused with _STATE: aborting it is what is left
        if error.code() in NOT_THE_RECORD:
            self._health.hold(error, self._senders.clock_offset())
        failed = error.txn_requires_abort() or error.code() == KafkaError._STATE
        if failed and self._in_transaction and self._phase != self._abort:
            if error.code() not in NOT_THE_RECORD:
                self._health.complain("transaction_failed", error, hint="its records are sent again in another one")
            self._fail({classify(error)})
        else:
            self._start_anew(said(error))

    def _fail(self, classes: set[ErrorClass], *, answered: bool = False) -> None:
        """Give this transaction up; its records are sent again, after a pause unless Kafka `answered` about each."""
        if ErrorClass.TOPIC in classes:
            self._lose_topics()
        if answered:
            self._retries.succeed()
            self._health.answered()
        else:
            self._resume_at = self._clock() + self._retries.fail()
        self._phase = self._abort

    def _start_anew(self, reason: str) -> None:
        """Throw the producer away. How its last transaction ended is for the committed positions to say."""
        pause = self._retries.fail()
        if times := self._health.times(f"producer_replaced {reason}"):
            self._log.error("producer_replaced", reason=reason, pause_seconds=round(pause, 2), times=times)
        discard(self._live)
        self._producer = None
        self._in_transaction = False
        self._recalled = frozenset()
        self._senders.rewind()
        self._resume_at = self._clock() + pause
        self._phase = self._connect

    def _lose_topics(self) -> None:
        for topic in self._topics:
            topic.missing()

    def _forget_reader(self) -> None:
        if self._position_reader is not None:
            self._position_reader.close()
            self._position_reader = None

    def _let_go(self, seconds: float) -> None:
        """Let go of the broker; a transaction that is still open is given up, so that no reader waits for it."""
        self._forget_reader()
        if self._producer is None:
            return
        if self._in_transaction:
            try:
                self._producer.abort_transaction(seconds)
            except KafkaException as exception:
                hint = "readers wait for its end until the next start"
                self._log.warning("transaction_left_open", error=said(cause(exception)), hint=hint)
        discard(self._producer)
        self._producer = None
