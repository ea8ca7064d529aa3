"""PyPI's `supervisor` in the same environment is refused with one message, whichever of the two is imported."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

from core.errors import ConfigError
from core.installation import require_own_environment
from tests.support.system import ROOT

FOREIGN = "supervisor-4.3.0.dist-info"


def installed(folder: Path, metadata: str = FOREIGN) -> Path:
    """Put PyPI's package and its metadata into a folder."""
    (folder / metadata).mkdir(parents=True)
    name = "PKG-INFO" if metadata.endswith("egg-info") else "METADATA"
    (folder / metadata / name).write_text("Metadata-Version: 2.1\nName: supervisor\nVersion: 4.3.0\n")
    (folder / "supervisor").mkdir()
    (folder / "supervisor" / "__init__.py").write_text("")
    return folder


@pytest.mark.parametrize(
    "metadata", [FOREIGN, "supervisor-4.3.0.egg-info", "supervisor.egg-info", "supervisor-4.3.0-py3.11.egg-info"]
)
def test_every_kind_of_installation_is_found(metadata: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"supervisor 4\.3\.0 from PyPI") as caught:
        require_own_environment(["/nowhere", str(installed(tmp_path, metadata))])
    assert "make install" in str(caught.value)


@pytest.mark.parametrize("name", ["supervisor_stdout-0.1.dist-info", "gapless-0.2.0.dist-info", "supervisor"])
def test_other_packages_are_let_through(name: str, tmp_path: Path) -> None:
    (tmp_path / name).mkdir()
    require_own_environment([str(tmp_path), "", "/nowhere", str(ROOT / "gapless.py")])
    assert (tmp_path / name).exists()


@pytest.mark.parametrize(
    ("program", "foreign_first"),
    [
        ("from gapless import main", True),
        ("from gapless import main", False),
        # with PyPI's first Python itself says that it has no __main__
        ("from supervisor.__main__ import main", False),
    ],
)
def test_both_orders_of_import_end_with_one_message(program: str, foreign_first: bool, tmp_path: Path) -> None:
    folders = [str(installed(tmp_path)), str(ROOT)]
    path = os.pathsep.join(folders if foreign_first else reversed(folders))
    answer = subprocess.run(
        [sys.executable, "-c", f"import sys; {program}; sys.exit(main())", "--version"],
        capture_output=True,
        text=True,
        check=False,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": path, "PYTHONSAFEPATH": "1"},
        timeout=30,
    )
    assert (answer.returncode, answer.stdout) == (2, "")
    assert answer.stderr.count("supervisor 4.3.0 from PyPI") == 1
    assert "Traceback" not in answer.stderr


def test_a_python_without_the_packages_is_told_what_to_do() -> None:
    answer = subprocess.run(
        [sys.executable, "-S", "-m", "supervisor", "check", "config.toml"],
        capture_output=True,
        text=True,
        check=False,
        cwd=ROOT,
        env={name: value for name, value in os.environ.items() if name != "PYTHONPATH"},
        timeout=30,
    )
    assert answer.returncode == 2
    assert "is not installed for" in answer.stderr
    assert "make install" in answer.stderr
    assert "Traceback" not in answer.stderr
