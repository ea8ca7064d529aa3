"""One look at everything: the supervisor asked, the durable files read. It blocks, so it runs in a thread."""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from core import procfs
from core.config import Config
from core.crawl import Crawl
from core.flow import Flow
from core.limiter import read_quota, read_requests
from core.outage import read_outage, read_refusal
from core.positions import read_deliveries, read_newest_dead_letter
from core.quota import Quota
from core.status import Status, read_status
from supervisor.monitor.disk import Disk, look_at_disks
from supervisor.monitor.stream import StreamLook, look_at_stream

T = TypeVar("T")

#: A heartbeat comes twice a second; one that is so old means that the process does nothing any more.
SILENT_AFTER = 15.0


@dataclass(frozen=True, slots=True)
class Look:
    """Everything as it was at `now`, seconds since 1970."""

    now: float
    status: Status
    streams: Mapping[str, StreamLook] = field(default_factory=dict)
    kafka_away_since: float | None = None  #: as the publisher says; to be believed only while records wait
    kafka_refusal: str = ""  #: what Kafka answers meanwhile, if it answers
    dead_letter_at: float | None = None  #: when Kafka last refused a record for good
    quota: Quota | None = None
    requests: Mapping[tuple[str, str], int] = field(default_factory=dict)  #: (process, status) → count
    disks: tuple[Disk, ...] = ()
    unreadable: tuple[str, ...] = ()  #: for people: what could not be read just now
    supervisor_born: str | None = ""  #: what tells this supervisor from another one with its number; None: it is gone

    @property
    def flow(self) -> Flow:
        """What flows."""
        return self.status.flow

    @property
    def crawl(self) -> Crawl:
        """What the scraper's processes tell."""
        return self.status.crawl

    @property
    def waiting(self) -> int:
        """Records that are captured and not acknowledged, of all streams."""
        return sum(stream.spooled for stream in self.flow.streams.values())

    @property
    def outage_since(self) -> float | None:
        """Since when Kafka is away; None while it is not."""
        return self.kafka_away_since if self.waiting else None

    def works_since(self, name: str) -> float | None:
        """Return when a process that runs, and gives signs of life, was started; None for any other."""
        row = next((one for one in self.status.processes if one["name"] == name), None)
        if row is None or row["state"] != "RUNNING" or (row.get("heartbeat_age_s") or 0.0) > SILENT_AFTER:
            return None
        return self.now - (row.get("uptime_s") or 0.0)

    def process_state(self, name: str) -> str | None:
        """Return the state of a process, None where there is none of that name."""
        return next((str(one["state"]) for one in self.status.processes if one["name"] == name), None)


def look(config: Config, now: float) -> Look:
    """Take it all in. What cannot be read just now is said in `unreadable`, and left at its default."""
    state_dir = config.supervisor.state_dir
    status = read_status(config, now)
    unreadable = [*status.flow.unreadable, *status.crawl.unreadable]

    def attempt(what: str, read: Callable[[], T], default: T) -> T:
        try:
            return read()
        except (sqlite3.Error, OSError) as error:
            unreadable.append(f"{what} cannot be read just now: {error}")
            return default

    nothing: dict[str, tuple[int, float]] = {}
    deliveries = attempt("the publisher's positions", lambda: read_deliveries(state_dir), nothing)
    streams = {}
    for name in status.flow.streams:
        read = partial(look_at_stream, state_dir, name, deliveries)
        streams[name] = attempt(f"the spool of {name}", read, StreamLook())
    return Look(
        now,
        status,
        streams,
        read_outage(state_dir),
        read_refusal(state_dir, now),
        attempt("the dead letters", lambda: read_newest_dead_letter(state_dir), None),
        attempt("the quota", lambda: read_quota(state_dir), None),
        attempt("the quota's counts", lambda: read_requests(state_dir), {}),
        attempt("the disk", lambda: look_at_disks(config), ()),
        tuple(dict.fromkeys(unreadable)),
        _birth(status),
    )


def _birth(status: Status) -> str | None:
    pid = status.supervisor["pid"]
    return procfs.birth(int(pid)) if status.runs and pid is not None else None
