"""What the wheel is made of: every file that a process opens, one version, no host of a package index."""

import re
import subprocess
import sys
import tomllib
from pathlib import Path

from core.version import VERSION
from tests.support.system import ROOT

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))


def test_every_data_file_of_a_package_is_in_the_wheel() -> None:
    patterns = PROJECT["tool"]["setuptools"]["package-data"]
    packed = {
        path
        for package, globs in patterns.items()
        for each in globs
        for path in (ROOT / package.replace(".", "/")).glob(each)
    }
    for package in ("core", "streams", "scraper", "supervisor", "simulator"):
        for path in (ROOT / package).rglob("*"):
            if path.is_file() and path.suffix not in (".py", ".pyc"):
                assert path in packed, f"package-data does not name {path.relative_to(ROOT)}"
            if path.suffix == ".py":
                assert (path.parent / "__init__.py").exists(), f"{path.parent} is no package"


def test_the_version_stands_in_one_place() -> None:
    assert PROJECT["tool"]["setuptools"]["dynamic"]["version"] == {"attr": "core.version.VERSION"}
    top = re.findall(r"^## \[([\d.]+)\]", (ROOT / "CHANGELOG.md").read_text(encoding="utf-8"), re.MULTILINE)[0]
    assert top == VERSION
    for module in ("supervisor", "gapless"):
        command = [sys.executable, "-m", module, "--version"]
        answer = subprocess.run(command, capture_output=True, text=True, check=True, cwd=ROOT, timeout=30)
        assert answer.stdout == f"gapless {VERSION}\n"


def test_the_lock_files_name_no_index() -> None:
    for name in ("requirements.lock", "requirements-dev.lock"):
        lines = (ROOT / name).read_text(encoding="utf-8").splitlines()
        assert [line for line in lines if "://" in line or "--index" in line or "--find-links" in line] == []
        assert len(lines) > 100


def test_the_license_is_whole() -> None:
    text = Path(ROOT / "LICENSE").read_text(encoding="utf-8")
    assert PROJECT["project"]["license"] == "Apache-2.0"
    assert text.count("\n") == 202
    assert "END OF TERMS AND CONDITIONS" in text
