"""Decides for each row of a source where it goes, and counts what goes to `latest`."""

from collections import Counter
from collections.abc import Iterable

from confluent_kafka import KafkaError

from core.stream_kinds import reads_listing
from streams.sinks.kafka.destinations import Destinations, Route
from streams.sinks.kafka.routing import Destination, NoSending, Routing
from streams.sinks.spool_senders import PORTION, SpoolSender
from streams.sources.base import PlainRow

#: Why such a dead letter is not sent again.
ONLY_A_STATE = KafkaError(
    KafkaError._STATE,  # noqa: SLF001 - librdkafka's own error codes are spelled with an underscore; they are public
    "it is only the state of an item at that time, and the item may have changed since: drop it",
)


class RowRoutes:
    """The routes of one sender's rows.

    Args:
        sender: of the rows.
        foreign: whether they belong to other streams: dead letters that are sent again.
        destinations: the topics.
        routing: of a cluster; None for one machine.
    """

    def __init__(
        self, sender: SpoolSender, destinations: Destinations, routing: Routing | None, *, foreign: bool
    ) -> None:
        self._sender = sender
        self._foreign = foreign
        self._destinations = destinations
        #: what no listing shows belongs to no machine's subreddits
        self.routing = routing if foreign or reads_listing(sender.stream) else None
        #: the topic of the stream's records
        self.topic = destinations.topic_of(sender.stream)
        #: whether rows differ in where they go: otherwise all go to `topic`
        self.varied = foreign or self.routing is not None or destinations.differ(sender.stream)
        #: the streams of the rows that were read
        self._streams = set() if foreign else {sender.stream}
        #: what goes to `latest` beyond the position, by seq: how it is counted
        self._states: dict[int, str] = {}
        self._obsolete: list[PlainRow] = []

    def topics(self) -> tuple[str, ...]:
        """Return the topics that rows go to; of dead letters, those of the rows that were read."""
        return self._destinations.topics(self._streams, resent=self._foreign)

    def read(self, rows: Iterable[PlainRow]) -> None:
        """Note the streams of rows that were read."""
        if self._foreign:
            self._streams.update(self._sender.origin(row[0])[0] for row in rows)

    def route(self, row: PlainRow) -> Route | None:
        """Return where a row goes, None: not known yet. A row that goes nowhere is settled here."""
        seq, window = row[0], self._sender.window
        stream = self._sender.origin(seq)[0]
        route = self._destinations.route(stream, row[3], resent=self._foreign)
        if not route.topic:
            self._settle(row)
        elif self.routing is not None:
            place = self.routing.place(stream, row)
            if place is NoSending.WAIT:
                return None
            if isinstance(place, Destination):
                return route if place.partition < 0 else Route(*place)
            if seq not in window.arrived:
                window.dead_letter(seq)
                self.routing.skipped(stream, row)
            return Route("")
        return route

    def _settle(self, row: PlainRow) -> None:
        """Settle a row that goes nowhere: it is never sent."""
        if row[0] in self._sender.window.arrived:
            return
        self._sender.window.dead_letter(row[0])
        if self._foreign:
            self._obsolete.append(row)
        else:
            self._states[row[0]] = "unsent"

    def take_obsolete(self) -> list[PlainRow]:
        """Remove and return the dead letters that are not sent again, since `latest` may hold something newer."""
        obsolete, self._obsolete = self._obsolete, []
        return obsolete

    def note(self, row: PlainRow, route: Route) -> None:
        """Note that a row was given to the producer; what is no record of this machine does not count as published."""
        seq = row[0]
        if route.state_only or route.partition >= 0:
            self._sender.window.exclude(seq)
        if route.state_only or route.copy:
            self._states[seq] = "record" if row[2] else "tombstone"
        else:
            self._states.pop(seq, None)
        if self.routing is not None:
            place = Destination(route.topic, route.partition)
            self.routing.sent(self._sender.name, self._sender.origin(seq)[0], row, place)

    def refuse(self, seq: int) -> None:
        """Note that a row is a dead letter."""
        self._states.pop(seq, None)

    def passed(self) -> Counter[str]:
        """Remove and return the rows for `latest` that the position has passed, counted by kind."""
        counts: Counter[str] = Counter()
        while self._states and (seq := next(iter(self._states))) <= self._sender.window.position:
            counts[self._states.pop(seq)] += 1
        return counts

    def committed(self, after: int, until: int) -> Counter[str] | None:
        """Count the rows of a range that was found committed: records as `published`, the others as in `passed`.

        None: all rows of the source are records, and go to one topic.
        """
        self._states.clear()
        source = self._sender.source
        if source is None or not self.varied:
            return None
        counts: Counter[str] = Counter(published=0)
        while after < until:
            rows = [row for row in source.read_plain(after, PORTION) if row[0] <= until]
            for row in rows:
                stream = self._sender.origin(row[0])[0]
                route = self._destinations.route(stream, row[3], resent=self._foreign)
                counts["published"] += bool(route.topic) and not route.state_only
                if route.topic and (route.state_only or route.copy):
                    counts["record" if row[2] else "tombstone"] += 1
            after = rows[-1][0] if rows else until
        return counts
