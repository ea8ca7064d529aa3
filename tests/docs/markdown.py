"""Reading the documentation as GitHub shows it: pages, headings and their anchors, tables, links."""

import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path

from tests.support.system import ROOT

_LEFT_OUT = {".git", "build", "dist", "node_modules", ".pytest_cache"}
_FENCE = re.compile(r"^(```|~~~).*?^\1\s*$", re.MULTILINE | re.DOTALL)
_LINK = re.compile(r"!?\[(?:[^\]\[]|\[[^\]]*\])*\]\(([^)\s]+)\)")
_HEADING = re.compile(r"^#{1,6}\s+(.+?)\s*$", re.MULTILINE)

#: Folders of the repository: what begins with one of them is meant as a path.
_FOLDERS = "bench|core|deploy|docs|scraper|simulator|streams|supervisor|tests"


def pages() -> list[Path]:
    """Every page of the repository."""
    found = (path.relative_to(ROOT) for path in ROOT.rglob("*.md"))
    return sorted(path for path in found if not (_LEFT_OUT & set(path.parts) or path.parts[0].startswith(".venv")))


@cache
def text(page: Path) -> str:
    return (ROOT / page).read_text(encoding="utf-8")


def prose(page: Path) -> str:
    """A page without its blocks of code."""
    return _FENCE.sub("", text(page))


def section(page: Path, heading: str) -> str:
    """The text below a heading, up to the next one of its rank or a higher one."""
    mark = heading.partition(" ")[0]
    _, found, rest = f"\n{text(page)}".partition(f"\n{heading}\n")
    assert found, f"{page} has no heading {heading!r}"
    return re.split(rf"^#{{1,{len(mark)}}} ", rest, maxsplit=1, flags=re.MULTILINE)[0]


def headings(page: Path, below: str, mark: str) -> list[str]:
    """The headings of one rank below another."""
    return re.findall(rf"^{mark} (.+)$", section(page, below), re.MULTILINE)


def anchors(page: Path) -> set[str]:
    """Where a link into the page can lead, as GitHub makes it from the headings."""
    made = set()
    for heading in _HEADING.findall(prose(page)):
        bare = re.sub(r"[^\w\- ]", "", re.sub(r"\[([^\]]*)\]\([^)]*\)", r"\1", heading).lower())
        made.add(bare.strip().replace(" ", "-"))
    return made


def links(page: Path) -> list[str]:
    return _LINK.findall(prose(page))


def rows(part: str, heading: str) -> list[list[str]]:
    """The cells of every table in `part` whose first column has this heading."""
    found: list[list[str]] = []
    inside = False
    for line in part.splitlines():
        cells = _cells(line)
        if not cells:
            inside = False
        elif inside and not set(line) <= set("|-: "):
            found.append(cells)
        elif cells[0] == heading:
            inside = True
    return found


def _cells(line: str) -> list[str]:
    if not line.startswith("|"):
        return []
    return [cell.strip() for cell in re.split(r"(?<!\\)\|", line.strip().strip("|"))]


def paths(page: Path) -> Iterator[str]:
    """Every path of the repository that a page names as code, `::name` of a test included."""
    for code in re.findall(r"`([^`\n]+)`", prose(page)):
        for word in code.split():
            if re.fullmatch(rf"(?:{_FOLDERS})/[\w./*{{}},\[\]-]*(?:::\w+)*", word) and not word.endswith("/.env"):
                yield word  # .env: each makes his own
