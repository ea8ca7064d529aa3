"""Takes a sample of the whole system from the supervisor and the durable files. Blocking: runs in a thread."""

import sqlite3
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import partial
from typing import TypeVar

from core.config.slices import MonitorConfig
from core.process import procfs
from core.reddit.limiter import read_quota, read_requests
from core.reddit.quota import Quota
from core.spool.committed_positions import read_deliveries, read_newest_dead_letter
from core.status.audit_status import AuditStatus
from core.status.changes_status import ChangesStatus
from core.status.cluster_status import ClusterStatus
from core.status.crawl import Crawl
from core.status.kafka_outage import read_outage, read_refusal
from core.status.scope import EVERYTHING
from core.status.stream_stats import Flow
from core.status.system_status import Status, read_status
from supervisor.monitor.sampling.disk import Disk, sample_disks
from supervisor.monitor.sampling.stream_sample import StreamSample, sample_stream

T = TypeVar("T")

#: Heartbeats come twice a second; a process whose last one is older (seconds) hangs.
SILENT_AFTER_S = 15.0


@dataclass(frozen=True, slots=True)
class Sample:
    """The system at `now` (epoch seconds)."""

    now: float
    status: Status
    streams: Mapping[str, StreamSample] = field(default_factory=dict)
    kafka_away_since: float | None = None  #: reported by the publisher; valid only while records wait
    kafka_refusal: str = ""  #: Kafka's current answer, if any
    dead_letter_at: float | None = None  #: when Kafka last refused a record permanently
    quota: Quota | None = None
    requests: Mapping[tuple[str, str], int] = field(default_factory=dict)  #: (process, status) → count
    disks: tuple[Disk, ...] = ()
    unreadable: tuple[str, ...] = ()  #: what could not be read now, for people
    unreadable_streams: frozenset[str] = frozenset()  #: those of them that are spools, by stream
    supervisor_identity: str | None = ""  #: identity of the supervisor beyond its pid; None: it is gone

    @property
    def flow(self) -> Flow:
        """The statistics of the streams."""
        return self.status.flow

    @property
    def crawl(self) -> Crawl:
        """The reports of the scraper's processes."""
        return self.status.crawl

    @property
    def audit(self) -> AuditStatus:
        """The observations of the audit."""
        return self.status.audit

    @property
    def changes(self) -> ChangesStatus | None:
        """The later changes; None: they are not configured, and never were."""
        return self.status.changes

    @property
    def cluster(self) -> ClusterStatus | None:
        """The cluster; None: this is the only machine."""
        return self.status.cluster

    def subreddits(self, config: MonitorConfig, stream: str) -> tuple[str, ...]:
        """Return the configured subreddits that a stream of this machine captures."""
        own = config.lists.get(stream)
        if self.cluster is None:
            return config.subreddits if own is None else own
        return self.cluster.subreddits if own is None else self.cluster.scope.names(own)

    @property
    def stands_by(self) -> bool:
        """Whether the cluster has given this machine no subreddits: its streams read nothing, and nothing is wrong."""
        return self.cluster is not None and not self.cluster.subreddits

    def reads(self, config: MonitorConfig, stream: str) -> bool:
        """Return whether a stream has something to read here: in a cluster its subreddits may be on other machines."""
        return self.cluster is None or bool(self.subreddits(config, stream))

    @property
    def waiting(self) -> int:
        """Records without an acknowledgement, of all streams and of the later changes."""
        captured = sum(stream.spooled for stream in self.flow.streams.values())
        return captured + (0 if self.changes is None else self.changes.spooled)

    @property
    def outage_since(self) -> float | None:
        """Since when Kafka is away; None while it is not."""
        return self.kafka_away_since if self.waiting else None

    def running_since(self, name: str) -> float | None:
        """Return the start time of a running process with a fresh heartbeat, None for any other."""
        row = next((one for one in self.status.processes if one["name"] == name), None)
        if row is None or row["state"] != "RUNNING" or (row.get("heartbeat_age_s") or 0.0) > SILENT_AFTER_S:
            return None
        return self.now - (row.get("uptime_s") or 0.0)

    def process_state(self, name: str) -> str | None:
        """Return the state of a process, None for an unknown name."""
        return next((str(one["state"]) for one in self.status.processes if one["name"] == name), None)


def take_sample(config: MonitorConfig, now: float) -> Sample:
    """Take the sample. What cannot be read keeps its default and is named in `unreadable`."""
    state_dir = config.state_dir
    status = read_status(config, now)
    unreadable = [*status.flow.unreadable, *status.crawl.unreadable, *status.audit.unreadable]

    def attempt(what: str, read: Callable[[], T], default: T) -> T:
        try:
            return read()
        except (sqlite3.Error, OSError) as error:
            unreadable.append(f"{what} cannot be read now: {error}")
            return default

    nothing: dict[str, tuple[int, float]] = {}
    deliveries = attempt("the publisher's positions", lambda: read_deliveries(state_dir), nothing)
    scope = EVERYTHING if status.cluster is None else status.cluster.scope
    streams, unread = {}, set(status.flow.unreadable_streams)
    for name in status.flow.streams:
        read = partial(sample_stream, state_dir, name, deliveries, status.flow.readings.get(name), scope)
        found = attempt(f"the spool of {name}", read, None)
        streams[name] = found or StreamSample()
        if found is None:
            unread.add(name)
    return Sample(
        now,
        status,
        streams,
        read_outage(state_dir),
        read_refusal(state_dir, now),
        attempt("the dead letters", lambda: read_newest_dead_letter(state_dir), None),
        attempt("the quota", lambda: read_quota(state_dir), None),
        attempt("the quota's counts", lambda: read_requests(state_dir), {}),
        attempt("the disk", lambda: sample_disks(config), ()),
        tuple(dict.fromkeys(unreadable)),
        frozenset(unread),
        _supervisor_identity(status),
    )


def _supervisor_identity(status: Status) -> str | None:
    pid = status.supervisor["pid"]
    return procfs.start_time(int(pid)) if status.runs and pid is not None else None
