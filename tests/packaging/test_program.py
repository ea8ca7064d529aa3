"""A command in a message works in the shell that called: by a short name where there is one, else by a path."""

import sys
from pathlib import Path

import pytest

from core.process import program


def found(*paths: str) -> program.Which:
    """A shell that finds these programs."""
    return {Path(path).name: path for path in paths}.get


@pytest.mark.parametrize(
    ("executable", "on_path", "shown"),
    [
        ("/env/bin/python", ["/env/bin/python", "/usr/bin/python3"], "python"),  # active
        ("/env/bin/python3", ["/usr/bin/python", "/env/bin/python3"], "python3"),
        ("/env/bin/python3.13", ["/usr/bin/python", "/env/bin/python3.13"], "python3.13"),
        ("/env/bin/python", ["/usr/bin/python", "/usr/bin/python3"], "/env/bin/python"),
        ("/my env/bin/python", [], "'/my env/bin/python'"),
        ("{cwd}/.venv/bin/python", ["/usr/bin/python3"], ".venv/bin/python"),
    ],
)
def test_the_interpreter_is_named_as_the_shell_finds_it(
    executable: str, on_path: list[str], shown: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    assert program.interpreter(executable.format(cwd=tmp_path), found(*on_path)) == shown


def test_where_the_working_directory_is_gone_the_path_is_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "gone").mkdir()
    monkeypatch.chdir(tmp_path / "gone")
    (tmp_path / "gone").rmdir()
    assert program.interpreter("/env/bin/python", found()) == "/env/bin/python"


@pytest.mark.parametrize("called", ["/env/bin/gapless", "/clone/supervisor/__main__.py", "/env/bin/pytest"])
def test_the_help_and_the_messages_use_the_name_that_was_called(called: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "argv", [called, "status"])
    script = called.endswith("gapless")
    assert program.name() == ("gapless" if script else "python -m supervisor")
    assert program.command().endswith("gapless" if script else "-m supervisor")
