"""The output of the demo, on a terminal and in a file."""

import io
import re

import pytest

from supervisor.demo.screen import Screen


class Terminal(io.StringIO):
    def isatty(self) -> bool:
        return True


def shown(written: str) -> list[str]:
    """Return the screen after this output: it applies line ends, cursor-up and erase sequences."""
    screen, row = [""], 0
    for token in re.findall(r"\033\[1A|\033\[J|\r|\n|[^\033\r\n]+", written):
        match token:
            case "\033[1A":
                row -= 1
            case "\033[J":
                screen[row:] = [""]
            case "\n":
                row += 1
                screen.append("")
            case "\r":
                pass  # always followed by a wipe
            case _:
                screen[row] += token
    return screen


def test_the_status_stays_below_what_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("COLUMNS", "20")
    out = Terminal()
    screen = Screen(out)
    screen.status("first", "a line that is much longer than the screen")
    screen.say("news")
    screen.status("second", "short")
    screen.status("third", "short")
    assert shown(out.getvalue()) == ["news", "third", "short"]


def test_in_a_file_there_is_a_look_now_and_then() -> None:
    now = [10.0]
    out = io.StringIO()
    screen = Screen(out, clock=lambda: now[0])
    for _ in range(12):
        screen.status(f"at {now[0]:g}", "more")
        now[0] += 1.0
    screen.say("end")
    assert out.getvalue().splitlines() == ["at 10", "more", "at 15", "more", "at 20", "more", "end"]
