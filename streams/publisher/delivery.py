"""Which records of one spool are on their way, and up to where all of them have arrived. Pure: no clock, no I/O."""

from collections import deque
from collections.abc import Iterable


class Delivery:
    """The account of one spool: records leave in the order of their seq, reports come back in any order.

    `position` never passes a record whose report has not come; what arrived beyond it is remembered, so that sending
    again from the position (`rewind`) repeats only what is missing.
    """

    __slots__ = ("_buried", "arrived", "on_way", "position", "sent")

    def __init__(self, position: int) -> None:
        #: every record up to here is settled: acknowledged, or buried as a dead letter
        self.position = position
        #: the last record handed over; the next one to send is the first with a higher seq
        self.sent = position
        #: handed over and beyond the position, ascending
        self.on_way: deque[int] = deque()
        #: settled, but something before it is not yet
        self.arrived: set[int] = set()
        self._buried: set[int] = set()

    def hand_over(self, seq: int) -> None:
        """Note that this record, the next one by seq, was given to the producer (or need not be: it has arrived)."""
        if seq <= self.sent:
            raise ValueError(f"record {seq} was handed over before (now at {self.sent})")
        self.on_way.append(seq)
        self.sent = seq

    def acknowledge(self, seqs: Iterable[int]) -> None:
        """Take in reports of success."""
        self.arrived.update(seqs)

    def bury(self, seq: int) -> None:
        """Settle a record that will never be sent: it is a dead letter."""
        self.arrived.add(seq)
        self._buried.add(seq)

    def advance(self) -> int:
        """Move the position over all that is settled without a break; return how many records arrived by that."""
        on_way, arrived, buried = self.on_way, self.arrived, self._buried
        count = 0
        while on_way and on_way[0] in arrived:
            seq = on_way.popleft()
            arrived.discard(seq)
            if seq in buried:
                buried.discard(seq)
            else:
                count += 1
            self.position = seq
        return count

    def rewind(self) -> None:
        """Start again behind the position: what has not arrived will be handed over once more."""
        self.on_way.clear()
        self.sent = self.position

    @property
    def settled(self) -> bool:
        """Whether nothing is on its way."""
        return not self.on_way
