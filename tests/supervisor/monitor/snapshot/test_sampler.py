"""Tests sampling with broken files, without a supervisor, and with samples that fail or hang."""

import asyncio
import threading
from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from structlog.testing import capture_logs

from core.config import Config
from core.config.sections import ScraperSection, SupervisorSection
from core.config.slices import MonitorConfig, monitor_config
from core.spool import spool_path
from supervisor.monitor.sampling.sample import Sample, take_sample
from supervisor.monitor.snapshot.sampler import LATE_AFTER_S, Sampler
from supervisor.monitor.snapshot.snapshot_builder import Snapshot
from supervisor.monitor.web.event_stream import EventSubscribers
from supervisor.monitor.web.listener import Listener
from supervisor.monitor.web.restart_request import RestartHandler
from supervisor.monitor.web.routes import Handlers
from tests.supervisor.monitor.samples import CONFIG, NOON, healthy

LOG = structlog.stdlib.get_logger("test")


def config(directory: Path) -> MonitorConfig:
    places = SupervisorSection(state_dir=directory, log_dir=directory)
    return monitor_config(Config(supervisor=places, scraper=ScraperSection(enabled=False)))


def test_an_empty_directory_is_a_system_that_was_never_started(tmp_path: Path) -> None:
    seen = take_sample(config(tmp_path), NOON)
    assert seen.status.supervisor["state"] == "STOPPED"
    assert seen.waiting == 0
    assert seen.unreadable == ()
    assert [disk.what for disk in seen.disks] == ["state", "logs"]
    assert take_sample(config(tmp_path / "gone"), NOON).disks == ()


@pytest.mark.parametrize(
    "name", ["spool-comments.db", "publisher.db", "quota.db", "supervisor.json", "kafka-away.json"]
)
@pytest.mark.parametrize("content", [b"", b"rubbish" * 1000, b"SQLite format 3\x00" + bytes(5000)])
def test_whatever_stands_in_a_file_the_look_goes_on(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    seen = take_sample(config(tmp_path), NOON)
    assert seen.flow.published == 0


def test_a_spool_that_cannot_be_read_is_a_reason_in_words(tmp_path: Path) -> None:
    spool_path(tmp_path, "comments").write_bytes(b"rubbish" * 1000)
    assert any(
        "the spool of comments cannot be read now" in text for text in take_sample(config(tmp_path), NOON).unreadable
    )


class Scripted:
    """A sampler with scripted samples and a fake clock."""

    def __init__(self) -> None:
        self.now = NOON
        self.fails = False
        self.snapshots: list[Snapshot] = []
        self.sampler = Sampler(CONFIG, LOG, self.snapshots.append, take_sample=self._take_sample, wall=lambda: self.now)

    def _take_sample(self, _config: MonitorConfig, now: float) -> Sample:
        if self.fails:
            raise RuntimeError("the disk is gone")
        return replace(healthy(), now=now)

    def once(self) -> None:
        asyncio.run(self.sampler.once())

    def metrics(self) -> list[str]:
        """Return the current lines of /metrics."""
        handlers = Handlers(self.sampler, EventSubscribers(LOG), Listener(LOG), RestartHandler(CONFIG, LOG))
        body = asyncio.run(handlers.metrics(None)).body  # type: ignore[arg-type]
        assert isinstance(body, bytes)
        return body.decode().splitlines()

    @property
    def reasons(self) -> list[str]:
        return [reason.what for reason in self.sampler.readiness().reasons]


def test_before_the_first_look_nobody_is_told_that_all_is_well() -> None:
    scripted = Scripted()
    assert scripted.reasons == ["snapshot_late"]
    scripted.once()
    assert scripted.reasons == []
    assert len(scripted.snapshots) == 1


def test_looks_that_fail_are_counted_said_once_and_make_the_last_one_old() -> None:
    scripted = Scripted()
    scripted.once()
    scripted.fails = True
    with capture_logs() as lines:
        for _ in range(3):
            scripted.now += LATE_AFTER_S / 2.5
            scripted.once()
    assert scripted.sampler.failures == 3
    assert scripted.reasons == ["snapshot_late"]
    assert scripted.sampler.readiness().reasons[0].since == NOON
    assert [line["event"] for line in lines] == ["sample_failed"]
    assert scripted.sampler.age() == pytest.approx(1.2 * LATE_AFTER_S)
    scripted.fails = False
    with capture_logs() as lines:
        scripted.once()
    assert scripted.reasons == []
    assert [line["event"] for line in lines] == ["sample_succeeded"]


def test_a_look_that_hangs_keeps_nobody_from_stopping() -> None:
    """On a disk that does not answer, the loop ends nevertheless, and so does the process."""
    hang = threading.Event()

    def hang_forever(_config: MonitorConfig, _now: float) -> Sample:
        hang.wait()
        return healthy()

    async def live() -> None:
        sampler = Sampler(CONFIG, LOG, take_sample=hang_forever)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(sampler.once(), 0.05)
        assert sampler.latest is None

    ended = threading.Thread(target=lambda: asyncio.run(live()), daemon=True)
    ended.start()
    ended.join(5.0)
    over = not ended.is_alive()
    hang.set()
    assert over


def test_the_metrics_say_that_they_are_old_and_readiness_falls_with_them() -> None:
    """Each request checks the age: the last sample cannot know that no other follows."""
    scripted = Scripted()
    late = 'monitor_not_ready{reason="snapshot_late"}'
    assert {"monitor_ready 0.0", f"{late} 1.0"} <= set(scripted.metrics()), "nothing was seen yet"
    scripted.once()
    assert {"monitor_ready 1.0", f"{late} 0.0", "monitor_snapshot_age_seconds 0.0"} <= set(scripted.metrics())
    present = ("supervisor_up ", "process_up{", "disk_free_bytes{")
    assert all(any(line.startswith(name) for line in scripted.metrics()) for name in present)
    scripted.now += LATE_AFTER_S + 1
    lines = scripted.metrics()
    assert {"monitor_ready 0.0", f"{late} 1.0", f"monitor_snapshot_age_seconds {LATE_AFTER_S + 1}"} <= set(lines)
    assert [line for line in lines if line.startswith("reddit_comments_total")], "a count stays true"
    old = [line for line in lines if line.startswith((*present, "# HELP supervisor_up"))]
    assert not old, "what was true then is not shown as true now"
    assert len([line for line in lines if line.startswith("# TYPE")]) == len(
        {line for line in lines if line.startswith("# TYPE")}
    ), "no family stands there twice"
