"""The private parts of multiprocessing: used in one module, the same in every Python, unchanged by imports."""

import ast
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tests.support.system import ROOT

INTERPRETERS = ("python3.11", "python3.12", "python3.13", "python3.14")
ONLY_HERE = Path("supervisor/processes/spawning.py")

#: Modules of multiprocessing without documentation, and attributes of its objects that are its own.
PRIVATE_MODULES = {"util", "spawn", "resource_tracker", "popen_spawn_posix", "popen_fork", "reduction", "forkserver"}
PRIVATE_NAMES = {"_reader", "_writer", "_flag", "_cond", "_wait_semaphore", "_popen", "_feed", "spawnv_passfds"}

_HERE = f"python{sys.version_info.major}.{sys.version_info.minor}"


def interpreter(name: str) -> str:
    """Find an interpreter that runs: on the path, or among those that pyenv has installed."""
    here = [sys.executable] if name == _HERE else []
    on_path = [found] if (found := shutil.which(name)) else []
    pyenv = sorted(Path.home().glob(f".pyenv/versions/{name.removeprefix('python')}*/bin/{name}"))
    for program in (*here, *on_path, *map(str, pyenv)):
        answer = subprocess.run([program, "-c", "print(1)"], capture_output=True, check=False, timeout=30)
        if answer.stdout == b"1\n":
            return program
    pytest.skip(f"there is no {name} here")


@pytest.mark.parametrize("name", INTERPRETERS)
def test_every_private_part_works_with_each_interpreter_there_is(name: str) -> None:
    program = interpreter(name)
    # `core` imports structlog, which need not be installed there; this module needs the standard library alone
    without = "import sys, types; sys.modules['structlog'] = types.ModuleType('structlog'); "
    without += "sys.modules['structlog.dev'] = types.ModuleType('structlog.dev'); "
    code = f"{without}from supervisor.processes import spawning; spawning.self_check()"
    answer = subprocess.run([program, "-c", code], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60)
    assert (answer.returncode, answer.stderr) == (0, "")


def _uses_private_parts(path: Path) -> list[int]:
    lines = []
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Attribute) and node.attr in PRIVATE_NAMES:
            lines += [] if isinstance(node.value, ast.Name) and node.value.id == "self" else [node.lineno]
        elif isinstance(node, ast.ImportFrom) and node.module == "multiprocessing":
            lines += [node.lineno for alias in node.names if alias.name in PRIVATE_MODULES]
        elif isinstance(node, ast.ImportFrom) and (node.module or "").startswith("multiprocessing."):
            lines += [node.lineno] if (node.module or "").split(".")[1] in PRIVATE_MODULES else []
    return lines


def test_no_other_module_touches_them() -> None:
    paths = [
        path for package in ("core", "streams", "scraper", "supervisor") for path in (ROOT / package).rglob("*.py")
    ]
    found = {str(path.relative_to(ROOT)) for path in paths if _uses_private_parts(path)}
    assert found == {str(ONLY_HERE)}


UNCHANGED = """
import gc, os, signal, sys, threading, warnings
from multiprocessing import util

def interpreter():
    return {
        "spawn": util.spawnv_passfds,
        "collector": (gc.get_threshold(), gc.isenabled(), gc.get_freeze_count()),
        "hooks": (sys.excepthook, sys.unraisablehook, sys.displayhook, threading.excepthook, warnings.showwarning),
        "signals": {number: signal.getsignal(number) for number in signal.valid_signals()},
        "mask": signal.pthread_sigmask(signal.SIG_BLOCK, []),
        "warnings": list(warnings.filters),
        "imports": (sys.meta_path[:], sys.path_hooks[:], sys.path[:]),
        "hidden": [name for name, module in sys.modules.items() if module is None],
        "switching": sys.getswitchinterval(),
        "environment": dict(os.environ),
    }

before = interpreter()
import MODULE
after = interpreter()
print([part for part in before if before[part] != after[part]])
"""


@pytest.mark.parametrize(
    ("module", "changes"),
    [
        ("streams", []),
        ("supervisor.runtime.supervise", []),
        ("scraper.scraper_process", []),
        ("streams.publisher.publisher_process", []),
        ("streams.capture.capture_process", ["warnings"]),  # filters of requests and urllib3, which PRAW imports
        ("supervisor.monitor.monitor_process", ["warnings"]),  # aiohttp's
    ],
)
def test_importing_us_leaves_the_interpreter_as_it_was(module: str, changes: list[str]) -> None:
    program = UNCHANGED.replace("MODULE", module)
    answer = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, capture_output=True, text=True, check=False, timeout=60
    )
    assert answer.stdout == f"{changes}\n", answer.stderr
