"""Files of ours: for our user alone whatever the umask, and no link in their place is followed."""

import ast
import logging
import os
import stat
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest
from structlog.testing import capture_logs

from core.logging.rotating_file import FailureCount, RotatingLogFile
from core.spool.spool_files import report_suspect
from core.storage.lock_file import take_lock
from core.storage.private_files import open_private, replace_json, write_private
from core.storage.sqlite import connect
from tests.support.strangers import umask

ROOT = Path(__file__).parents[3]
PACKAGES = ("core", "streams", "scraper", "supervisor")

#: Where files are written without `core.storage.private_files`, and why.
ALLOWED = {
    "supervisor/demo/demo_report.py": "evidence in the demo's own directory",
    "supervisor/demo/run_demo.py": "standard error in the demo's own directory",
}


def _log(path: Path) -> None:
    handler = RotatingLogFile(path, max_bytes=1000, backups=1, failures=FailureCount("test"))
    handler.handle(logging.makeLogRecord({"msg": "x" * 600}))
    handler.handle(logging.makeLogRecord({"msg": "x" * 600}))
    handler.close()


WRITERS: dict[str, Callable[[Path], object]] = {
    "x.json": lambda path: replace_json(path, {"a": 1}),
    "x.note": lambda path: write_private(path, "text"),
    "x.lock": lambda path: os.close(take_lock(path, 0.0)),
    "x.db": lambda path: connect(path).close(),
    "x.log": _log,
    "spool-comments.suspect": lambda path: report_suspect(path.parent, "comments"),
}


@pytest.mark.parametrize("name", WRITERS)
@pytest.mark.parametrize("mask", [0o000, 0o022, 0o077])
def test_a_new_file_is_for_its_user_alone_whatever_the_umask(tmp_path: Path, name: str, mask: int) -> None:
    with umask(mask):
        WRITERS[name](tmp_path / name)
    made = list(tmp_path.iterdir())
    assert made
    assert [stat.S_IMODE(path.stat().st_mode) for path in made] == [0o600] * len(made)


def test_the_companions_of_a_database_have_its_mode(tmp_path: Path) -> None:
    with umask(0), closing(connect(tmp_path / "x.db")) as connection:
        connection.execute("CREATE TABLE one (a)")
        modes = {path.name: stat.S_IMODE(path.stat().st_mode) for path in tmp_path.iterdir()}
    assert modes == {"x.db": 0o600, "x.db-wal": 0o600, "x.db-shm": 0o600}


@pytest.mark.parametrize("name", [name for name in WRITERS if name != "x.db"])
def test_a_link_in_the_place_of_a_file_is_not_followed(tmp_path: Path, name: str) -> None:
    victim = tmp_path / "victim"
    victim.write_text("precious")
    (tmp_path / "new").mkdir()
    path = tmp_path / "new" / name
    path.symlink_to(victim)
    (tmp_path / "new" / f"{name}.new").symlink_to(victim)
    WRITERS[name](path)
    assert victim.read_text() == "precious"
    assert path.is_file()
    assert not path.is_symlink()


def test_a_link_in_the_place_of_a_database_is_refused(tmp_path: Path) -> None:
    """It may be somebody's intention: another file in its place would hide what was captured."""
    (tmp_path / "x.db").symlink_to(tmp_path / "elsewhere.db")
    with pytest.raises(OSError, match="symbolic link"):
        connect(tmp_path / "x.db")
    assert not (tmp_path / "elsewhere.db").exists()


def test_a_link_that_is_removed_is_logged(tmp_path: Path) -> None:
    (tmp_path / "x").symlink_to(tmp_path / "nowhere")
    with capture_logs() as logs:
        write_private(tmp_path / "x", "text")
    assert [(entry["event"], entry["path"]) for entry in logs] == [("symlink_removed", str(tmp_path / "x"))]
    (tmp_path / "y").symlink_to(tmp_path / "x")
    with pytest.raises(OSError, match="symbolic links"):
        open_private(tmp_path / "y", os.O_RDONLY)
    assert (tmp_path / "y").is_symlink(), "a reader removes nothing"


def test_a_pipe_in_the_place_of_a_file_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "x")
    with pytest.raises(OSError, match="No such device"):
        write_private(tmp_path / "x", "text")


def _writes(tree: ast.Module) -> list[int]:
    """Find the calls that make a file and do not say for whom."""
    found = []
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        name = ast.unparse(node.func)
        modes = [arg.value for arg in node.args if isinstance(arg, ast.Constant) and isinstance(arg.value, str)]
        opens = name.endswith(".open") or name == "open"
        makes = name.endswith((".write_text", ".write_bytes", ".touch")) or (
            name == "os.open" and "O_CREAT" in ast.unparse(node)
        )
        if makes or (opens and any(set(mode) & set("wax+") and len(mode) <= 3 for mode in modes)):
            found.append(node.lineno)
    return found


def test_every_file_is_made_in_the_private_way() -> None:
    """The family: a file that is made elsewhere, with the umask's mode and through links."""
    found = {}
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            lines = _writes(ast.parse(path.read_text(encoding="utf-8")))
            if lines:
                found[str(path.relative_to(ROOT))] = lines
    assert set(found) <= set(ALLOWED), found
