"""Splitting the output of a child into parts."""

import json

import pytest
from hypothesis import given
from hypothesis import strategies as st

from supervisor.processes.output_parser import Kind, OutputParser, OutputPart

CHAINED = """\
Traceback (most recent call last):
  File "a.py", line 1, in f
    g()
KeyError: 'x'

During handling of the above exception, another exception occurred:

Traceback (most recent call last):
  File "a.py", line 3, in f
    h()
sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) no such table: x
[SQL: SELECT 1]
(Background on this error at: https://sqlalche.me/e/20/e3q8)"""

CRASH = """\
Fatal Python error: Aborted

Current thread 0x00007f (most recent call first):
  File "a.py", line 1 in f

Thread 0x00007e (most recent call first):
  File "b.py", line 1 in g

Extension modules: orjson, setproctitle (total: 2)"""

IN_THREAD = """\
Exception in thread Thread-1 (work):
Traceback (most recent call last):
  File "a.py", line 1, in work
ValueError: in thread"""

PROCESS = """\
Process comments:
Traceback (most recent call last):
  File "a.py", line 1, in main
ValueError: not born"""

WARNING = """\
/x/a.py:3: DeprecationWarning: old
  f()"""

GROUP = """\
  + Exception Group Traceback (most recent call last):
  |   File "a.py", line 1, in <module>
  | ExceptionGroup: two (2 sub-exceptions)
  +-+---------------- 1 ----------------
    | ValueError: 1
    +------------------------------------"""


def said(text: str, *, step: int = 0) -> list[OutputPart]:
    """Return the parts of a text that arrives in pieces of `step` bytes."""
    listener, data = OutputParser(), text.encode()
    found: list[OutputPart] = []
    step = step or len(data) or 1
    for start in range(0, len(data), step):
        found += listener.feed(data[start : start + step])
    return [*found, *listener.end()]


@pytest.mark.parametrize(
    ("text", "level", "line"),
    [
        (CHAINED, "error", "sqlalchemy.exc.OperationalError: (sqlite3.OperationalError) no such table: x"),
        (CRASH, "critical", "Fatal Python error: Aborted"),
        (IN_THREAD, "error", "ValueError: in thread"),
        (PROCESS, "error", "ValueError: not born"),
        (WARNING, "warning", "/x/a.py:3: DeprecationWarning: old"),
        (GROUP, "error", "ExceptionGroup: two (2 sub-exceptions)"),
    ],
    ids=["chained", "crash", "in thread", "process", "warning", "group"],
)
@pytest.mark.parametrize("step", [0, 7])
def test_what_belongs_together_is_one_piece(text: str, level: str, line: str, step: int) -> None:
    before, piece, *after = said(f"before\n{text}\n" + ("" if text is CRASH else "\nafter\n"), step=step)
    assert before.text == "before"
    assert piece.text == text
    assert (piece.level, piece.line) == (level, line)
    assert [one.text for one in after] == ([] if text is CRASH else ["after"])


def test_two_errors_that_have_nothing_to_do_with_each_other_are_two_pieces() -> None:
    one = "Traceback (most recent call last):\n  File x\nValueError: 1"
    assert [piece.text for piece in said(f"{one}\n{one}\n")] == [one, one]


def test_log_lines_of_its_own_pass_as_they_are_also_between_others() -> None:
    own = json.dumps({"timestamp": "2026", "event": "ünïcode"}, separators=(",", ":"))
    pieces = said(f"a\n{own}\n{own}\nb\n", step=3)
    assert [piece.text for piece in pieces] == ["a", own, own, "b"]
    assert [piece.kind is Kind.OWN for piece in pieces] == [False, True, True, False]


def test_half_a_log_line_at_death_is_not_lost() -> None:
    (piece,) = said('{"timestamp":"2026-01-01T00')
    assert (piece.kind, piece.text) == (Kind.LINE, '{"timestamp":"2026-01-01T00')


@pytest.mark.parametrize(
    ("line", "level"),
    [
        ("%3|1.5|FAIL|rdkafka#producer-1| [thrd:x]: refused", "error"),
        ("%6|1.5|INFO|rdkafka#producer-1| fine", "info"),
        ("ERROR: it broke", "error"),
        ("INFO:root:fine", "info"),
        ("terminate called without an active exception", "critical"),
        ("free(): invalid pointer", "critical"),
        ("hello", "warning"),
    ],
)
def test_a_line_is_as_severe_as_it_says_and_a_warning_where_it_says_nothing(line: str, level: str) -> None:
    (piece,) = said(f"{line}\n")
    assert piece.level == level


def test_what_never_ends_is_cut() -> None:
    assert sum(len(piece.text) for piece in said("x" * 200_000, step=10_000)) == 200_000
    endless = "Traceback (most recent call last):\n" + "  File x\n" * 50_000
    assert max(len(piece.text) for piece in said(endless)) < 150_000


@given(st.text(alphabet="aT \n:{}[", max_size=200), st.integers(1, 50))
def test_whatever_comes_in_whatever_pieces_no_word_is_lost(text: str, step: int) -> None:
    assert " ".join(piece.text for piece in said(text, step=step)).split() == text.split()
