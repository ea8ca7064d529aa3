"""The manager, driven by tables of events on a clock of its own."""

from dataclasses import replace

import pytest

from core.errors import PERMANENT_EXIT, ExitCode
from core.periodic import PeriodicTask
from supervisor.processes.restart_policy import MOST_FAILURES, State
from tests.supervisor.scripted import Event, World, companion, sink, source

FAMILY = [companion(), sink(after=("broker",)), source("submissions", after=("broker",)), source("comments")]


def everyone_ready(*names: str) -> list[Event]:
    return [(0.1, "says", name, ("ready",)) for name in names or ("broker", "publisher", "submissions", "comments")]


def test_children_start_in_order_and_wait_for_what_they_need() -> None:
    world = World([(0.5, "says", "broker", ("ready",)), (2.0, "rings", "SIGTERM", None)])
    assert world.manager(FAMILY).run() is ExitCode.OK
    starts = [entry for entry in world.diary if entry[1] == "start"]
    assert starts == [
        (0.0, "start", "broker"),
        (0.0, "start", "comments"),
        (0.5, "start", "publisher"),
        (0.5, "start", "submissions"),
    ]


def test_who_asks_while_the_first_are_being_born_hears_of_all() -> None:
    world = World([(2.0, "rings", "SIGTERM", None)])
    heard: list[set[str]] = []
    manager = world.manager(FAMILY)
    manager._publish = lambda snapshot: heard.append({row.name for row in snapshot.processes})  # noqa: SLF001
    manager._spawn = lambda spec: (heard[0], world.spawn(spec))[1]  # noqa: SLF001  somebody looks just then
    manager.run()
    assert heard[0] == {spec.name for spec in FAMILY}


def test_a_snapshot_says_since_when_each_is_in_its_state() -> None:
    world = World([(3.0, "says", "comments", ("ready",)), (5.0, "ends", "broker", PERMANENT_EXIT)])
    manager = world.manager(FAMILY)
    while world.now < 8.0:
        manager.step()
    since = {row.name: (row.state, row.since) for row in manager.snapshot().processes}
    assert since["comments"] == (State.RUNNING, 3.0)
    assert since["broker"] == (State.FATAL, 5.0)
    assert since["publisher"] == (State.STARTING, 0.0)


def test_a_child_does_not_wait_for_ever_for_what_it_needs() -> None:
    world = World([(20.0, "rings", "SIGTERM", None)])
    world.manager(FAMILY).run()
    assert (15.0, "start", "publisher") in world.diary


def test_sources_stop_first_then_the_publisher_then_the_rest() -> None:
    world = World([*everyone_ready(), (2.0, "rings", "SIGTERM", None)], {"comments": 1.0, "publisher": 0.5})
    assert world.manager(FAMILY).run() is ExitCode.OK
    stops = [entry for entry in world.diary if entry[1] == "stop"]
    assert stops == [
        (2.0, "stop", "submissions"),
        (2.0, "stop", "comments"),
        (3.0, "stop", "publisher"),
        (3.5, "stop", "broker"),
    ]
    assert world.now == 3.5


def test_a_second_signal_changes_nothing() -> None:
    script: list[Event] = [*everyone_ready(), (2.0, "rings", "SIGINT", None)]
    calm = World(list(script), {"comments": 1.0, "publisher": 1.0})
    calm.manager(FAMILY).run()
    hasty = World(list(script), {"comments": 1.0, "publisher": 1.0})
    for moment in (2.1, 2.5, 3.0, 3.2, 3.9):
        hasty.script.append((moment, "rings", "SIGTERM", None))
    assert hasty.manager(FAMILY).run() is ExitCode.OK
    assert hasty.diary == calm.diary


def test_who_is_late_is_terminated_then_killed_and_the_exit_code_says_so() -> None:
    world = World([*everyone_ready(), (2.0, "rings", "SIGTERM", None)], {"comments": None, "publisher": None})
    assert world.manager(FAMILY, 10.0).run() is ExitCode.KILLED
    pressed = [entry[1:] for entry in world.diary if entry[1] in {"terminate", "kill"}]
    assert pressed == [
        ("terminate", "comments"),
        ("kill", "comments"),
        ("terminate", "publisher"),
        ("kill", "publisher"),
    ]
    assert world.now < 2.0 + 10.0


@pytest.mark.parametrize("timeout", [0.5, 5.0, 25.0, 300.0])
def test_even_if_nobody_stops_all_are_gone_by_the_deadline(timeout: float) -> None:
    stubborn = dict.fromkeys(("broker", "publisher", "submissions", "comments"))
    world = World([*everyone_ready(), (2.0, "rings", "SIGTERM", None)], dict(stubborn))
    assert world.manager(FAMILY, timeout).run() is ExitCode.KILLED
    assert world.now <= 2.0 + timeout


def test_the_publisher_is_told_how_long_it_may_drain() -> None:
    world = World([*everyone_ready(), (2.0, "rings", "SIGTERM", None)], {"publisher": 5.0})
    assert world.manager(FAMILY, 20.0).run() is ExitCode.OK
    assert 2.0 + 15.0 < world.deadlines["publisher"] < 2.0 + 20.0


def test_a_killed_child_comes_back_quickly_and_its_siblings_notice_nothing() -> None:
    world = World([*everyone_ready(), (5.0, "ends", "comments", -9), (9.0, "rings", "SIGTERM", None)])
    manager = world.manager(FAMILY)
    manager.run()
    starts = [entry for entry in world.diary if entry[1] == "start" and entry[0] > 1]
    assert starts == [(5.25, "start", "comments")]
    assert manager.children["comments"].restart_state.restarts == 1


def test_a_child_that_ends_by_itself_is_started_again() -> None:
    world = World([*everyone_ready(), (5.0, "ends", "publisher", 0), (9.0, "rings", "SIGTERM", None)])
    world.manager(FAMILY).run()
    assert (5.25, "start", "publisher") in world.diary


def test_a_parked_child_leaves_the_others_alone() -> None:
    world = World([*everyone_ready(), (3.0, "ends", "comments", PERMANENT_EXIT), (99.0, "rings", "SIGTERM", None)])
    manager = world.manager(FAMILY)
    assert manager.run() is ExitCode.OK
    assert manager.children["comments"].restart_state.state is State.FATAL
    assert manager.children["submissions"].restart_state.state is State.EXITED
    assert world.now == 99.0


def test_when_no_source_is_left_it_drains_and_gives_up() -> None:
    ends: list[Event] = [(3.0, "ends", "comments", PERMANENT_EXIT), (4.0, "ends", "submissions", PERMANENT_EXIT)]
    world = World([*everyone_ready(), *ends], {"publisher": 2.0})
    manager = world.manager(FAMILY)
    assert manager.run() is ExitCode.GAVE_UP
    assert "comments" in manager.gave_up
    assert world.diary[-2:] == [(4.0, "stop", "publisher"), (6.0, "stop", "broker")]


def test_a_source_that_depends_on_the_others_does_not_keep_it_running() -> None:
    ends: list[Event] = [(3.0, "ends", "comments", PERMANENT_EXIT)]
    world = World(ends)
    changes = replace(source("changes"), dependent=True)
    manager = world.manager([source("comments"), changes])
    assert manager.run() is ExitCode.GAVE_UP
    assert "changes" not in manager.gave_up


def test_a_child_that_cannot_even_be_spawned_is_tried_again_and_then_parked() -> None:
    world = World([(30.0, "rings", "SIGTERM", None)], unspawnable=3)
    assert world.manager([source("comments")]).run() is ExitCode.OK
    assert [entry[1] for entry in world.diary] == ["start", "stop"]
    hopeless = World(unspawnable=MOST_FAILURES)
    assert hopeless.manager([source("comments")]).run() is ExitCode.GAVE_UP


def test_news_of_a_stream_reaches_the_publisher() -> None:
    news = ("news", "comments", 42)
    world = World([*everyone_ready(), (1.0, "says", "comments", news)])
    manager = world.manager(FAMILY)
    while world.now < 1.0 or not world.alive["publisher"].inbox:
        manager.step()
    assert world.alive["publisher"].inbox == [news]
    assert world.alive["submissions"].inbox == []


def test_stop_while_a_child_waits_for_its_restart_does_not_start_it() -> None:
    script: list[Event] = [(n / 10, "ends", "comments", 1) for n in range(1, 100)]
    world = World([*script, (12.0, "rings", "SIGTERM", None)])
    manager = world.manager([sink(), source("comments")])
    manager.run()
    assert world.now == 12.0
    assert manager.children["comments"].restart_state.state is State.EXITED


def test_a_death_while_others_stop_is_no_reason_for_a_restart() -> None:
    world = World([*everyone_ready(), (2.0, "rings", "SIGTERM", None), (2.5, "ends", "publisher", -9)], {"comments": 3})
    assert world.manager(FAMILY).run() is ExitCode.OK
    assert sum(entry[1:] == ("start", "publisher") for entry in world.diary) == 1


def test_chores_come_round_and_may_ask_to_stop() -> None:
    world = World()
    rounds: list[float] = []

    def task() -> str | None:
        rounds.append(world.now)
        return "enough" if len(rounds) == 3 else None

    assert world.manager([source("comments")], 10.0, PeriodicTask(2.0, task)).run() is ExitCode.OK
    assert rounds == [2.0, 4.0, 6.0]


def test_a_chore_comes_round_sooner_once_its_interval_is_shorter() -> None:
    world = World()
    intervals, calls = [30.0], []

    def shorten() -> str | None:
        intervals[:] = [2.0]
        return None

    def task() -> str | None:
        calls.append(world.now)
        return "enough" if len(calls) == 2 else None

    tasks = PeriodicTask(lambda: intervals[0], task), PeriodicTask(5.0, shorten)
    assert world.manager([source("comments")], 10.0, *tasks).run() is ExitCode.OK
    assert calls == [5.0, 7.0]  # not at 30: it is due since the interval is 2


def test_a_chore_that_fails_does_not_end_the_supervision() -> None:
    world = World([(5.0, "rings", "SIGTERM", None)])

    def broken() -> str | None:
        raise ValueError("on purpose")

    assert world.manager([source("comments")], 10.0, PeriodicTask(1.0, broken)).run() is ExitCode.OK
    assert world.now == 5.0


def beats(name: str, until: int) -> list[Event]:
    return [(float(second), "says", name, ("beat", float(second))) for second in range(1, until)]


def test_a_child_that_falls_silent_is_aborted_and_replaced() -> None:
    """Its last heartbeat was at 9 s; the other child, which sends heartbeats, keeps running."""
    script = [*beats("comments", 10), *beats("submissions", 40), (30.0, "rings", "SIGTERM", None)]
    world = World([*everyone_ready("comments", "submissions"), *script])
    manager = world.manager([source("submissions"), source("comments")], heartbeat_timeout=5.0)
    assert manager.run() is ExitCode.OK
    assert world.diary[2:4] == [(14.0, "abort", "comments"), (14.25, "start", "comments")]
    assert not [entry for entry in world.diary if entry[1] in {"abort", "kill"} and entry[2] == "submissions"]


def test_one_that_cannot_even_die_is_killed_and_nobody_else_is_blamed() -> None:
    """A stopped process (SIGSTOP) delays SIGABRT. The exit code shows only children that were late at the end."""
    world = World([*everyone_ready("comments"), (8.0, "rings", "SIGTERM", None)], obeys_abort=False)
    assert world.manager([source("comments")], heartbeat_timeout=5.0).run() is ExitCode.OK
    assert world.diary[1:4] == [(5.1, "abort", "comments"), (5.6, "kill", "comments"), (5.85, "start", "comments")]


def test_hangs_count_as_failures() -> None:
    world = World([(8.0 * n, "says", "comments", ("ready",)) for n in range(1, 60)])
    manager = world.manager([source("comments")], heartbeat_timeout=5.0)
    assert manager.run() is ExitCode.GAVE_UP
    assert manager.children["comments"].restart_state.state is State.FATAL


def test_a_supervisor_that_did_not_run_blames_nobody() -> None:
    """The container was frozen: the children could not send heartbeats either."""
    world = World([*everyone_ready("comments"), (65.0, "rings", "SIGTERM", None)])
    manager = world.manager([source("comments")], heartbeat_timeout=5.0)
    manager.step()
    manager.step()
    world.now += 60.0
    world.script += [(62.0, "says", "comments", ("beat", 62.0))]
    while not manager.done:
        manager.step()
    assert [entry[1] for entry in world.diary] == ["start", "stop"]
