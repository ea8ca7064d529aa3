"""SIGHUP: the configuration is reloaded, and only the affected processes are replaced."""

import signal
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.support.simulator import SUBREDDITS, Simulator
from tests.support.system import System
from tests.support.waiting import wait_until


@pytest.fixture
def system(tmp_path: Path) -> Iterator[System]:
    simulator = Simulator(tmp_path, backlog=10)
    simulator.start()
    reddit = {"subreddits": list(SUBREDDITS), "reddit_url": simulator.url, "oauth_url": simulator.url}
    system = System(tmp_path / "system", reddit=reddit, kafka={"bootstrap_servers": "127.0.0.1:9"})
    system.start()
    system.wait_up()
    wait_until(lambda: len(events(system, "child_ready")) == 3, 30.0, "all of them ready")
    yield system
    system.destroy()
    simulator.stop()


def events(system: System, name: str) -> list[dict[str, Any]]:
    return [entry for entry in system.log("supervisor") if entry["event"] == name]


def hang_up(system: System, event: str) -> dict[str, Any]:
    """Send SIGHUP; return the log line with the result."""
    before = len(events(system, event))
    system.server.signal(signal.SIGHUP)
    return wait_until(lambda: events(system, event)[before:], 15.0, event)[0]


def rewrite(system: System, old: str, new: str) -> None:
    text = system.config.read_text()
    assert old in text
    system.config.write_text(text.replace(old, new))


def test_only_whom_it_concerns_is_replaced_and_a_wrong_file_changes_nothing(system: System) -> None:
    before = {name: process.pid for name, process in system.children().items()}

    rewrite(system, f'"{SUBREDDITS[0]}", ', "")
    assert hang_up(system, "reloaded")["replaced"] == ["submissions", "comments"]
    wait_until(lambda: len(events(system, "child_ready")) == 5, 30.0, "both streams ready again")
    after = {name: process.pid for name, process in system.children().items()}
    assert after["publisher"] == before["publisher"]
    assert after["comments"] != before["comments"]

    rewrite(system, "[monitor]", "[monitors]")
    refused = hang_up(system, "reload_refused")
    assert "the nearest known one is [monitor]" in refused["error"]
    assert {name: process.pid for name, process in system.children().items()} == after

    rewrite(system, "[monitors]", "[monitor]")
    rewrite(system, str(system.state_dir), str(system.state_dir) + "-elsewhere")
    assert "to change it, stop the supervisor and start it again" in hang_up(system, "reload_refused")["error"]

    rewrite(system, str(system.state_dir) + "-elsewhere", str(system.state_dir))
    rewrite(system, "[streams]", "[streams]\ncomments = false")
    assert hang_up(system, "reloaded")["removed"] == ["comments"]
    wait_until(lambda: set(system.children()) == {"publisher", "submissions"}, what="comments to be gone")

    rewrite(system, "comments = false", "comments = true")
    assert hang_up(system, "reloaded")["added"] == ["comments"]
    wait_until(lambda: "comments" in system.children(), what="comments to be back")
    assert system.stop() == 0
