"""Periodic work runs at its interval, also after the interval changed, and a failed task does not end the loop."""

import structlog
from structlog.testing import capture_logs

from core.periodic import PeriodicTask, PeriodicTasks, Timer


def test_a_timer_is_due_at_once_and_then_at_its_interval() -> None:
    timer = Timer(2.0)
    assert [now for now in (0.0, 1.0, 1.9, 2.0, 3.0, 5.0) if timer.elapsed(now)] == [0.0, 2.0, 5.0]


def test_the_first_run_after_a_restart_may_come_at_another_time() -> None:
    timer = Timer(2.0)
    timer.restart(10.0, 0.5)
    assert not timer.elapsed(10.4)
    assert timer.elapsed(10.5)
    assert timer.due == 12.5


def test_a_changed_interval_counts_from_the_last_run() -> None:
    intervals = [30.0]
    timer = Timer(lambda: intervals[0])
    timer.restart(0.0)
    intervals[0] = 2.0
    assert timer.due == 2.0


def test_a_failed_task_is_logged_and_the_others_run() -> None:
    calls: list[str] = []

    def broken() -> str | None:
        calls.append("broken")
        raise ValueError("on purpose")

    def stop() -> str | None:
        calls.append("stop")
        return "enough"

    tasks = PeriodicTasks([PeriodicTask(1.0, broken), PeriodicTask(2.0, stop)], structlog.stdlib.get_logger("test"))
    tasks.begin(0.0)
    assert (tasks.next_due(), tasks.do(0.5), calls) == (1.0, None, [])
    with capture_logs() as lines:
        assert tasks.do(2.0) == "enough"
    assert calls == ["broken", "stop"]
    assert [(line["event"], line["retry_in_s"]) for line in lines] == [("periodic_task_failed", 1.0)]
    assert tasks.next_due() == 3.0
