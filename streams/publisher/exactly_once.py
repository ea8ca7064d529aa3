"""Exactly once: records and the position that passes over them, in one Kafka transaction.

A consumer with `read_committed` sees each record once, whatever is killed: a successor fences its predecessor
(`init_transactions` ends what that one left open), then reads the position that was committed last.
"""

# ruff: noqa: SLF001  librdkafka's own error codes are spelled with an underscore; they are public

from collections.abc import Callable

from confluent_kafka import KafkaError, KafkaException, Producer

from core.errors import TransientError
from streams.publisher.causes import NOT_THE_RECORD
from streams.publisher.client import discard
from streams.publisher.marks import Mark, MarkReader
from streams.publisher.pace import Pace
from streams.publisher.settings import Settings
from streams.publisher.topics import Topic
from streams.publisher.verdict import Verdict, cause, is_fenced, is_passing, judge, said
from streams.publisher.workplace import Workplace

#: A call to the broker waits so long at most (seconds); what is not finished then is called again.
_CALL = 0.25


class ExactlyOnce:
    """One transaction after the other. Each `step` makes one move of the phase we are in."""

    def __init__(
        self,
        place: Workplace,
        topics: tuple[Topic, Topic],
        make_reader: Callable[[Settings, set[str]], MarkReader] = MarkReader,
    ) -> None:
        self._settings = place.settings
        self._lanes = place.lanes
        self._ledger = place.ledger
        self._watch = place.watch
        self._retries = place.retries
        self._log = place.log
        self._clock = place.clock
        self._make_producer = place.make_producer
        self._topics = topics
        self._make_reader = make_reader
        self._producer: Producer | None = None
        self._mark_reader: MarkReader | None = None
        #: the spools whose committed position was read since the last init_transactions
        self._recalled: frozenset[str] = frozenset()
        self._phase: Callable[[], Pace] = self._connect
        self._resume_at = 0.0
        self._in_transaction = False

    def step(self) -> Pace:
        """Make one move."""
        if not self._in_transaction:
            self._lanes.refresh(lambda reader: self._ledger.position(reader.spool_id))
        pace = self._phase()
        saved = self._ledger.save()
        if self._watch.look(waiting=self._in_transaction or (pace is not Pace.IDLE and self._lanes.backlog() > 0)):
            self._lose_topics()  # they may be: ask again
        if self._producer is not None and self._watch.stuck(answered=all(topic.there for topic in self._topics)):
            self._start_anew("Kafka answers, but not to this producer")
        return pace if saved or pace is not Pace.IDLE else Pace.BLOCKED

    # -- the phases, in their order

    def _connect(self) -> Pace:
        if self._clock() < self._resume_at:
            return Pace.BLOCKED
        self._producer = self._make_producer(self._settings, self._watch)
        self._phase = self._take_over
        return Pace.BUSY

    def _take_over(self) -> Pace:
        """End what a predecessor left open, and keep it from beginning anything more."""
        if self._call(self._live.init_transactions):
            self._phase = self._recall
        return Pace.BUSY

    def _recall(self) -> Pace:
        """Read from the topic of marks what was committed last: our own file may lag by one transaction."""
        if self._clock() < self._resume_at:
            return Pace.BLOCKED
        there = [topic.ensure(_CALL / 4) for topic in self._topics]
        if not all(there):
            return Pace.BUSY if any(topic.asking for topic in self._topics) else Pace.BLOCKED
        if self._mark_reader is None:
            self._mark_reader = self._make_reader(self._settings, {lane.spool_id for lane in self._lanes})
        try:
            marks = self._mark_reader.read(_CALL)
        except KafkaException as exception:
            self._forget_reader()
            error = cause(exception)
            if judge(error) is Verdict.TOPIC:
                self._lose_topics()
            elif judge(error) is Verdict.HOLD:
                self._watch.hold(error)
            else:
                self._watch.complain("committed_position_unreadable", error)
            self._resume_at = self._clock() + self._retries.fail()
            return Pace.BLOCKED
        if marks is not None:
            self._recalled = self._mark_reader.spool_ids
            self._forget_reader()
            self._lanes.adopt(marks)
            self._phase = self._transact
        return Pace.BUSY

    def _transact(self) -> Pace:
        """Begin a transaction with what the spools hold, if they hold anything."""
        if self._clock() < self._resume_at:
            return Pace.BLOCKED
        if not all(topic.there for topic in self._topics) or not self._known():
            self._phase = self._recall
            return Pace.BUSY
        if not self._lanes.pending():
            return Pace.IDLE
        if self._call(lambda _seconds: self._live.begin_transaction()):
            self._in_transaction = True
            self._lanes.feed(self._live, self._settings.topic)
            self._phase = self._flush
        return Pace.BUSY

    def _flush(self) -> Pace:
        """Wait until all records are in: a mark must not be in the log before what it covers, whatever the broker."""
        for topic in self._topics:
            topic.ensure(0.0)
        if not self._call(self._live.flush):
            return Pace.BUSY
        verdicts = self._lanes.judge_failures()
        if verdicts:
            self._fail(verdicts, answered=verdicts == {Verdict.REFUSED})
        elif not self._ledger.letters_kept:
            return Pace.BLOCKED  # a mark must not pass a dead letter that is not on disk
        elif not len(self._live) and self._call(self._mark):
            self._phase = self._commit
        return Pace.BUSY

    def _commit(self) -> Pace:
        if self._call(self._live.commit_transaction):
            self._in_transaction = False
            arrived = self._lanes.collect()
            self._retries.succeed()
            self._watch.arrived(lambda: arrived + self._lanes.backlog())
            self._phase = self._transact
        return Pace.BUSY

    def _abort(self) -> Pace:
        if self._call(self._live.abort_transaction):
            self._in_transaction = False
            self._lanes.rewind()
            self._phase = self._transact
        return Pace.BUSY

    # -- what they are made of

    @property
    def _live(self) -> Producer:
        if self._producer is None:
            raise RuntimeError("there is no producer in this phase")
        return self._producer

    def _known(self) -> bool:
        return all(lane.spool_id in self._recalled for lane in self._lanes)

    def _mark(self, _seconds: float) -> None:
        """Put the new position of each spool into the transaction."""
        for lane in self._lanes:
            delivery = lane.delivery
            if delivery.sent > delivery.position:
                mark = Mark(delivery.sent, lane.last_key.decode(errors="replace"))
                self._live.produce(self._settings.positions_topic, mark.to_json(), lane.spool_id, 0)

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
        self._ledger.count_errors(1)
        # once a transaction has failed, further records are refused with _STATE: aborting it is what is left
        if error.code() in NOT_THE_RECORD:
            self._watch.hold(error, self._lanes.clock_offset())
        failed = error.txn_requires_abort() or error.code() == KafkaError._STATE
        if failed and self._in_transaction and self._phase != self._abort:
            if error.code() not in NOT_THE_RECORD:
                self._watch.complain("transaction_failed", error, hint="its records are sent again in another one")
            self._fail({judge(error)})
        else:
            self._start_anew(said(error))

    def _fail(self, verdicts: set[Verdict], *, answered: bool = False) -> None:
        """Give this transaction up; its records are sent again, after a pause unless Kafka `answered` about each."""
        if Verdict.TOPIC in verdicts:
            self._lose_topics()
        if answered:
            self._retries.succeed()
            self._watch.answered()
        else:
            self._resume_at = self._clock() + self._retries.fail()
        self._phase = self._abort

    def _start_anew(self, reason: str) -> None:
        """Throw the producer away. How its last transaction ended is for the marks to say."""
        pause = self._retries.fail()
        if times := self._watch.times(f"producer_replaced {reason}"):
            self._log.error("producer_replaced", reason=reason, pause_seconds=round(pause, 2), times=times)
        discard(self._live)
        self._producer = None
        self._in_transaction = False
        self._recalled = frozenset()
        self._lanes.rewind()
        self._resume_at = self._clock() + pause
        self._phase = self._connect

    def _lose_topics(self) -> None:
        for topic in self._topics:
            topic.missing()

    def _forget_reader(self) -> None:
        if self._mark_reader is not None:
            self._mark_reader.close()
            self._mark_reader = None

    def close(self, seconds: float) -> None:
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
