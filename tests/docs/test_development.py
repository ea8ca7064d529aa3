"""docs/development.md and README.md speak of the make targets, pages and commands that there are."""

import re
from pathlib import Path

from supervisor.cli.commands import COMMANDS
from tests.docs.markdown import pages, rows, section, text
from tests.support.system import ROOT

PAGE = Path("docs/development.md")
MAKEFILE = (ROOT / "Makefile").read_text(encoding="utf-8")


def test_every_make_target_is_told_and_every_told_one_exists() -> None:
    targets = set(re.findall(r"^\.PHONY: (.+)$", MAKEFILE, re.MULTILINE)[0].split()) - {"python"}
    documented = {re.findall(r"make (\w+)", row[0])[0] for row in rows(section(PAGE, "## Make"), "target")}
    assert documented == targets


def test_every_page_is_listed_in_the_readme() -> None:
    listed = set(re.findall(r"\]\((docs/\w+\.md|\w+\.md)\)", section(Path("README.md"), "## Read on")))
    assert listed == {str(page) for page in pages() if page != Path("README.md")}


def test_the_commands_of_the_readme_are_those_of_the_program() -> None:
    documented = {row[0].strip("`").split()[0] for row in rows(text(Path("README.md")), "command")}
    assert documented - {"kill"} == set(COMMANDS)


def test_every_command_line_in_the_pages_is_one_of_the_program() -> None:
    for page in pages():
        for command in re.findall(r"python -m supervisor ([a-z]+)", text(page)):
            assert command in COMMANDS, f"{page}: python -m supervisor {command}"
