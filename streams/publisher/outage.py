"""Is Kafka away, since when, when did it come back, or is it only our producer. Pure: the time comes in."""

#: A broken connection is often back at once; one that is not, for this long (seconds), is an outage.
_LOST_FOR = 1.0
#: A broker may also fall silent with its connections open: no report for this long while records wait for one.
_SILENT_FOR = 8.0
#: Kafka answers others, but not our producer, for this long (seconds): the producer is stuck.
_DEAF_FOR = 10.0


class Outage:
    """Follows the signs of life: lost connections, waiting records, arrivals."""

    def __init__(self) -> None:
        self._lost_at: float | None = None
        self._waiting_since: float | None = None
        self._began: float | None = None

    @property
    def on(self) -> bool:
        """Whether Kafka is away as far as we know."""
        return self._began is not None

    def seconds(self, now: float) -> float:
        """Return for how long it is away, 0 while it is not."""
        return 0.0 if self._began is None else now - self._began

    def lost(self, now: float) -> None:
        """Take in that no broker can be reached."""
        if self._lost_at is None:
            self._lost_at = now

    def begins(self, now: float, *, waiting: bool) -> bool:
        """Tell, once for each outage, that it began; `waiting`: something is to be delivered."""
        if not waiting:
            self._waiting_since = None
            return False
        if self._waiting_since is None:
            self._waiting_since = now
        if self.on:
            return False
        lost = self._lost_at is not None and now - self._lost_at >= _LOST_FOR
        if lost or now - self._waiting_since >= _SILENT_FOR:
            self._began = min(self._waiting_since, self._lost_at if self._lost_at is not None else now)
            return True
        return False

    def answered(self) -> None:
        """Take in an answer that brings nothing further: the wait for one begins anew."""
        self._lost_at = self._waiting_since = None

    def arrived(self, now: float) -> float | None:
        """Take in a sign of life; return how long the outage was, in seconds, if this ended one."""
        self._lost_at = self._waiting_since = None
        if self._began is None:
            return None
        began, self._began = self._began, None
        return now - began


class Deafness:
    """Finds out that an outage is the producer's own: it holds on to something that the broker no longer knows."""

    def __init__(self) -> None:
        self._answered_at: float | None = None

    def found(self, now: float, *, away: bool, answered: bool) -> bool:
        """Tell, once, that the producer is stuck; `answered`: Kafka answered another question since it is `away`."""
        if not (away and answered):
            self._answered_at = None
        elif self._answered_at is None:
            self._answered_at = now
        elif now - self._answered_at >= _DEAF_FOR:
            self._answered_at = None
            return True
        return False
