"""A monitor on a state directory that the test fills: real files, the real control socket, real HTTP."""

import asyncio
import contextlib
import http.client
import json
import os
import threading
import time
from collections.abc import Iterator, Mapping
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import structlog
import uvloop

from core.child import ChildContext
from core.config import Config
from core.config.sections import MonitorSection, RedditSection, ScraperSection, SupervisorSection
from core.config.slices import monitor_config
from core.spool import Batch, Gap, Record, SpoolWriter
from core.status.crawl import CrawlReport, write_crawl_report
from streams.positions.publisher_store import Position, PublisherStore
from supervisor.monitor.monitor_process import serve
from supervisor.monitor.web.listen_address import address_path, read_address
from supervisor.processes.control_inbox import ControlInbox, Request
from supervisor.processes.control_server import controlled
from supervisor.processes.status_publisher import ProcessRow, Snapshot, StatusPublisher
from tests.support.waiting import wait_until

LOG = structlog.stdlib.get_logger("monitor-test")
STREAMS = ("submissions", "comments")
KINDS = {"submissions": "t3", "comments": "t1"}


class Answer(NamedTuple):
    status: int
    headers: Mapping[str, str]
    body: str


def row(name: str, state: str = "RUNNING", **more: Any) -> ProcessRow:
    alive = state in {"RUNNING", "STARTING", "STOPPING"}
    known = {
        "pid": os.getpid() if alive else None,
        "restarts": 0,
        "last_exit": None,
        "started_at": time.monotonic() - 125.0,
        "why": "",
        "restart_at": 0.0,
    }
    return ProcessRow(name=name, state=state, **{**known, **more})


class Stage:
    """Everything around one monitor."""

    def __init__(self, directory: Path, config: Config | None = None) -> None:
        supervisor = SupervisorSection(state_dir=directory / "state", log_dir=directory / "logs")
        base = config or Config(
            reddit=RedditSection(subreddits=("Bitcoin", "ethereum")), scraper=ScraperSection(enabled=False)
        )
        self.config = replace(base, supervisor=supervisor, monitor=replace(base.monitor, port=base.monitor.port % 9108))
        self.state_dir = supervisor.state_dir
        self.inbox = ControlInbox()
        for place in (supervisor.state_dir, supervisor.log_dir):
            place.mkdir(parents=True, exist_ok=True)
        self.status_publisher: StatusPublisher | None = None
        self.seqs = dict.fromkeys(STREAMS, 0)
        self._shown: tuple[str, tuple[ProcessRow, ...]] = ("RUNNING", ())
        self._born = time.monotonic() - 130.0
        self._context = ChildContext("monitor", LOG)
        self._thread: threading.Thread | None = None

    # what the monitor sees

    def show(self, *rows: ProcessRow, state: str = "RUNNING") -> None:
        """Set what the supervisor knows of its children; each has fresh heartbeats until the next call."""
        self._shown = (state, rows)
        self._beat()

    def _beat(self) -> None:
        assert self.status_publisher is not None
        now = time.monotonic()
        state, rows = self._shown
        self.status_publisher.publish(Snapshot(state, self._born, rows, tuple(now - 0.2 for _ in rows)))

    def _keep_beating(self) -> None:
        while not self._context.stop.wait(0.5):
            self._beat()

    def show_all_running(self, *names: str) -> None:
        self.show(*map(row, ("publisher", *self.config.streams.enabled, *names, "monitor")))

    def capture(self, stream: str, count: int, *, age: float = 1.5, gaps: tuple[Gap, ...] = (), **cursor: Any) -> None:
        """Put records into the spool, as the capture does."""
        now = time.time()
        kind = KINDS[stream]
        records = []
        for _ in range(count):
            self.seqs[stream] += 1
            key = f"{kind}_{self.seqs[stream]}"
            value = {"created_utc": now - age, "timestamp": datetime.fromtimestamp(now, UTC).isoformat(), "text": "x"}
            records.append(Record(key.encode(), json.dumps(value).encode(), "reddit.comment.v1"))
        proven = {name.lower(): now for name in self.config.reddit.subreddits}
        known = {"begun": now - 7200, "polled_at": now, "proven_until": proven}
        with SpoolWriter(self.state_dir, stream) as writer:
            counters = {"captured": count, "late": 1} if count else {}
            writer.commit(Batch(records=records, cursor={**known, **cursor}, counters=counters, gaps=list(gaps)))

    def publish(self, **up_to: int) -> None:
        """Record that Kafka acknowledged the streams up to these numbers."""
        store = PublisherStore.open(self.state_dir, LOG)
        positions = []
        for stream, seq in up_to.items():
            with SpoolWriter(self.state_dir, stream) as writer:
                positions.append(Position(stream, writer.spool_id, seq))
        store.save(positions, {"published": sum(up_to.values())})
        store.close()

    def report_crawl(self, *reports: CrawlReport) -> None:
        for report in reports:
            write_crawl_report(self.state_dir, replace(report, seen_at=time.time()))

    # the monitor itself

    @contextlib.contextmanager
    def running(self) -> Iterator["Stage"]:
        """Run the supervisor's socket and the monitor during the block."""
        with controlled(self.state_dir, self.inbox) as self.status_publisher:
            self.show_all_running()
            self.start()
            threading.Thread(target=self._keep_beating, name="beats", daemon=True).start()
            try:
                yield self
            finally:
                self.stop()

    def start(self) -> None:
        address_path(self.state_dir).unlink(missing_ok=True)
        self._context = ChildContext("monitor", LOG)
        self._thread = threading.Thread(target=self._run, name="monitor", daemon=True)
        self._thread.start()
        wait_until(lambda: read_address(self.state_dir), what="the monitor to listen")

    def _run(self) -> None:
        with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
            runner.run(serve(self._context, monitor_config(self.config)))

    def stop(self) -> None:
        self._context.ask_stop()
        if self._thread is not None:
            self._thread.join(15.0)
            assert not self._thread.is_alive(), "the monitor does not stop"

    @property
    def url(self) -> str:
        address = read_address(self.state_dir)
        assert address is not None
        return address.url

    @property
    def port(self) -> int:
        address = read_address(self.state_dir)
        assert address is not None
        return address.port

    def restarts_asked(self) -> list[Request]:
        return list(self.inbox.collect())

    def get(self, path: str, method: str = "GET", body: str | None = None, **headers: str) -> Answer:
        """Send a request; `Host` and other headers as given."""
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=10)
        try:
            sent = {name.replace("_", "-"): value for name, value in headers.items()}
            connection.request(method, path, body, sent)
            answer = connection.getresponse()
            return Answer(answer.status, dict(answer.getheaders()), answer.read().decode())
        finally:
            connection.close()

    def readyz(self) -> dict[str, Any]:
        document: dict[str, Any] = json.loads(self.get("/readyz").body)
        return document

    def wait_for_reason(self, what: str) -> dict[str, Any]:
        def sample() -> dict[str, Any] | None:
            return next((reason for reason in self.readyz()["reasons"] if reason["what"] == what), None)

        reason = wait_until(sample, what=f"the reason {what}")
        assert reason is not None
        return reason

    def wait_until_ready(self) -> None:
        wait_until(lambda: self.readyz()["ready"], what="readiness")


def staged(directory: Path, config: Config | None = None, token: str = "") -> Stage:
    """Return a stage with two healthy streams."""
    stage = Stage(directory, config)
    stage.config = replace(stage.config, monitor=MonitorSection(port=0, token=token))
    for stream, count in (("submissions", 10), ("comments", 90)):
        stage.capture(stream, count)
    stage.publish(submissions=10, comments=88)
    return stage
