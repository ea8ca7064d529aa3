"""One incarnation of a child when the system lacks resources: no thread, no reader of a pipe."""

import os
import signal
import subprocess
import sys
import threading
from multiprocessing import resource_tracker
from pathlib import Path

import psutil
import pytest

from tests.support.nursery import Nursery, ended
from tests.support.processes import is_stopped
from tests.support.waiting import PATIENCE, wait_until


def descriptors() -> set[Path]:
    return set(Path("/proc/self/fd").iterdir())


def offspring() -> set[psutil.Process]:
    """Return all our children, including zombies."""
    return set(psutil.Process().children())


def test_without_a_thread_for_its_output_it_is_not_born_and_the_others_stop_as_ever(
    nursery: Nursery, monkeypatch: pytest.MonkeyPatch
) -> None:
    living = nursery.ready("obedient")
    before, family = descriptors(), offspring()

    def refuse(_thread: threading.Thread) -> None:
        raise RuntimeError("can't start new thread")

    monkeypatch.setattr(threading.Thread, "start", refuse)
    with pytest.raises(RuntimeError):
        nursery.spawn("obedient")
    assert (offspring(), descriptors()) == (family, before)
    living.request_stop(0.0)  # needs none
    monkeypatch.undo()
    assert ended(living) == 0


def test_however_long_its_configuration_nobody_waits_for_a_newborn_to_read_it(
    nursery: Nursery, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The child may be stopped, or killed, before it reads anything."""
    resource_tracker.ensure_running()  # else it is a newborn too, of the same interpreter, and stopped like the other
    interpreter = tmp_path / "python"
    interpreter.write_text("#!/bin/sh\nkill -STOP $$\n")
    interpreter.chmod(0o755)
    monkeypatch.setattr("multiprocessing.spawn._python_exe", os.fsencode(interpreter))
    names = tuple(f"subreddit_number_{number}" for number in range(20_000))
    birth = threading.Thread(target=nursery.spawn, args=("obedient", names), daemon=True)
    before = offspring()
    birth.start()
    (newborn,) = wait_until(lambda: list(filter(is_stopped, offspring() - before)), what="a stopped newborn")
    birth.join(PATIENCE)
    stuck = birth.is_alive()
    newborn.kill()
    assert not stuck
    assert ended(nursery.born[-1]) == -signal.SIGKILL


def test_asking_the_dead_and_the_stopped_to_stop_leaves_nothing_behind(nursery: Nursery) -> None:
    """They wait on the Event, perhaps holding its lock, and never confirm that they are awake."""
    threads = threading.active_count()
    for number in (signal.SIGKILL, signal.SIGSTOP):
        child = nursery.ready("obedient")
        os.kill(child.pid, number)
        child.request_stop(0.0)
        child.kill()
        assert ended(child) == -signal.SIGKILL
        child.close()
        nursery.born.remove(child)
    wait_until(lambda: threading.active_count() <= threads, what="the threads to end")


TRACKED = """
import sys
from pathlib import Path
from tests.support.nursery import Nursery
nursery = Nursery(Path(sys.argv[1]))
nursery.spawn("obedient")
print("born", flush=True)
sys.stdin.read()
"""


def test_whoever_clears_up_after_a_killed_supervisor_does_so_without_a_word(tmp_path: Path) -> None:
    """Standard error is for JSON, and is inherited by multiprocessing's helper."""
    command = [sys.executable, "-c", TRACKED, str(tmp_path)]
    with psutil.Popen(
        command, text=True, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as parent:
        assert parent.stdout.readline() == "born\n"
        parent.kill()
        assert parent.stderr.read() == "", "read to its end: the helper has ended too"
