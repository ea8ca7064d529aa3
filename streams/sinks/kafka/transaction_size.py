"""The size of the next transaction: large while there is a backlog, small again as soon as there is none; pure.

A transaction costs the broker about the same with 1,000 records as with 100. But consumers with `read_committed` see
nothing of a partition while a transaction is open in it, so its duration is bounded too.
"""

#: Seconds that a transaction should take, from its begin to its commit.
TARGET_S = 1.0
#: Seconds after which nothing is added: the rest is for what is in flight, and for the commit.
_ADD_FOR_S = TARGET_S / 2
#: The size of the first transaction of a backlog; each one may be twice as large as the one before.
_FIRST_RECORDS = 500
_FIRST_BYTES = 1 << 20
_GROWTH = 2.0
#: The largest size: half a second of a fast broker.
MOST_RECORDS = 20_000
MOST_BYTES = 16 << 20


class TransactionSize:
    """Decides when a transaction is full: by its age, and by records and bytes, which follow the broker's speed.

    The speed is unknown when a backlog begins. So each backlog begins with a small transaction.
    """

    def __init__(self) -> None:
        self._most_records, self._most_bytes = _FIRST_RECORDS, _FIRST_BYTES
        self._records = self._bytes = 0
        self._began = 0.0
        self._was_full = False

    @property
    def most_records(self) -> int:
        """The number of records from which on the transaction is full."""
        return self._most_records

    def begin(self, now: float) -> None:
        """Record that a transaction begins; `now`: monotonic seconds."""
        self._records = self._bytes = 0
        self._began, self._was_full = now, False

    def add(self, records: int, size: int) -> None:
        """Record that this number of records, of `size` bytes together, was added."""
        self._records += records
        self._bytes += size

    def is_full(self, now: float) -> bool:
        """Return whether nothing more is to be added."""
        self._was_full = (
            self._records >= self._most_records or self._bytes >= self._most_bytes or now - self._began >= _ADD_FOR_S
        )
        return self._was_full

    def committed(self, now: float) -> None:
        """Set the size of the next transaction by the duration of this one."""
        if not self._was_full:  # it held all there was: the backlog is over
            self.restart()
            return
        factor = min(_GROWTH, TARGET_S / max(now - self._began, 0.001))
        self._most_records = max(_FIRST_RECORDS, min(MOST_RECORDS, int(self._records * factor)))
        self._most_bytes = max(_FIRST_BYTES, min(MOST_BYTES, int(self._bytes * factor)))

    def restart(self) -> None:
        """Begin small again: the backlog is over, or a transaction failed."""
        self._most_records, self._most_bytes = _FIRST_RECORDS, _FIRST_BYTES
