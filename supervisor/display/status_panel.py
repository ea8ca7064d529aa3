"""Formats the text of `status`: the state of the system on one screen."""

import math
import re
import textwrap
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from core.masking.external import masked
from core.process import program
from core.status.audit_bound import AuditReport
from core.status.audit_sentence import sentence
from core.status.changes_status import ChangesStatus
from core.status.stream_stats import Flow, QuotaFlow, StreamFlow
from core.status.supervisor_state import LastState
from core.status.system_status import STOPPED, Status
from supervisor.display.cluster_panel import cluster_block
from supervisor.display.formatting import duration, percent, plural, table
from supervisor.display.scraper_panel import crawl_block
from supervisor.display.subreddit_panel import subreddit_block
from supervisor.display.terminal import GREEN, RED, YELLOW, coloured
from supervisor.processes.restart_policy import describe_exit

_PROCESSES = ("PROCESS", "STATE", "PID", "UPTIME", "RESTARTS", "LAST EXIT", "MEMORY", "HEARTBEAT")
_STREAMS = ("STREAM", "CAPTURED", "PUBLISHED", "SPOOLED", "GAPS", "LAG", "PROVEN", "COMPLETE")
_RATES = ("CAPTURED/S", "PUBLISHED/S")
_COLOURS = {
    "RUNNING": GREEN,
    "STARTING": YELLOW,
    "BACKOFF": YELLOW,
    "STOPPING": YELLOW,
    "FATAL": RED,
    "STOPPED": RED,
    "HEALTHY": GREEN,
    "IDLE": YELLOW,
    "RESTING": RED,
    "PROBING": YELLOW,
    "UNRESPONSIVE": RED,
}
_STATES = re.compile(rf"\b({'|'.join(_COLOURS)})\b")
_NONE = "-"
_WIDTH = 100


@dataclass(frozen=True, slots=True)
class Rates:
    """Items per second of one stream."""

    captured: float
    published: float


@dataclass(frozen=True, slots=True)
class Panel:
    """Formats a status as text; `config` is the path of the file for the commands it shows."""

    config: Path
    log_dir: Path
    colours: bool = False
    bar: bool = False  #: draw the progress bar of the crawl
    max_age: float | None = None  #: seconds after which a proven time is old; None: subreddits are not summarised

    def render(self, status: Status, rates: Mapping[str, Rates] | None = None) -> str:
        """Return the whole text; `rates` adds the two columns that only `--watch` can know."""
        head = _supervisor(status)
        blocks = [head]
        if status.processes:
            blocks.append(table([_PROCESSES, *map(_process, status.processes)], right=(2, 4, 6)))
            blocks.append("\n".join(filter(None, (self._advice(one, status.supervisor) for one in status.processes))))
        blocks += [
            _streams(status.flow, rates),
            "" if status.changes is None else _changes(status.changes, status.now, enabled=status.follows_changes),
            "" if status.cluster is None else cluster_block(status.cluster, runs=status.runs or status.last is None),
            self._subreddits(status),
            _audit(status.audit.report),
            crawl_block(status.crawl, bar=self.bar),
            _totals(status.flow),
        ]
        blocks.append("\n".join(map(masked, status.remarks)))
        text = "\n\n".join(filter(None, blocks))
        if self.colours:
            text = _STATES.sub(lambda found: coloured(found[0], _COLOURS[found[0]]), text)
        return text

    def _subreddits(self, status: Status) -> str:
        """Return the numbers of subreddits with trouble, and the worst of them."""
        if self.max_age is None or not status.flow.readings:
            return ""
        more = f"{program.command()} gaps {self.config}"
        max_age = self.max_age if status.runs else math.inf  # while nothing runs, all are behind
        counted = "configured" if status.cluster is None else "on this machine"
        return subreddit_block(status.flow.standings(status.now, max_age), status.flow.shortages(), more, counted)

    def _advice(self, process: Mapping[str, Any], supervisor: Mapping[str, Any]) -> str:
        """Return what to do about a process that does not run."""
        name, log = process["name"], self.log_dir / f"{process['name']}.log"
        if process["state"] == "FATAL":
            command = f"{program.command()} restart {self.config} {name}"
            if supervisor.get("state") == STOPPED:
                command = f"{program.command()} run {self.config}"
            elif supervisor.get("pid") is not None:
                # a restarted process gets the configuration that the supervisor holds
                command = f"{command} (after a change of {self.config} or .env: kill -HUP {supervisor['pid']})"
            age = process.get("state_age_s")
            when = f" ({duration(age)} ago)" if age is not None else ""
            why = f"{name} is parked: {masked(process.get('why') or 'see its log')}{when}"
            return f"{why}. Correct the cause (see {log}), then: {command}"
        if process["state"] == "BACKOFF" and process.get("restart_in_s") is not None:
            return f"{name} restarts in {process['restart_in_s']:.1f} s; see {log} for the cause"
        return ""


def _supervisor(status: Status) -> str:
    supervisor = status.supervisor
    if supervisor["state"] == STOPPED:
        return f"Supervisor: {STOPPED}{_end_of(status.last)}"
    pid = f", pid {supervisor['pid']}" if supervisor["pid"] is not None else ""
    up = f", up {duration(supervisor['uptime_s'])}" if supervisor["uptime_s"] is not None else ""
    return f"Supervisor: {supervisor['state']}{pid}{up}"


def _end_of(last: LastState | None) -> str:
    if last is None:
        return "; no supervisor has used this state directory yet"
    if last.ended_at is None:
        return f"; it was killed, or the machine stopped: its last heartbeat was at {_local_time(last.seen_at)}"
    how = f"exit code {last.exit_code}" if last.exit_code is not None else "unexpected error; see supervisor.log"
    return f" since {_local_time(last.ended_at)} ({how})"


def _local_time(seconds: float) -> str:
    return datetime.fromtimestamp(seconds).astimezone().strftime("%Y-%m-%d %H:%M:%S")


def _process(process: Mapping[str, Any]) -> tuple[str, ...]:
    last_exit, rss, age = process["last_exit"], process.get("rss_bytes"), process.get("heartbeat_age_s")
    return (
        process["name"],
        process["state"],
        _NONE if process["pid"] is None else str(process["pid"]),
        duration(process.get("uptime_s")),
        str(process["restarts"]),
        _NONE if last_exit is None else describe_exit(last_exit),
        _NONE if rss is None else f"{rss / 2**20:.1f} MiB",
        _NONE if age is None else f"{age:.1f} s ago",
    )


def _streams(flow: Flow, rates: Mapping[str, Rates] | None) -> str:
    if not flow.streams:
        return ""
    rows: list[tuple[str, ...]] = [(*_STREAMS, *_RATES) if rates is not None else _STREAMS]
    for name, stream in flow.streams.items():
        numbers = [f"{number:,}" for number in (stream.captured, stream.published, stream.spooled)]
        row = (name, *numbers, _gaps(stream), duration(stream.lag_s), _proven(stream), _complete(stream))
        if rates is not None:
            rate = rates.get(name)
            row += (f"{rate.captured:.1f}", f"{rate.published:.1f}") if rate else (_NONE, _NONE)
        rows.append(row)
    return table(rows, right=range(1, len(rows[0])))


def _gaps(stream: StreamFlow) -> str:
    counts = ((stream.open_gaps, "open"), (stream.lost_gaps, "lost"))
    states = ", ".join(f"{count:,} {state}" for count, state in counts if count)
    return f"{stream.gaps:,} ({states})" if states else f"{stream.gaps:,}"


def _proven(stream: StreamFlow) -> str:
    """Format the age of the time up to which the stream is proven."""
    if stream.completeness is None:
        return _NONE
    return "never" if stream.unread_s is None else f"{duration(stream.unread_s)} ago"


def _complete(stream: StreamFlow) -> str:
    return _NONE if stream.completeness is None else percent(stream.completeness)


def _changes(changes: ChangesStatus, now: float, *, enabled: bool) -> str:
    """Format the later changes: what was found, whether looks are on time, and what waits."""
    found = ", ".join(f"{number:,} {op}" for op, number in changes.changes.items() if number) or "no change"
    on_time = changes.share_on_time_1h
    parts = [
        f"{plural(changes.checked_total, 'look')} ({found})",
        "" if on_time is None else f"{percent(on_time)} on time in the last hour",
        f"{plural(changes.duties_total, 'item')} to look at again",
        f"{changes.spooled:,} records spooled" if changes.spooled else "",
    ]
    if overdue := changes.oldest_overdue_s(now):
        parts.append(f"the oldest overdue by {duration(overdue)}")
    if not enabled:
        parts.append("not enabled now")
    text = f"Changes: {'; '.join(filter(None, parts))}"
    return textwrap.fill(text, _WIDTH, subsequent_indent=" " * 9)


def _audit(report: AuditReport) -> str:
    return textwrap.fill(f"Audit:  {sentence(report)}", _WIDTH, subsequent_indent=" " * 8) if report.sampled else ""


def _totals(flow: Flow) -> str:
    letters = f", {flow.dead_letters_kept:,} dead letters" if flow.dead_letters else ""
    counts = (flow.resent, "resent"), (flow.dropped, "dropped")
    if done := [f"{number:,} {what}" for number, what in counts if number]:
        letters += f" ({', '.join(done)})"
    return f"Kafka:  {flow.published:,} published, {flow.errors:,} errors{letters}\nQuota:  {_quota(flow.quota)}"


def _quota(quota: QuotaFlow) -> str:
    text = f"{quota.used:,} used, {quota.remaining:,} remaining"
    if quota.reset_s:
        text += f", reset in {duration(quota.reset_s)}"
    if quota.blocked_s:
        text += f"; blocked by Reddit, {duration(quota.blocked_s)} left"
    return text
