"""Every event that we log has a snake_case name, written where it is logged: one can search for it, and count it."""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PACKAGES = ("core", "streams", "scraper", "supervisor", "simulator")
NAME = re.compile(r"[a-z][a-z0-9]*(_[a-z0-9]+)*")
METHODS = {"debug", "info", "warning", "warn", "error", "critical", "exception", "log"}
LOGGER = re.compile(r"(^|_|\.)(log|logger)$|get_?logger\(", re.IGNORECASE)

Function = ast.FunctionDef | ast.AsyncFunctionDef


def trees() -> Iterator[tuple[Path, ast.Module]]:
    for package in PACKAGES:
        for path in sorted((ROOT / package).rglob("*.py")):
            yield path.relative_to(ROOT), ast.parse(path.read_text(encoding="utf-8"))


def passed_on(tree: ast.Module) -> dict[str, int]:
    """Name the functions that take the name of an `event`, each with its place among the arguments."""
    found = {}
    for node in ast.walk(tree):
        if isinstance(node, Function):
            names = [argument.arg for argument in node.args.args if argument.arg not in ("self", "cls")]
            if "event" in names:
                found[node.name] = names.index("event")
    return found


def events(tree: ast.Module, takers: dict[str, int]) -> Iterator[tuple[ast.Call, ast.expr]]:
    """Give every call that logs, with what stands in the place of the event's name."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call):
            continue
        function = node.func
        if isinstance(function, ast.Attribute) and function.attr in METHODS:
            if LOGGER.search(ast.unparse(function.value)) and node.args:
                yield node, node.args[1 if function.attr == "log" else 0]
        elif (name := getattr(function, "attr", getattr(function, "id", ""))) in takers:
            yield from [(node, argument) for argument in node.args[takers[name] : takers[name] + 1]]


def is_good(event: ast.expr) -> bool:
    match event:
        case ast.Constant(value=str(text)):
            return NAME.fullmatch(text) is not None
        case ast.IfExp(body=body, orelse=orelse):
            return is_good(body) and is_good(orelse)
        case ast.Name(id="event"):  # the function's own argument, which is looked at where it is given
            return True
    return False


def faults(path: Path, tree: ast.Module, takers: dict[str, int]) -> list[str]:
    return [f"{path}:{call.lineno}: {ast.unparse(event)}" for call, event in events(tree, takers) if not is_good(event)]


def test_every_event_has_a_name_in_snake_case() -> None:
    found = list(trees())
    public = {name: at for _, tree in found for name, at in passed_on(tree).items() if not name.startswith("_")}
    searched = [(path, tree, public | passed_on(tree)) for path, tree in found]
    assert sum(1 for _, tree, takers in searched for _ in events(tree, takers)) > 100, "the search finds what it should"
    assert [fault for path, tree, takers in searched for fault in faults(path, tree, takers)] == []


@pytest.mark.parametrize(
    "source",
    [
        "log.info('Kafka is back')",
        "self._log.error(f'failed_{x}')",
        "context.log.warning('with_arguments: %s', x)",
        "logging.getLogger('x').critical('Uncaught')",
        "logs.get_logger('x').log(30, 'not good')",
        "log.info('fine' if x else 'not fine')",
        "log.info(event_of(x))",
        "def say(self, error, event): self.log.error(event)\nx.say(1, 'not good')",
    ],
)
def test_the_search_finds_what_is_wrong(source: str) -> None:
    tree = ast.parse(source)
    assert len(faults(Path("x.py"), tree, passed_on(tree))) == 1
