"""Rules for the tests themselves: each test asserts, no test sleeps without a reason, and no error is swallowed.

`assert`, `pytest.raises` and calls of helpers named `assert_…`, `expect_…` or `wait_until…` count as assertions.
"""

import ast
import re
from functools import cache

import pytest

from tests.support.simulator import ROOT

_FOLDERS = ("core", "streams", "scraper", "supervisor", "simulator", "bench", "tests")
_ASSERTION = re.compile(r"\bassert\b|\b_?(?:assert|expect|wait_until|raises|warns|fail)\w*\(")
_SLEEP = re.compile(r"\b(?:time|asyncio)\.sleep\((?!0\))[^#\n]*$", re.MULTILINE)
_SWALLOWED = re.compile(r"^ *except\b[^\n]*:(?: *#[^\n]*)?\n\s*pass\b", re.MULTILINE)


@cache
def _sources() -> dict[str, str]:
    return {
        path.relative_to(ROOT).as_posix(): path.read_text()
        for folder in _FOLDERS
        for path in sorted((ROOT / folder).rglob("*.py"))
    }


def _test_files() -> dict[str, str]:
    return {name: source for name, source in _sources().items() if name.rpartition("/")[2].startswith("test_")}


def _without_assertion(source: str) -> list[str]:
    """Return the names of the tests whose text contains no assertion."""
    lines = source.splitlines()
    tree = ast.parse(source)
    bodies: list[ast.Module | ast.ClassDef] = [tree, *(node for node in tree.body if isinstance(node, ast.ClassDef))]
    return [
        node.name
        for body in bodies
        for node in body.body
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)
        and node.name.startswith("test_")
        and not _ASSERTION.search("\n".join(lines[node.body[0].lineno - 1 : node.end_lineno]))
    ]


def _matches(pattern: re.Pattern[str], sources: dict[str, str]) -> list[str]:
    return [f"{name}: {found[0].strip()}" for name, source in sources.items() for found in pattern.finditer(source)]


def test_each_test_asserts_something() -> None:
    assert [f"{name}: {test}" for name, source in _test_files().items() for test in _without_assertion(source)] == []


def test_a_test_that_sleeps_gives_a_reason_on_the_same_line() -> None:
    """`sleep(0)` yields to the event loop and is no sleep; wait for a condition with `wait_until` instead."""
    assert _matches(_SLEEP, _test_files()) == []


def test_no_handler_swallows_an_error() -> None:
    """Use `contextlib.suppress` with a comment, a counter or a log line in place of `except …: pass`."""
    assert _matches(_SWALLOWED, _sources()) == []


@pytest.mark.parametrize(
    ("body", "silent"),
    [
        ("assert 1", False),
        ("with pytest.raises(ValueError): call()", False),
        ("trial.assert_complete()", False),
        ("call()", True),
    ],
)
def test_the_rule_sees_assertions(body: str, silent: bool) -> None:
    assert _without_assertion(f"def test_one():\n    {body}\n") == (["test_one"] if silent else [])
