"""Supervision with real processes and real signals: stop in every phase, kills, orphans, the lock."""

import os
import random
import signal
import time
from pathlib import Path

import pytest

from tests.supervisor.dummies import NAMES, OBEDIENT, Family
from tests.support.durations import allowed
from tests.support.processes import gone
from tests.support.waiting import wait_until


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_idle_it_is_gone_within_a_second_and_a_half(families: list[Family], tmp_path: Path, number: int) -> None:
    family = Family(tmp_path, *OBEDIENT)
    families.append(family)
    family.ready()
    children = family.children()
    asked = time.monotonic()
    family.process.send_signal(number)
    assert family.exit_code() == 0
    assert time.monotonic() - asked < allowed(1.5)
    assert set(children) == set(NAMES)
    assert all(map(gone, children.values()))
    assert [entry["child"] for entry in family.events("child_stopped")][-1] == "publisher"


def test_ctrl_c_in_the_terminal_reaches_all_but_only_the_parent_acts(families: list[Family], tmp_path: Path) -> None:
    family = Family(tmp_path, *OBEDIENT)
    families.append(family)
    family.ready()
    os.killpg(family.process.pid, signal.SIGINT)
    assert family.exit_code() == 0
    assert not family.events("child_died")
    assert [entry["exit"] for entry in family.events("child_stopped")] == ["code 0"] * 3


def test_signals_while_everything_is_still_starting(families: list[Family], tmp_path: Path) -> None:
    for number in range(4):
        family = Family(tmp_path / str(number), *OBEDIENT)
        families.append(family)
        # from "the log was just opened" to "the children are being born"
        wait_until((family.state_dir / "supervisor.log").exists, what="the log")
        wait_until(lambda: len(family.events("child_started")) >= number, what="the start to be under way")  # noqa: B023
        family.process.terminate()
        assert family.exit_code() == 0, number


def test_repeated_signals_change_nothing(families: list[Family], tmp_path: Path) -> None:
    family = Family(tmp_path, *OBEDIENT)
    families.append(family)
    family.ready()
    for number in (signal.SIGTERM, signal.SIGINT, signal.SIGTERM, signal.SIGINT):
        family.process.send_signal(number)
    assert family.exit_code() == 0
    assert len(family.events("stopping")) == 1


def test_signals_while_a_child_is_being_restarted(families: list[Family], tmp_path: Path) -> None:
    family = Family(tmp_path, *OBEDIENT[:2], "comments=SOURCE:failing")
    families.append(family)
    wait_until(lambda: len(family.events("child_died")) >= 2, what="two deaths")
    family.process.terminate()
    assert family.exit_code() == 0


def test_a_child_that_does_not_stop_is_killed_within_the_deadline(families: list[Family], tmp_path: Path) -> None:
    family = Family(tmp_path, *OBEDIENT[:2], "comments=SOURCE:deaf", timeout=2.0)
    families.append(family)
    family.ready()
    asked = time.monotonic()
    family.process.terminate()
    assert family.exit_code() == 3
    assert time.monotonic() - asked < allowed(2.5)
    assert [entry["child"] for entry in family.events("child_killed")] == ["comments"]
    assert {entry["child"] for entry in family.events("child_stopped")} == set(NAMES)


def test_a_killed_child_comes_back_at_once_and_the_others_stay(families: list[Family], tmp_path: Path) -> None:
    """The duration of a start depends on the machine (see bench); that no start waits depends on us."""
    family = Family(tmp_path, *OBEDIENT)
    families.append(family)
    family.ready()
    before = family.children()
    before["comments"].kill()
    family.ready(4)
    assert [death["restart_in_s"] <= 0.25 for death in family.events("child_died")] == [True]
    after = family.children()
    assert after["comments"].pid != before["comments"].pid
    assert after["publisher"].pid == before["publisher"].pid
    family.process.terminate()
    assert family.exit_code() == 0


def test_a_storm_of_kills_leaves_nothing_held(families: list[Family], tmp_path: Path) -> None:
    """Children that send continuously are killed at random moments; the others continue and stop in time."""
    chatty = ("publisher=SINK:obedient", "submissions=SOURCE:chatty", "comments=SOURCE:chatty")
    family = Family(tmp_path, *chatty)
    families.append(family)
    family.ready()
    chance = random.Random(7)
    for kills in range(1, 9):
        alive = wait_until(family.children, what="children to kill")
        alive[chance.choice(sorted(alive))].kill()
        wait_until(lambda: len(family.events("child_died")) >= kills, what="the death to be noticed")  # noqa: B023
    family.ready(3 + 3)
    asked = time.monotonic()
    family.process.terminate()
    assert family.exit_code() == 0
    assert time.monotonic() - asked < allowed(3.0)


def test_children_that_cannot_work_end_the_run_with_1(families: list[Family], tmp_path: Path) -> None:
    family = Family(tmp_path, OBEDIENT[0], "submissions=SOURCE:hopeless", "comments=SOURCE:hopeless")
    families.append(family)
    assert family.exit_code() == 1
    assert {entry["child"] for entry in family.events("child_fatal")} == {"submissions", "comments"}
    assert {entry["why"] for entry in family.events("child_fatal")} == {"set REDDIT_CLIENT_ID"}
    assert [entry["child"] for entry in family.events("child_stopped")] == ["publisher"]


def test_one_parked_child_leaves_the_others_running(families: list[Family], tmp_path: Path) -> None:
    marker = tmp_path / "revoked"
    family = Family(tmp_path, *OBEDIENT[:2], f"comments=SOURCE:hopeless_when_told:{marker}")
    families.append(family)
    family.ready()
    marker.touch()
    wait_until(lambda: family.events("child_fatal"), what="the child to be parked")
    assert set(family.children()) == {"publisher", "submissions"}
    family.process.terminate()
    assert family.exit_code() == 0


def test_when_the_supervisor_is_killed_no_child_lives_on_and_a_new_one_starts_at_once(
    families: list[Family], tmp_path: Path
) -> None:
    first = Family(tmp_path, "publisher=SINK:deaf", "submissions=SOURCE:chatty", "comments=SOURCE:obedient")
    families.append(first)
    first.ready()
    children = first.children()
    first.process.kill()
    second = Family(tmp_path, *OBEDIENT)
    families.append(second)
    wait_until(lambda: all(map(gone, children.values())), what="the orphans to end")
    second.ready(6)
    second.process.terminate()
    assert second.exit_code() == 0


def test_a_second_supervisor_refuses_and_names_the_first(families: list[Family], tmp_path: Path) -> None:
    first = Family(tmp_path, *OBEDIENT)
    families.append(first)
    first.ready()
    second = Family(tmp_path, *OBEDIENT)
    families.append(second)
    _, complaint = second.process.communicate(timeout=10)
    assert second.process.returncode == 2
    assert f"pid {first.process.pid}" in complaint
    assert len(first.children()) == 3
    first.process.terminate()
    assert first.exit_code() == 0


@pytest.mark.parametrize("way", ["blocked", "stopped"])
def test_a_child_that_hangs_is_replaced_in_time(families: list[Family], tmp_path: Path, way: str) -> None:
    """Blocked: its loop stalls. Stopped: by SIGSTOP; after SIGCONT it also ends by the abort and logs where it was."""
    timeout = 2.0
    entry = "deaf" if way == "blocked" else "obedient"
    family = Family(tmp_path, *OBEDIENT[:2], f"comments=SOURCE:{entry}", timeout=4.0, heartbeat_timeout=timeout)
    families.append(family)
    family.ready()
    before = family.children()
    asked = time.monotonic()
    if way == "stopped":
        before["comments"].suspend()
    wait_until(lambda: family.events("child_hung"), what="the hang to be noticed")
    wait_until(lambda: len(family.events("child_started")) == 4, what="its successor")
    assert time.monotonic() - asked < allowed(timeout + 3.0)
    assert [entry["child"] for entry in family.events("child_hung")] == ["comments"]
    assert [entry["exit"] for entry in family.events("child_died")] == ["SIGABRT"]
    assert family.children()["publisher"].pid == before["publisher"].pid
    family.process.terminate()
    assert family.exit_code() in {0, 3}  # the deaf one has to be killed in the end
