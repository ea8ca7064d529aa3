"""A process that holds secrets leaves no core file, and cannot be read by others, unless asked for."""

import json
import os
import resource
import subprocess
import sys
from pathlib import Path

import psutil

from core.process.core_dumps import SWITCH
from tests.support.nursery import Nursery
from tests.support.system import ROOT
from tests.support.waiting import wait_until

#: Ends as the supervisor ends a child that hangs, after all was set up for a core file.
_ABORTED = """
import ctypes, json, os, resource, sys
hard = resource.getrlimit(resource.RLIMIT_CORE)[1]
resource.setrlimit(resource.RLIMIT_CORE, (hard, hard))
from core.process import core_dumps as corefiles
corefiles.forbid()
state = [*resource.getrlimit(resource.RLIMIT_CORE), ctypes.CDLL(None).prctl(3, 0, 0, 0, 0)]
print(json.dumps([*state, hard]), flush=True)
if len(sys.argv) > 1: os.abort()
"""


def _run(directory: Path, *arguments: str, **environ: str) -> list[int]:
    answer = subprocess.run(
        [sys.executable, "-c", _ABORTED, *arguments],
        cwd=directory,
        env={**os.environ, "PYTHONPATH": str(ROOT), **environ},
        capture_output=True,
        text=True,
        check=False,
    )
    found: list[int] = json.loads(answer.stdout)
    return found


def test_an_aborted_process_leaves_none(tmp_path: Path) -> None:
    soft, hard, dumpable, _ = _run(tmp_path, "abort", **{SWITCH: ""})
    assert (soft, hard, dumpable) == (0, 0, 0)
    assert not list(tmp_path.iterdir())


def test_the_switch_leaves_all_as_it_is(tmp_path: Path) -> None:
    soft, hard, dumpable, before = _run(tmp_path, **{SWITCH: "1"})
    assert (soft, hard, dumpable) == (before, before, 1)


def test_a_child_forbids_them_and_its_memory_in_use_is_still_known(nursery: Nursery) -> None:
    child = nursery.spawn("obedient")
    process = psutil.Process(child.pid)
    wait_until(lambda: process.rlimit(resource.RLIMIT_CORE) == (0, 0), what="the limit")
    assert process.memory_info().rss > 0
