"""Looking when looking is hard: broken files, no supervisor, looks that fail or last."""

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
from supervisor.monitor.sampling.sample import Sample, look
from supervisor.monitor.snapshot.sampler import LATE_AFTER, Sampler
from supervisor.monitor.snapshot.snapshot_builder import Snapshot
from supervisor.monitor.web.event_stream import EventSubscribers
from supervisor.monitor.web.listener import Listener
from supervisor.monitor.web.restart_request import Restarting
from supervisor.monitor.web.routes import Answers
from tests.supervisor.monitor.looks import CONFIG, NOON, healthy

LOG = structlog.stdlib.get_logger("test")


def config(directory: Path) -> MonitorConfig:
    places = SupervisorSection(state_dir=directory, log_dir=directory)
    return monitor_config(Config(supervisor=places, scraper=ScraperSection(enabled=False)))


def test_an_empty_directory_is_a_system_that_was_never_started(tmp_path: Path) -> None:
    seen = look(config(tmp_path), NOON)
    assert seen.status.supervisor["state"] == "STOPPED"
    assert seen.waiting == 0
    assert seen.unreadable == ()
    assert [disk.what for disk in seen.disks] == ["state", "logs"]
    assert look(config(tmp_path / "gone"), NOON).disks == ()


@pytest.mark.parametrize(
    "name", ["spool-comments.db", "publisher.db", "quota.db", "supervisor.json", "kafka-away.json"]
)
@pytest.mark.parametrize("content", [b"", b"rubbish" * 1000, b"SQLite format 3\x00" + bytes(5000)])
def test_whatever_stands_in_a_file_the_look_goes_on(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    seen = look(config(tmp_path), NOON)
    assert seen.flow.published == 0


def test_a_spool_that_cannot_be_read_is_a_reason_in_words(tmp_path: Path) -> None:
    spool_path(tmp_path, "comments").write_bytes(b"rubbish" * 1000)
    assert any(
        "the spool of comments cannot be read just now" in text for text in look(config(tmp_path), NOON).unreadable
    )


class Looking:
    """An observer whose looks are scripted and whose clock is the test's."""

    def __init__(self) -> None:
        self.now = NOON
        self.fails = False
        self.heard: list[Snapshot] = []
        self.observer = Sampler(CONFIG, LOG, self.heard.append, look=self._look, wall=lambda: self.now)

    def _look(self, _config: MonitorConfig, now: float) -> Sample:
        if self.fails:
            raise RuntimeError("the disk is gone")
        return replace(healthy(), now=now)

    def once(self) -> None:
        asyncio.run(self.observer.once())

    def metrics(self) -> list[str]:
        """The lines of /metrics as they are served now."""
        answers = Answers(self.observer, EventSubscribers(LOG), Listener(LOG), Restarting(CONFIG, LOG))
        body = asyncio.run(answers.metrics(None)).body  # type: ignore[arg-type]
        assert isinstance(body, bytes)
        return body.decode().splitlines()

    @property
    def reasons(self) -> list[str]:
        return [reason.what for reason in self.observer.verdict().reasons]


def test_before_the_first_look_nobody_is_told_that_all_is_well() -> None:
    looking = Looking()
    assert looking.reasons == ["snapshot_late"]
    looking.once()
    assert looking.reasons == []
    assert len(looking.heard) == 1


def test_looks_that_fail_are_counted_said_once_and_make_the_last_one_old() -> None:
    looking = Looking()
    looking.once()
    looking.fails = True
    with capture_logs() as lines:
        for _ in range(3):
            looking.now += LATE_AFTER / 2.5
            looking.once()
    assert looking.observer.failures == 3
    assert looking.reasons == ["snapshot_late"]
    assert looking.observer.verdict().reasons[0].since == NOON
    assert [line["event"] for line in lines] == ["look_failed"]
    assert looking.observer.age() == pytest.approx(1.2 * LATE_AFTER)
    looking.fails = False
    with capture_logs() as lines:
        looking.once()
    assert looking.reasons == []
    assert [line["event"] for line in lines] == ["look_succeeded"]


def test_a_look_that_hangs_keeps_nobody_from_stopping() -> None:
    """On a disk that does not answer: the loop ends all the same, and so does the process."""
    hang = threading.Event()

    def look_for_ever(_config: MonitorConfig, _now: float) -> Sample:
        hang.wait()
        return healthy()

    async def live() -> None:
        observer = Sampler(CONFIG, LOG, look=look_for_ever)
        with pytest.raises(TimeoutError):
            await asyncio.wait_for(observer.once(), 0.05)
        assert observer.latest is None

    ended = threading.Thread(target=lambda: asyncio.run(live()), daemon=True)
    ended.start()
    ended.join(5.0)
    over = not ended.is_alive()
    hang.set()
    assert over


def test_the_metrics_say_that_they_are_old_and_readiness_falls_with_them() -> None:
    """What is late is told by the request: the last look could not know that no other would follow."""
    looking = Looking()
    late = 'monitor_not_ready{reason="snapshot_late"}'
    assert {"monitor_ready 0.0", f"{late} 1.0"} <= set(looking.metrics()), "nothing was seen yet"
    looking.once()
    assert {"monitor_ready 1.0", f"{late} 0.0", "monitor_snapshot_age_seconds 0.0"} <= set(looking.metrics())
    looking.now += LATE_AFTER + 1
    lines = looking.metrics()
    assert {"monitor_ready 0.0", f"{late} 1.0", f"monitor_snapshot_age_seconds {LATE_AFTER + 1}"} <= set(lines)
    assert [line for line in lines if line.startswith("reddit_comments_total")], "what was seen last stays"
    assert len([line for line in lines if line.startswith("# TYPE")]) == len(
        {line for line in lines if line.startswith("# TYPE")}
    ), "no family stands there twice"
