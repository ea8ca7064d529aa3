"""Code decides by types and codes, never by the words of a message: those are for people, and change."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from core.errors import FaultCode
from core.reddit.request_errors import CredentialsRejected
from core.spool.model import RECORDS_LOST, SPOOL_BROKEN, SPOOL_LOST, GapCause
from tests.support.system import ROOT

#: Names of what holds words for people.
MESSAGES = {"reason", "why", "message", "refusal", "hint", "advice", "unreadable", "last_error", "last_words", "remark"}
SEARCHES = {"startswith", "endswith", "find", "index", "count", "partition", "rpartition", "split"}

#: Where the words are another program's, which gives nothing else; or where a code is stored as text.
ALLOWED = {
    ("core/spool/model.py", "of"): "the ledger stores the cause of a gap as its text; GapCause reads it",
    ("scraper/http/proxy/blame.py", "sign_of"): "Unavailable.reason holds a code: one of core.reddit.answers",
    ("scraper/crawl/authors.py", "_refused"): "the same",
    ("scraper/store/connection/database_errors.py", "*"): "asyncpg, SQLite and poolers have no codes for these",
    ("supervisor/demo/database.py", "*"): "SQLite has no code of its own for a missing table",
    ("supervisor/cli/dead_letters_command.py", "*"): "the stored reason begins with librdkafka's name of the error",
}


def is_message(node: ast.expr) -> bool:
    """Whether an expression is, or is made of, words for people."""
    match node:
        case ast.Name(id=name) | ast.Attribute(attr=name):
            return name in MESSAGES
        case ast.Call(func=ast.Name(id="str"), args=[ast.Name(id=name) | ast.Attribute(attr=name)]):
            return name in {"error", "exception", "cause", "exc"} | MESSAGES
        case ast.Call(func=ast.Attribute(value=value, attr="lower" | "upper" | "strip" | "casefold")):
            return is_message(value)
    return False


def decides(node: ast.AST) -> bool:
    match node:
        case ast.Compare(left=left, ops=ops, comparators=comparators):
            for op, right in zip(ops, comparators, strict=True):
                if isinstance(op, ast.In | ast.NotIn) and is_message(right):
                    return True
                if isinstance(op, ast.Eq | ast.NotEq) and is_message(left) and isinstance(right, ast.Constant):
                    return bool(right.value)  # a comparison with nothing only asks whether there are words
        case ast.Call(func=ast.Attribute(value=value, attr=name)):
            return name in SEARCHES and bool(node.args) and is_message(value)  # Kafka's message.partition() has none
    return False


def decisions(tree: ast.AST, function: str = "") -> Iterator[tuple[str, int]]:
    for node in ast.iter_child_nodes(tree):
        name = node.name if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef) else function
        if decides(node):
            yield name, getattr(node, "lineno", 0)
        yield from decisions(node, name)


@pytest.mark.parametrize("package", ["core", "streams", "scraper", "supervisor"])
def test_no_code_searches_in_the_words_of_a_message(package: str) -> None:
    found = []
    for path in sorted((ROOT / package).rglob("*.py")):
        place = str(path.relative_to(ROOT))
        for function, line in decisions(ast.parse(path.read_text())):
            if (place, function) not in ALLOWED and (place, "*") not in ALLOWED:
                found.append(f"{place}:{line} {function}")
    assert found == []


@pytest.mark.parametrize(
    ("code", "caught"),
    [
        ('"REDDIT_CLIENT_ID" in why', True),
        ('"x" in str(error)', True),
        ("SPOOL_LOST in gap.reason", True),
        ('gap.reason.startswith(("a", "b"))', True),
        ('error.reason == "missing"', True),
        ('letter.reason.partition(":")[0]', True),
        ('gap.reason == ""', False),
        ("gap.cause.lost_spool", False),
        ('"x" in names', False),
    ],
)
def test_what_counts_as_such_a_search(code: str, caught: bool) -> None:
    assert bool(list(decisions(ast.parse(code)))) is caught


def test_every_exception_to_the_rule_is_still_needed() -> None:
    used = {
        (place, function)
        for place in {place for place, _ in ALLOWED}
        for function, _ in decisions(ast.parse((ROOT / place).read_text()))
    }
    needless = [
        (place, function)
        for place, function in ALLOWED
        if not any(where == place and function in {"*", name} for where, name in used)
    ]
    assert needless == []


def test_the_codes_of_errors() -> None:
    assert CredentialsRejected("x").code is FaultCode.CREDENTIALS


@pytest.mark.parametrize(
    ("reason", "cause"),
    [
        ("the listing ended first", GapCause.LISTING),
        ("", GapCause.LISTING),
        (f"5 {RECORDS_LOST}", GapCause.LISTING),
        (f"{SPOOL_LOST}: its file was deleted", GapCause.SPOOL_LOST),
        (f"{SPOOL_LOST}: its file was deleted; 5 {RECORDS_LOST} were not delivered", GapCause.SPOOL_LOST_WITH_RECORDS),
        (SPOOL_BROKEN, GapCause.SPOOL_BROKEN_WITH_RECORDS),
        (f"{SPOOL_BROKEN}: the place in the stream could not be read back", GapCause.SPOOL_BROKEN),
        (f"{SPOOL_BROKEN}: 7 captured records could not be read back", GapCause.SPOOL_BROKEN_WITH_RECORDS),
    ],
)
def test_the_cause_of_every_entry_that_a_ledger_may_hold(reason: str, cause: GapCause) -> None:
    assert GapCause.of(reason) is cause


def test_the_rule_knows_its_places() -> None:
    assert all(Path(ROOT / place).is_file() for place, _ in ALLOWED)
