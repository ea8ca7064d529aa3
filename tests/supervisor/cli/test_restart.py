"""Restarting one process on demand: by tables of events, and with real processes from the command line."""

import io
from pathlib import Path

import pytest

from core.errors import PERMANENT_EXIT, ExitCode
from supervisor.cli.restart import restart
from supervisor.processes.restart_policy import State
from tests.supervisor.dummies import OBEDIENT
from tests.supervisor.household import configuration, living
from tests.supervisor.scripted import Event, World, sink, source

FAMILY = [sink(), source("submissions"), source("comments")]
READY: list[Event] = [(0.1, "says", name, ("ready",)) for name in ("publisher", "submissions", "comments")]
END: Event = (60.0, "rings", "SIGTERM", None)


def diary(world: World, name: str) -> list[tuple[float, str]]:
    """Return the events of one child before the end."""
    return [(moment, what) for moment, what, who in world.diary if who == name and moment < END[0]]


def test_a_running_child_is_asked_to_stop_and_replaced_as_soon_as_it_has() -> None:
    world = World([*READY, (5.0, "asks", "comments", None), END], {"comments": 1.5})
    manager = world.manager(FAMILY)
    assert manager.run() is ExitCode.OK
    assert diary(world, "comments") == [(0.0, "start"), (5.0, "stop"), (6.5, "start")]
    assert diary(world, "submissions") == [(0.0, "start")], "its siblings notice nothing"
    assert manager.children["comments"].restart_state.restarts == 1


def test_a_child_that_does_not_stop_for_its_restart_is_pressed_and_that_is_no_failed_shutdown() -> None:
    world = World([*READY, (5.0, "asks", "comments", None), END], {"comments": None})
    world.at(40.0, "ends", "comments", 0)  # the second one obeys nobody either: it leaves by itself
    manager = world.manager(FAMILY, 10.0)
    world.stop_takes["comments"] = None
    code = manager.run()
    done = [what for _, what in diary(world, "comments")]
    assert done[:5] == ["start", "stop", "terminate", "kill", "start"]
    killed_at = next(moment for moment, what in diary(world, "comments") if what == "kill")
    assert killed_at <= 5.0 + 10.0
    assert code is ExitCode.KILLED, "because of the end, where it did not stop either"


def test_a_kill_for_a_restart_does_not_count_at_the_end() -> None:
    world = World([*READY, (5.0, "asks", "comments", None), END], {"comments": None})
    manager = world.manager(FAMILY)
    while manager.children["comments"].restart_state.restarts == 0:
        manager.step()
    world.stop_takes["comments"] = 0.0
    assert ("kill", "comments") in [entry[1:] for entry in world.diary]
    assert manager.run() is ExitCode.OK


def test_a_parked_child_is_woken_at_once() -> None:
    script: list[Event] = [*READY, (3.0, "ends", "comments", PERMANENT_EXIT), (9.0, "asks", "comments", None), END]
    world = World(script)
    manager = world.manager(FAMILY)
    manager.run()
    assert diary(world, "comments") == [(0.0, "start"), (9.0, "start")]


def test_a_child_that_waits_for_its_restart_waits_no_longer() -> None:
    deaths: list[Event] = [(n / 2, "ends", "comments", 1) for n in range(1, 40)]
    world = World([*deaths, (20.1, "asks", "comments", None), END])
    manager = world.manager([sink(), source("comments")])
    manager.run()
    assert (20.1, "start") in diary(world, "comments")


def test_asking_twice_is_asking_once() -> None:
    asks: list[Event] = [(5.0 + n / 10, "asks", "comments", None) for n in range(5)]
    world = World([*READY, *asks, END], {"comments": 2.0})
    world.manager(FAMILY).run()
    assert diary(world, "comments") == [(0.0, "start"), (5.0, "stop"), (7.0, "start")]


def test_a_stop_in_the_middle_of_a_restart_stops_that_child_too_in_its_turn() -> None:
    world = World([*READY, (5.0, "asks", "publisher", None), (6.0, "rings", "SIGTERM", None)], {"publisher": 3.0})
    manager = world.manager(FAMILY)
    assert manager.run() is ExitCode.OK
    starts = [entry for entry in world.diary if entry[1:] == ("start", "publisher")]
    assert len(starts) == 1
    assert manager.children["publisher"].restart_state.state is State.EXITED
    assert world.now == pytest.approx(8.0)


def test_once_everything_stops_nothing_is_restarted() -> None:
    world = World([*READY, (5.0, "rings", "SIGTERM", None), (5.1, "asks", "submissions", None)], {"comments": 2.0})
    assert world.manager(FAMILY).run() is ExitCode.OK
    assert sum(entry[1:] == ("start", "submissions") for entry in world.diary) == 1


def ask_restart(config: Path, name: str) -> tuple[ExitCode, str, str]:
    out, err = io.StringIO(), io.StringIO()
    code = restart(config, name, out=out, err=err)
    return code, out.getvalue(), err.getvalue()


def test_the_command_replaces_a_process_and_waits_until_it_runs(tmp_path: Path) -> None:
    with living(tmp_path) as household:
        before = household.wait_for("comments", "RUNNING")
        sibling = household.wait_for("publisher", "RUNNING")
        code, out, _ = ask_restart(household.config, "comments")
        after = household.process("comments")
        assert code is ExitCode.OK
        assert (after["state"], after["restarts"], after["last_exit"]) == ("RUNNING", 1, 0)
        assert after["pid"] != before["pid"]
        assert f"comments: RUNNING, pid {after['pid']}" in out
        assert household.process("publisher")["pid"] == sibling["pid"]

        code, _, err = ask_restart(household.config, "coments")
        assert code is ExitCode.BAD_USAGE
        assert "'coments'; there are: publisher, submissions, comments" in err


def test_the_command_wakes_a_parked_process_and_says_when_that_did_not_help(tmp_path: Path) -> None:
    marker = tmp_path / "revoked"
    marker.touch()
    with living(tmp_path, *OBEDIENT[:2], f"comments=SOURCE:hopeless_while:{marker}") as household:
        household.wait_for("comments", "FATAL")
        code, _, err = ask_restart(household.config, "comments")
        assert code is ExitCode.GAVE_UP
        assert "comments: FATAL (the credentials are wrong)" in err
        assert "comments.log" in err
        marker.unlink()
        code, _, _ = ask_restart(household.config, "comments")
        assert (code, household.process("comments")["state"]) == (ExitCode.OK, "RUNNING")
        assert household.process("comments")["restarts"] == 2


def test_without_a_supervisor_the_command_says_so(tmp_path: Path) -> None:
    code, _, err = ask_restart(configuration(tmp_path, tmp_path / "home"), "comments")
    assert code is ExitCode.GAVE_UP
    assert "no supervisor runs on" in err


def test_a_process_that_a_reload_removes_meanwhile_is_said_to_be_gone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    row = {"name": "comments", "state": "RUNNING", "restarts": 0}
    answers = iter([{"ok": True, **row}, {"processes": [row]}, {"processes": []}])
    monkeypatch.setattr("core.control_client.ask", lambda *_: next(answers))
    code, _, err = ask_restart(configuration(tmp_path, tmp_path / "home"), "comments")
    assert code is ExitCode.GAVE_UP
    assert "comments no longer exists" in err
