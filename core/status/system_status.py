"""The status of the whole system in its documented form: the supervisor's state and the streams' statistics."""

from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from core import control_client
from core.config.slices import StatusConfig
from core.control_client import ControlError, NotRunningError
from core.process import procfs
from core.status.audit_status import AuditStatus, read_audit
from core.status.changes_status import ChangesStatus, read_changes_status
from core.status.cluster_status import ClusterStatus, read_cluster
from core.status.crawl import Crawl, Frontier, read_crawl_of
from core.status.scope import EVERYTHING
from core.status.stream_stats import Flow, read_flow
from core.status.supervisor_state import LastState, read_last_state
from core.stream_kinds import stream_names

RUNNING, STOPPING, STOPPED = "RUNNING", "STOPPING", "STOPPED"

#: State of a supervisor that runs and does not answer: stopped by a signal, or stuck.
UNRESPONSIVE = "UNRESPONSIVE"

_OF_PROCESS = ("name", "pid", "state", "restarts", "uptime_s", "last_exit", "rss_bytes", "heartbeat_age_s")
_PARKED = "FATAL"


@dataclass(frozen=True, slots=True)
class Status:
    """The status at one moment. Supervisor and processes are dicts as documented, plus more keys for processes."""

    supervisor: dict[str, Any]
    processes: list[dict[str, Any]]
    flow: Flow
    remarks: list[str] = field(default_factory=list)  #: messages that the numbers alone do not show
    last: LastState | None = None  #: the last recorded state when it is not running
    crawl: Crawl = field(default_factory=Crawl)
    now: float = 0.0  #: epoch seconds
    cluster: ClusterStatus | None = None  #: None: this is the only machine
    audit: AuditStatus = field(default_factory=AuditStatus)
    changes: ChangesStatus | None = None  #: None: the process `changes` is not configured, and has never run
    follows_changes: bool = False  #: the process `changes` is configured

    @property
    def runs(self) -> bool:
        """Whether the supervisor runs and answers."""
        return self.supervisor["state"] not in {STOPPED, UNRESPONSIVE}

    def document(self) -> dict[str, Any]:
        """Return the documented form: the output of `status --json`."""
        flow, frontier = self.flow, self.crawl.frontier or Frontier()
        return {
            "supervisor": self.supervisor,
            "processes": [{name: process.get(name) for name in _OF_PROCESS} for process in self.processes],
            "streams": {
                name: {
                    "captured": stream.captured,
                    "published": stream.published,
                    "spooled": stream.spooled,
                    "gaps": stream.gaps,
                    "lag_s": stream.lag_s,
                    "proven_until": stream.proven_until,
                    "completeness": stream.completeness,
                }
                for name, stream in flow.streams.items()
            },
            "kafka": {"published": flow.published, "errors": flow.errors},
            "scraper": {
                "subreddits": frontier.subreddits,
                "users": frontier.users,
                "posts": frontier.posts,
                "frontier": frontier.to_do,
            },
            "quota": {"used": flow.quota.used, "remaining": flow.quota.remaining, "reset_s": flow.quota.reset_s},
            "changes": None if self.changes is None else self.changes.document(self.now, enabled=self.follows_changes),
            "cluster": None if self.cluster is None else self.cluster.document(),
        }


def read_status(config: StatusConfig, now: float) -> Status:
    """Query the supervisor and read the files; `now` is in epoch seconds."""
    state_dir = config.state_dir
    cluster, without_mailbox = read_cluster(config.cluster, state_dir, config.subreddits, now)
    scope = EVERYTHING if cluster is None else cluster.scope
    names, lists = config.subreddits, config.lists
    flow = read_flow(state_dir, config.streams, config.requests_per_minute, now, names, scope=scope, lists=lists)
    flow.unreadable += without_mailbox
    crawl = read_crawl_of(config, now)
    audit = read_audit(state_dir, config.streams, now)
    changes = _read_changes(config)
    unreadable = [*flow.unreadable, *crawl.unreadable, *audit.unreadable, *(changes.unreadable if changes else ())]
    parts: dict[str, Any] = {
        "now": now,
        "cluster": cluster,
        "audit": audit,
        "changes": changes,
        "follows_changes": config.changes,
    }
    try:
        answer = control_client.ask(state_dir, {"command": "status"})
    except ControlError as error:
        status = _without_answer(state_dir, flow, error, now)
        crawl = replace(crawl, runs=status.supervisor["state"] != STOPPED)
        return replace(status, crawl=crawl, remarks=[*status.remarks, *unreadable], **parts)
    supervisor, processes = answer["supervisor"], answer["processes"]
    return Status(supervisor, processes, flow, unreadable, crawl=crawl, **parts)


def _read_changes(config: StatusConfig) -> ChangesStatus | None:
    known = read_changes_status(config.state_dir, stream_names())
    return ChangesStatus() if known is None and config.changes else known


def _without_answer(state_dir: Path, flow: Flow, error: ControlError, now: float) -> Status:
    last = read_last_state(state_dir)
    alive = last is not None and last.is_alive
    processes = [_recalled(process, now, alive=alive) for process in last.processes] if last is not None else []
    if not alive and isinstance(error, NotRunningError):
        return Status({"pid": None, "state": STOPPED, "uptime_s": None}, processes, flow, last=last)
    remark = str(error)
    if isinstance(error, NotRunningError):
        remark = "the supervisor runs, but its socket is missing: it is starting, or supervisor.log shows the reason"
    supervisor: dict[str, Any] = {"pid": None, "state": UNRESPONSIVE, "uptime_s": None}
    if alive and last is not None:
        supervisor.update(pid=last.pid, uptime_s=round(now - last.started_at, 1))
    return Status(supervisor, processes, flow, [remark], last)


def _recalled(process: dict[str, Any], now: float, *, alive: bool) -> dict[str, Any]:
    """Describe a process from its last recorded state. It ends with its supervisor (see core.process.parent_guard)."""
    pid = process["pid"] if alive else None
    state = process["state"] if alive or process["state"] == _PARKED else "EXITED"
    since = process.get("since")
    return {
        **process,
        "pid": pid,
        "state": state,
        "uptime_s": round(now - process["started_at"], 1) if pid else None,
        "rss_bytes": procfs.rss_bytes(pid) if pid else None,
        "heartbeat_age_s": None,
        "state_age_s": round(now - since, 1) if since is not None and state == process["state"] else None,
    }
