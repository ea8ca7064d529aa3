"""Protection from other users of the machine, with real processes and any umask."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path

from tests.support.ports import free_port
from tests.support.strangers import lock_held, needs_flock, open_to_others, umask
from tests.support.system import System
from tests.support.waiting import wait_until

NOWHERE = "http://127.0.0.1:1"


@contextmanager
def started(directory: Path, mask: int) -> Iterator[System]:
    """Two streams and a monitor that reach neither Reddit nor Kafka."""
    reddit = {"subreddits": ["alpha"], "reddit_url": NOWHERE, "oauth_url": NOWHERE}
    system = System(directory, reddit=reddit, kafka={"bootstrap_servers": "127.0.0.1:1"}, monitor=free_port())
    with umask(mask):
        yield system


def running(system: System, name: str) -> dict[str, object] | None:
    status = json.loads(system.attempt("status", "--json").stdout or "{}")
    return next((one for one in status.get("processes", []) if one["name"] == name and one["state"] == "RUNNING"), None)


@needs_flock
def test_nobody_else_gets_at_anything_and_no_lock_or_link_holds_it_up(tmp_path: Path) -> None:
    with started(tmp_path, 0o000) as system:
        victim = tmp_path / "victim"
        victim.write_text("precious")
        for directory in (system.state_dir, system.log_dir):
            directory.mkdir(mode=0o777)
        for name in ("supervisor.json.new", "monitor.json.new", "publisher.note", "quota.lock"):
            (system.state_dir / name).symlink_to(victim)
        (system.log_dir / "comments.log").symlink_to(victim)
        (system.state_dir / "spool-comments.lock").write_text("")
        system.server.start()
        try:
            for name in ("submissions", "comments", "publisher"):
                wait_until(partial(running, system, name), 30.0, f"{name} to run")
            wait_until((system.state_dir / "monitor.json").exists, what="the monitor to listen")
            names = {path.name for path in system.state_dir.iterdir()}
            assert {"quota.db", "quota.db-wal", "spool-comments.db", "supervisor.sock", "publisher.note"} <= names
            assert open_to_others(system.state_dir) == open_to_others(system.log_dir) == []
            assert victim.read_text() == "precious"

            # no second supervisor, with its lock file gone or another one
            (system.state_dir / "supervisor.lock").unlink()
            second = system.attempt("run")
            assert (second.returncode, "another supervisor" in second.stderr) == (2, True), second.stderr

            # a lock that another process keeps: named within seconds, and no reason to stand still
            with lock_held(system.state_dir / "quota.lock") as pid:
                system.kill_child("comments")
                log = system.log_dir / "comments.log"
                wait_until(lambda: f"pid {pid} " in log.read_text(), what="the holder to be named")
                row = wait_until(lambda: running(system, "comments"), what="comments to run again")
                assert row is not None
                assert row["restarts"] == 1, "it was not killed for hanging"
            assert open_to_others(system.state_dir) == open_to_others(system.log_dir) == []
        finally:
            system.server.kill()
