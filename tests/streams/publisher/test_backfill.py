"""Backfill: dumps to a sink, whatever stops it."""

import json
import signal
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog

from core.config.slices import LogConfig, PublisherConfig, TopicsConfig
from core.errors import TransientError
from core.storage.lock_file import take_lock
from streams.positions.position_writer import PositionWriter
from streams.positions.publisher_store import PublisherStore
from streams.publisher.dump_publisher import Backfill, BackfillOptions, BackfillResult, Progress
from streams.publisher.publisher_process import Publisher
from tests.streams.examples.json_lines import JsonLinesSink
from tests.streams.sources.dumps import PACK, comment, text_of
from tests.support.brokers import TansuBroker
from tests.support.topic import read_topic
from tests.support.waiting import wait_until

ROOT = Path(__file__).parents[3]
LOG = structlog.stdlib.get_logger("test")


def config_of(tmp_path: Path) -> PublisherConfig:
    return PublisherConfig(
        tmp_path / "state", LogConfig(tmp_path, 1000, 1), "", "posts", TopicsConfig({}, "latest"), "at_least_once", {}
    )


class Run:
    """A run of backfill into files."""

    def __init__(
        self,
        tmp_path: Path,
        stop: threading.Event | None = None,
        progress: Callable[[Progress], None] = lambda _progress: None,
    ) -> None:
        self.out = tmp_path / "out"
        self.out.mkdir(exist_ok=True)
        self.backfill = Backfill(
            config_of(tmp_path), BackfillOptions(), log=LOG, stop=stop, progress=progress, build=self._build
        )

    def _build(self, _context: object, config: PublisherConfig, *, openers: Any, clock: Any, **_rest: Any) -> Publisher:
        assert config.topics.latest == "", "an old dump does not change the newest states"
        writer = PositionWriter(
            lambda known: PublisherStore.open(config.state_dir, LOG, deployment_id=known, sinks=("kafka",)), LOG, clock
        )
        self.sink = JsonLinesSink(
            self.out, state_dir=config.state_dir, writer=writer, log=LOG, clock=clock, name="kafka", openers=openers
        )
        return Publisher([self.sink], writer)

    def keys(self) -> list[str]:
        return [json.loads(line)["fullname"] for line in self.sink.lines("comments")]


def run(tmp_path: Path, *paths: Path) -> tuple[Run, BackfillResult]:
    made = Run(tmp_path)
    return made, made.backfill.run(paths)


def test_dumps_are_published_one_after_another_and_once(tmp_path: Path) -> None:
    items = [comment(number) for number in range(900)]
    first, second, broken = tmp_path / "RC_1.zst", tmp_path / "RC_2.gz", tmp_path / "RC_3.zst"
    first.write_bytes(PACK["zst"](text_of(items[:600]) + b"{bad\n"))
    second.write_bytes(PACK["gz"](text_of(items[600:])))
    broken.write_bytes(PACK["zst"](text_of(items))[:-30])
    made, result = run(tmp_path, first, broken, second)
    before_the_end = made.keys()[600:-300]
    assert before_the_end == [item["name"] for item in items][: len(before_the_end)] != []
    assert made.keys()[:600] + made.keys()[-300:] == [item["name"] for item in items]
    assert (result.skipped, result.bad, result.stopped) == (0, 1, False)
    assert result.published == 900 + len(before_the_end)
    assert [failure for failure in result.failures if "RC_3.zst" in failure] == result.failures != []
    assert result.bad_files[0].read_bytes() == b"{bad\n"
    made, result = run(tmp_path, first, second)
    assert (result.published, result.failures) == (0, [])


def test_a_stopped_run_continues_where_it_stopped(tmp_path: Path) -> None:
    items = [comment(number) for number in range(5000)]
    path = tmp_path / "RC_1.zst"
    path.write_bytes(PACK["zst"](text_of(items)))
    stop = threading.Event()
    first = Run(tmp_path, stop, lambda _progress: stop.set())
    assert first.backfill.run([path]).stopped
    made, result = run(tmp_path, path)
    assert made.keys() == [item["name"] for item in items]
    assert not result.stopped


def test_one_backfill_at_a_time(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streams.publisher.dump_publisher._LOCK_TIMEOUT_S", 0.0)
    (tmp_path / "state" / "backfill").mkdir(parents=True)
    take_lock(tmp_path / "state" / "backfill" / "lock", 0.0)
    with pytest.raises(TransientError, match="another backfill of this installation runs"):
        run(tmp_path)


def test_the_command_loses_nothing_when_it_is_killed(tmp_path: Path, tansu: TansuBroker) -> None:
    items = [comment(number, body="x" * 500) for number in range(12_000)]
    dump = tmp_path / "RC_1.zst"
    dump.write_bytes(PACK["zst"](text_of(items) + b"{bad\n"))
    config = tmp_path / "config.toml"
    config.write_text(
        f'[kafka]\nbootstrap_servers = "{tansu.bootstrap_servers}"\ntopic = "backfill-killed"\n'
        f'[supervisor]\nstate_dir = "{tmp_path}/state"\nlog_dir = "{tmp_path}/logs"\n'
    )
    command = [sys.executable, "-m", "supervisor", "backfill", str(config), str(dump)]
    with subprocess.Popen(command, cwd=ROOT) as process:
        wait_until(lambda: len(read_topic(tansu.bootstrap_servers, "backfill-killed")) > 100, 20.0)
        process.send_signal(signal.SIGKILL)
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, timeout=60, check=False)
    assert done.returncode == 0, done.stderr
    assert done.stdout.splitlines()[-1].endswith(" skipped, 1 bad lines")
    records = read_topic(tansu.bootstrap_servers, "backfill-killed")
    assert {record.key for record in records} == {item["name"] for item in items}
    assert {record.value["source"] for record in records} == {"archive"}
