"""Life inside a child process, with real processes: stop, news, exit codes, signals, and the parent's death."""

import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest
import structlog

from core.child import ChildContext, Message
from core.errors import PERMANENT_EXIT
from core.masking import external
from core.masking.external import hide
from tests.support.durations import allowed
from tests.support.leaks import Leaks
from tests.support.nursery import Nursery, ended
from tests.support.processes import gone, is_stopped, name_of
from tests.support.waiting import wait_until


def test_stop_ends_a_long_wait_at_once_and_the_child_leaves_with_zero(nursery: Nursery) -> None:
    child = nursery.ready("obedient")
    asked = time.monotonic()
    child.request_stop(asked + 10)
    assert ended(child) == 0
    assert time.monotonic() - asked < allowed(1.0)


def test_a_child_that_still_imports_ends_at_once_with_zero(nursery: Nursery) -> None:
    """On a busy machine importing takes seconds; nothing was begun, so nobody has to wait or to be killed."""
    child = nursery.spawn_of("tests.core.slow_to_import:never_reached")
    wait_until(lambda: "importing" in nursery.log(), what="the import to begin")
    child.request_stop(time.monotonic() + 10)
    assert ended(child) == 0
    assert "stopped before it began to work" in nursery.log()


def test_the_process_is_titled_by_its_name(nursery: Nursery) -> None:
    child = nursery.ready("obedient")
    assert " ".join(psutil.Process(child.pid).cmdline()).strip() == "comments"
    assert psutil.Process(child.pid).name() == "comments"


def test_a_secret_of_an_earlier_configuration_stays_masked(nursery: Nursery, tmp_path: Path) -> None:
    """After SIGHUP with a new secret, a server may still say back the old one."""
    hide("Zq8xV3nB7kT2mW9r", logins=[("client", "Zq8xV3nB7kT2mW9r")])
    said = tmp_path / "said"
    said.write_text("refused: Zq8xV3nB7kT2mW9r, then xV3nB7kT2, and at last Y2xpZW50OlpxOHhWM25CN2tUMm1XOXI=")
    child = nursery.spawn("quoting", said)
    assert ended(child) == 0
    text = nursery.log()
    assert '"text":"refused: ***' in text
    assert not Leaks(["Zq8xV3nB7kT2mW9r"], [("client", "Zq8xV3nB7kT2mW9r")]).found_in(text)
    assert "Zq8x" not in repr(external.known.registered)


def test_a_waiting_child_beats(nursery: Nursery) -> None:
    child = nursery.ready("obedient")
    beats: list[Message] = []

    def three() -> bool:
        beats.extend(message for message in child.messages() if message[0] == "beat")
        return len(beats) >= 3

    wait_until(three, what="three heartbeats")
    assert beats[0][1] < beats[1][1] < beats[2][1] <= time.monotonic()


def test_sigterm_stops_that_child_only_and_without_a_deadline_it_may_drain_a_little(
    nursery: Nursery, tmp_path: Path
) -> None:
    child = nursery.ready("draining", tmp_path / "drain")
    os.kill(child.pid, signal.SIGTERM)
    assert ended(child) == 0
    seconds, heard = (tmp_path / "drain").read_text().split(" ", 1)
    assert 3.0 < float(seconds) <= 5.0
    assert heard == "['callback']"


def test_the_supervisor_says_how_long_a_child_may_drain(nursery: Nursery, tmp_path: Path) -> None:
    child = nursery.ready("draining", tmp_path / "drain")
    child.request_stop(time.monotonic() + 20)
    assert ended(child) == 0
    assert 18.0 < float((tmp_path / "drain").read_text().split()[0]) <= 20.0


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP])
def test_ctrl_c_and_a_closed_terminal_are_left_to_the_parent(nursery: Nursery, number: int) -> None:
    child = nursery.ready("obedient")
    for _ in range(3):
        os.kill(child.pid, number)
    child.request_stop(time.monotonic() + 10)
    assert ended(child) == 0
    assert "KeyboardInterrupt" not in nursery.log()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGHUP, signal.SIGTERM])
def test_a_signal_before_the_child_is_made_does_not_break_it(nursery: Nursery, number: int) -> None:
    child = nursery.spawn("obedient")
    os.kill(child.pid, number)
    if number != signal.SIGTERM:
        wait_until(lambda: ("ready",) in child.messages(), what="ready in spite of it")
        child.request_stop(time.monotonic() + 10)
    assert ended(child) == 0


def test_an_error_leaves_its_traceback_in_the_log_and_the_exit_code_1(nursery: Nursery) -> None:
    assert ended(nursery.spawn("failing")) == 1
    assert "failed on purpose" in nursery.log()
    assert "Traceback" in nursery.log()


def test_an_entry_that_cannot_be_imported_is_an_error_like_any_other(nursery: Nursery) -> None:
    assert ended(nursery.spawn("no_such_function")) == 1
    assert "no_such_function" in nursery.log()


def test_an_error_that_no_restart_mends_has_an_exit_code_of_its_own(nursery: Nursery) -> None:
    assert ended(nursery.spawn("hopeless")) == PERMANENT_EXIT
    assert "set REDDIT_CLIENT_ID" in nursery.log()


def test_news_goes_up_with_the_stream_s_name(nursery: Nursery) -> None:
    child = nursery.spawn("counting", 5)
    assert ended(child) == 0
    news = [message for message in child.messages() if message[0] == "news"]
    assert news == [("news", "comments", seq) for seq in range(1, 6)]


def test_news_in_the_inbox_ends_a_wait(nursery: Nursery, tmp_path: Path) -> None:
    child = nursery.ready("woken", tmp_path / "woken", listens=True)
    child.send(("news", "submissions", 7))
    wait_until((tmp_path / "woken").exists, what="the wait to end")


def test_a_full_inbox_never_holds_the_parent_up(nursery: Nursery) -> None:
    child = nursery.ready("deaf", listens=True)
    os.kill(child.pid, signal.SIGSTOP)
    started = time.monotonic()
    for seq in range(5_000):
        child.send(("news", "comments", seq))
    assert time.monotonic() - started < allowed(2.0)


def test_killed_in_the_middle_of_talking_it_holds_nothing_that_the_parent_needs(nursery: Nursery) -> None:
    """Every lock of its Queue and Event may be in the dead child's hands."""
    for _ in range(5):
        child = nursery.ready("chatty")
        child.kill()
        started = time.monotonic()
        child.messages()
        child.request_stop(started + 1)
        assert ended(child) == -signal.SIGKILL
        child.messages()
        assert time.monotonic() - started < allowed(1.0)


PARENT = """
import sys, time
from pathlib import Path
from tests.core.entries import Stopping
from tests.core.test_child import Nursery
nursery = Nursery(Path(sys.argv[1]))
children = [nursery.spawn(entry) for entry in ("obedient", "deaf", "chatty")]
children += [nursery.spawn("obedient", Stopping()) for _ in sys.argv[2:]]
print(*(child.pid for child in children), flush=True)
time.sleep(60)  # the test kills this process long before
"""


@pytest.mark.parametrize("stopped", [False, True], ids=["running", "stopped by SIGSTOP"])
def test_no_child_outlives_its_killed_parent(tmp_path: Path, stopped: bool) -> None:
    with psutil.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=-1, text=True) as parent:
        children = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        wait_until(lambda: all(name_of(child) == "comments" for child in children), what="the children to be born")
        if stopped:
            children[0].suspend()
        parent.kill()
        wait_until(lambda: all(map(gone, children)), what="the orphans to end")


def test_children_of_a_parent_killed_while_they_are_born_are_gone_too(tmp_path: Path) -> None:
    with psutil.Popen([sys.executable, "-c", PARENT, str(tmp_path)], stdout=-1, text=True) as parent:
        children = [psutil.Process(int(pid)) for pid in parent.stdout.readline().split()]
        parent.kill()
        wait_until(lambda: all(map(gone, children)), what="the orphans to end")


def test_a_child_that_is_stopped_while_it_is_born_does_not_outlive_its_parent(tmp_path: Path) -> None:
    with psutil.Popen([sys.executable, "-c", PARENT, str(tmp_path), "one"], stdout=-1, text=True) as parent:
        newborn = psutil.Process(int(parent.stdout.readline().split()[-1]))
        wait_until(lambda: is_stopped(newborn), what="the newborn to be stopped")
        parent.kill()
        wait_until(lambda: gone(newborn), what="the newborn to end")


def test_wait_ends_early_on_news_and_at_once_after_stop() -> None:
    context = ChildContext("x", structlog.stdlib.get_logger("x"))
    context.wake()
    started = time.monotonic()
    assert context.wait(30) is False
    context.ask_stop()
    assert context.wait(30) is True
    assert time.monotonic() - started < allowed(1.0)


def test_a_callback_that_fails_does_not_keep_the_others_from_hearing_of_stop() -> None:
    context = ChildContext("x", structlog.stdlib.get_logger("x"))
    heard: list[str] = []

    def broken() -> None:
        raise ValueError("on purpose")

    context.on_stop(broken)
    context.on_stop(lambda: heard.append("early"))
    context.ask_stop()
    context.on_stop(lambda: heard.append("late"))
    assert heard == ["early", "late"]
