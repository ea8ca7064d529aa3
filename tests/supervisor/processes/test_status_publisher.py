"""The state that the supervisor records about itself, and when."""

import os
import time
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import structlog

from core.status.supervisor_state import last_state_path, read_last_state
from supervisor.processes.status_publisher import ProcessRow, Snapshot, StatusPublisher

NOON = 1_800_000_000.0
LOG = structlog.stdlib.get_logger("test")


def snapshot(state: str = "RUNNING", heard: float = 1.0, **changes: Any) -> Snapshot:
    row = ProcessRow("comments", 7, "RUNNING", 0, None, 50.0, "", 0.0, 52.0)
    return Snapshot(state, 40.0, (replace(row, **changes),), (heard,))


def test_only_changes_are_written_and_heartbeats_are_none(tmp_path: Path) -> None:
    status_publisher = StatusPublisher(tmp_path, LOG, clock=lambda: 100.0, wall_clock=lambda: NOON)
    status_publisher.publish(snapshot())
    first = last_state_path(tmp_path).stat().st_ino
    status_publisher.publish(snapshot(heard=2.0))
    assert last_state_path(tmp_path).stat().st_ino == first
    status_publisher.publish(snapshot(restarts=1))
    state = read_last_state(tmp_path)
    assert state is not None
    assert state.processes[0]["restarts"] == 1
    assert (state.started_at, state.processes[0]["started_at"]) == (NOON - 60, NOON - 50)
    assert state.processes[0]["since"] == NOON - 48
    assert state.is_alive
    status_publisher.exit_code = 3
    status_publisher.close()
    ended = read_last_state(tmp_path)
    assert ended is not None
    assert (ended.state, ended.ended_at, ended.exit_code, ended.is_alive) == ("STOPPED", NOON, 3, False)


def test_signs_of_life_move_its_time_and_a_lost_file_is_written_anew(tmp_path: Path) -> None:
    status_publisher = StatusPublisher(tmp_path, LOG)
    status_publisher.publish(snapshot())
    os.utime(last_state_path(tmp_path), (NOON, NOON))
    status_publisher.sign_of_life()
    state = read_last_state(tmp_path)
    assert state is not None
    assert abs(state.seen_at - time.time()) < 60.0
    last_state_path(tmp_path).unlink()
    status_publisher.sign_of_life()
    status_publisher.publish(snapshot())
    assert read_last_state(tmp_path) is not None


def test_a_disk_without_room_does_not_stop_the_loop(tmp_path: Path) -> None:
    status_publisher = StatusPublisher(tmp_path / "gone", LOG)
    status_publisher.publish(snapshot())
    status_publisher.publish(snapshot(restarts=1))
    status_publisher.close()
    assert read_last_state(tmp_path / "gone") is None


WHOLE = (
    '{"pid": 7, "birth": "1", "state": "RUNNING", "started_at": 1, "ended_at": null, "exit_code": null, "processes":'
)


@pytest.mark.parametrize("content", ["", "{", "[]", "{}", '{"pid": 7}', f"{WHOLE} [{{}}]}}", f"{WHOLE} [7]}}"])
def test_a_last_state_that_makes_no_sense_is_none(tmp_path: Path, content: str) -> None:
    last_state_path(tmp_path).write_text(content)
    assert read_last_state(tmp_path) is None
