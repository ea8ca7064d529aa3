"""One spool on its way to the topic: rows that are read, records that are sent, reports that come back."""

from collections.abc import Callable
from functools import partial
from typing import Protocol

from confluent_kafka import KafkaError, KafkaException, Message, Producer

from core.spool import Row, SpoolReader
from core.spool.state import SpoolState
from streams.publisher.delivery import Delivery
from streams.publisher.resend import ResendReader
from streams.publisher.verdict import Verdict, cause, judge

#: Rows are read, and handed over, in portions of this size.
PORTION = 500
#: So many records may wait for their reports before reading stops; bytes are bounded by the producer's own queue.
_WINDOW = 50_000

#: An empty queue that cannot take a record never will.
_TOO_LARGE = KafkaError(KafkaError.MSG_SIZE_TOO_LARGE, "larger than queue.buffering.max.kbytes of the producer")

#: A spool's row in the inner loop, where names would cost more than they tell: seq, key, value, schema.
PlainRow = tuple[int, bytes, bytes, str]


class RowSource(Protocol):
    """Where a lane's rows come from: a spool, or the dead letters that are asked for again."""

    stream: str
    spool_id: str

    def moved(self) -> bool:
        """Tell whether the file was replaced."""
        ...

    def last_seq(self) -> int:
        """Return the highest seq ever given."""
        ...

    def read(self, after: int, limit: int) -> list[Row]:
        """Return at most `limit` rows with seq > `after`, ascending."""
        ...

    def read_plain(self, after: int, limit: int) -> list[PlainRow]:
        """Do the same without names for the fields."""
        ...

    def waiting_after(self, seq: int) -> int:
        """Return how many rows stand beyond `seq`."""
        ...

    def cursor(self) -> dict[str, object]:
        """Return what the stream has proven."""
        ...

    def close(self) -> None:
        """Release the file."""
        ...


Report = Callable[[int, KafkaError | None, Message], None]


class Lane:
    """The way of one spool. Records leave in order, and none waits for the report of another.

    The exception is a *suspect*: a record that a broker refused together with others of its batch. It is sent once
    more, alone, so that the verdict can only be about itself.
    """

    def __init__(self, reader: RowSource, position: int) -> None:
        self.reader: RowSource | None = reader
        self.stream = reader.stream
        self.spool_id = reader.spool_id
        self.delivery = Delivery(position)
        #: the Kafka key of the last record that was handed over
        self.last_key = b""
        #: the suspect whose verdict is awaited
        self.alone: Row | None = None
        #: records that the producer itself would not take, with its reason
        self.refused: list[tuple[Row, KafkaError]] = []
        self._rows: list[PlainRow] = []
        self._suspects: set[int] = set()
        #: what the spool knew when it was last read, to be kept once everything up to then is delivered
        self._state: SpoolState | None = None
        self._kept_commits = -1
        self._stream_header = ("stream", self.stream)
        #: where a dead letter stood that is sent again: its record is as it would have been
        self._origin = reader.origin if isinstance(reader, ResendReader) else None
        #: nothing was sent from the position yet
        self.fresh = True
        #: nothing may be sent before it is known what the topic held (see streams.publisher.survey)
        self.awaits_survey = False
        self._open_mailbox()

    def _open_mailbox(self) -> None:
        """Have reports come to new lists: those of a producer that was thrown away end in the old ones, unread."""
        self._acknowledged: list[int] = []
        self._failed: list[tuple[int, KafkaError]] = []
        self._report = _reporter(self._acknowledged, self._failed)

    @property
    def at_suspect(self) -> bool:
        """Whether a suspect is the next to go, or on its way alone."""
        return self.alone is not None or bool(self._rows and self._rows[0][0] in self._suspects)

    def feed(self, producer: Producer, topic: str) -> int:
        """Hand over what the spool holds, a portion at most, up to the first suspect; return how many records."""
        self.pending()
        suspects, send = self._suspects, self._send
        count = 0
        for row in self._rows:
            if (suspects and row[0] in suspects) or not send(producer, topic, row):
                break
            count += 1
        self._pass(count)
        return count

    def feed_alone(self, producer: Producer, topic: str) -> int:
        """Hand over the suspect that is next; the caller has seen to it that nothing else is on its way."""
        if self.alone is not None or not self._rows:
            return 0
        suspect = Row._make(self._rows[0])
        if not self._send(producer, topic, suspect):
            return 0
        self._pass(1)
        if suspect.seq not in self.delivery.arrived:
            self.alone = suspect
        return 1

    def _pass(self, count: int) -> None:
        """Leave behind the first rows of the portion: they were handed over."""
        if count:
            self.last_key = self._rows[count - 1][1]
            del self._rows[:count]

    def pending(self) -> bool:
        """Tell whether there is something to hand over; reads the next portion if need be."""
        if not self._rows and self.reader is not None and len(self.delivery.on_way) < _WINDOW:
            self._rows = self.reader.read_plain(self.delivery.sent, PORTION)
        return bool(self._rows)

    def holds(self, seq: int, key: str) -> bool:
        """Tell whether the record `seq` of this spool is, or before it was pruned may have been, the one with `key`."""
        if self.reader is None:
            return False
        rows = self.reader.read(seq - 1, 1)
        if rows and rows[0].seq == seq:
            return rows[0].key.decode(errors="replace") == key
        return self.reader.last_seq() >= seq

    def _send(self, producer: Producer, topic: str, row: PlainRow) -> bool:
        """Hand over one record; tell whether that was possible. Runs for every single one: it does the least it can."""
        seq, key, value, schema = row
        delivery = self.delivery
        if seq not in delivery.arrived:  # it did arrive where another one of its time failed
            headers: list[tuple[str, str | bytes | None]] = [("schema", schema), self._stream_header, ("seq", str(seq))]
            if self._origin is not None:
                stream, number = self._origin(seq)
                headers[1:] = ("stream", stream), ("seq", str(number))
            try:
                producer.produce(topic, value, key, -1, partial(self._report, seq), None, 0, headers)
            except BufferError:
                if len(producer):
                    return False
                self._refuse(row, _TOO_LARGE)
            except KafkaException as exception:
                error = cause(exception)
                if judge(error) is not Verdict.REFUSED:
                    self._failed.append((seq, error))
                    return False
                self._refuse(row, error)
        delivery.hand_over(seq)
        return True

    def _refuse(self, row: PlainRow, error: KafkaError) -> None:
        self.refused.append((Row._make(row), error))
        self.delivery.bury(row[0])

    def collect(self) -> int:
        """Take in the reports of success that came; return how many."""
        arrived = len(self._acknowledged)
        if arrived:
            self.delivery.acknowledge(self._acknowledged)
            self._suspects.difference_update(self._acknowledged)
            self._acknowledged.clear()
            if self.alone is not None and self.alone.seq in self.delivery.arrived:
                self.alone = None
        return arrived

    def failures(self) -> list[tuple[int, KafkaError]]:
        """Take in the reports of failure that came."""
        failed = self._failed.copy()
        self._failed.clear()
        return failed

    def origin(self, seq: int) -> tuple[str, int]:
        """Return the stream of a record and its number there."""
        return (self.stream, seq) if self._origin is None else self._origin(seq)

    def suspect(self, seq: int) -> Row | None:
        """Take in that a broker refused this record; return it if it was alone, so that nothing is left to doubt."""
        if self.alone is not None and self.alone.seq == seq:
            row, self.alone = self.alone, None
            self._suspects.discard(seq)
            self.delivery.bury(seq)
            return row
        self._suspects.add(seq)
        return None

    def doubt(self, seq: int) -> bool:
        """Have this record sent alone next, so that the answer is about it; tell whether it just was."""
        self._suspects.add(seq)
        return self.alone is not None and self.alone.seq == seq

    def rewind(self) -> None:
        """Send again, from the position on, what has not arrived; reports of what was sent before count no more."""
        self._open_mailbox()
        self._rows.clear()
        self.alone = None
        self.delivery.rewind()

    def delivered_state(self) -> SpoolState | None:
        """Return what the spool knew at a moment up to which all is delivered; None when there is nothing new."""
        state, self._state = self._state, None
        if state is not None and state.last_seq > self.delivery.position:
            self._state = state
            return None
        if state is None and isinstance(self.reader, SpoolReader):
            self._state = self.reader.state()
            return None
        if state is None or state.commits == self._kept_commits:
            return None
        self._kept_commits = state.commits
        return state

    def move(self, position: int) -> None:
        """Take another position for this spool; nothing may be on its way."""
        self.rewind()
        self.delivery = Delivery(position)
        self.fresh = True

    def waiting(self) -> int:
        """Return how many rows stand in the spool beyond the position."""
        return self.reader.waiting_after(self.delivery.position) if self.reader is not None else 0

    def detach(self) -> None:
        """Let go of the file; what is on its way still counts."""
        if self.reader is not None:
            self.reader.close()
            self.reader = None
        self._rows.clear()


def _reporter(acknowledged: list[int], failed: list[tuple[int, KafkaError]]) -> Report:
    """Make the delivery report callback: called once for each record, so it does next to nothing."""
    arrived = acknowledged.append

    def report(seq: int, error: KafkaError | None, _message: Message) -> None:
        if error is None:
            arrived(seq)
        else:
            failed.append((seq, error))

    return report
