"""Whatever a page points to is there: files, headings, tests by their names."""

import re
from pathlib import Path

import pytest

from tests.docs.markdown import anchors, links, pages, paths
from tests.support.system import ROOT


@pytest.mark.parametrize("page", pages(), ids=str)
def test_each_link_leads_somewhere(page: Path) -> None:
    for link in links(page):
        if re.match(r"[a-z]+:", link):
            continue  # another host: not ours to keep
        target, _, anchor = link.partition("#")
        path = (ROOT / page.parent / target).resolve() if target else ROOT / page
        assert path.exists(), f"{page}: nothing at {link}"
        assert path.is_relative_to(ROOT), f"{page}: {link} leads out of the repository"
        if anchor and path.suffix == ".md":
            assert anchor in anchors(path.relative_to(ROOT)), f"{page}: no heading for {link}"


@pytest.mark.parametrize("page", pages(), ids=str)
def test_each_path_exists_and_holds_the_test_it_is_named_for(page: Path) -> None:
    for named in paths(page):
        path, *tests = named.split("::")
        found = [one for each in _spelled_out(path) for one in (ROOT.glob(each) if "*" in each else [ROOT / each])]
        assert found, f"{page}: nothing like {named}"
        assert all(one.exists() for one in found), f"{page}: no {named}"
        for test in tests:
            code = found[0].read_text(encoding="utf-8")
            assert re.search(rf"^\s*(?:async )?(?:def|class) {test}\b", code, re.MULTILINE), f"{page}: no {named}"


def _spelled_out(path: str) -> list[str]:
    """`a/{b,c}.py` is a/b.py and a/c.py."""
    choice = re.search(r"\{([^}]*)\}", path)
    if choice is None:
        return [path]
    return [path.replace(choice[0], one) for one in choice[1].split(",")]
