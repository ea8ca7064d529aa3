"""The routing of rows where several machines share the subreddits, and what is written beside the records.

The interface that the delivery strategies use; `streams.cluster` implements it. With one machine there is none.
"""

import enum
from typing import NamedTuple, Protocol

from confluent_kafka import Producer

from core.spool.spool_state import SpoolState
from streams.sources.base import PlainRow


class Destination(NamedTuple):
    """The topic and the partition of a row; -1: the partition follows from the key."""

    topic: str
    partition: int


class NoSending(enum.Enum):
    """Why a row is not sent."""

    WAIT = "it is not known yet which machine delivers it"
    SKIP = "another machine has delivered it"


class StateWrite(NamedTuple):
    """A record beside the data: its place, key and value."""

    destination: Destination
    key: bytes
    value: bytes


class Routing(Protocol):
    """Decides about rows by the shard of their subreddit, and collects what the next owner of a shard must know."""

    @property
    def ready(self) -> bool:
        """Whether this machine is a member of the group: otherwise nothing is sent."""
        ...

    @property
    def due(self) -> bool:
        """Whether something beside records is to be written now."""
        ...

    def take_void(self) -> bool:
        """Return whether the open transaction must be abandoned: shards left this machine since the last call."""
        ...

    def place(self, stream: str, row: PlainRow) -> Destination | NoSending:
        """Return where this row of the stream goes."""
        ...

    def sent(self, source: str, stream: str, row: PlainRow, destination: Destination) -> None:
        """Note that a row of this source was given to the producer."""
        ...

    def skipped(self, stream: str, row: PlainRow) -> None:
        """Note that the row is settled: another machine has delivered it."""
        ...

    def arrived(self, source: str, position: int) -> None:
        """Note that all rows of the source up to this seq have arrived (at least once only)."""
        ...

    def rewound(self, source: str) -> None:
        """Note that what did not arrive of this source is sent again, with what was written about it."""
        ...

    def delivered(self, stream: str, state: SpoolState) -> None:
        """Note the state of a spool at a moment up to which everything is delivered."""
        ...

    def writes(self, *, in_transaction: bool) -> list[StateWrite]:
        """Return what is to be written beside the records; with a transaction, for all rows sent in it."""
        ...

    def committed(self) -> None:
        """Note that the last `writes` are durable."""
        ...

    def abandoned(self) -> None:
        """Note that the transaction with the last `writes` failed."""
        ...

    def fence(self, producer: Producer, seconds: float) -> None:
        """Add to the transaction the proof that this machine owns its shards. Raises KafkaException."""
        ...

    def topic_missing(self) -> None:
        """Note that a topic of these writes may no longer exist: it is checked, and made again if necessary."""
        ...

    def refused(self) -> None:
        """Note that the group refuses the commits of this machine: it is no longer the member that it was."""
        ...
