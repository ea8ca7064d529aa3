"""Tests what one sample cannot show: start times, totals, rates, trends."""

from dataclasses import replace
from pathlib import Path

import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from supervisor.monitor.readiness.flap_detector import FlapDetector
from supervisor.monitor.readiness.problem_tracker import ActiveProblem, ProblemTracker
from supervisor.monitor.sampling.disk import Disk
from supervisor.monitor.sampling.monotonic_counters import CounterFile, MonotonicCounters, counters_path
from supervisor.monitor.sampling.stream_sample import StreamSample
from supervisor.monitor.snapshot.history import STEP_S, STEPS, History, HistoryPoint, StreamPoint
from tests.supervisor.monitor.samples import GIB, NOON, process

MIB = 2**20
LOG = structlog.stdlib.get_logger("test")


class TestProblemTracker:
    def test_a_moment_does_not_move_while_the_trouble_lasts(self) -> None:
        tracker = ProblemTracker()
        problem = ActiveProblem("kafka_away", "kafka", "…")
        assert [tracker.update([problem], NOON + at)[0].since for at in range(30)] == [NOON] * 30

    def test_where_the_files_tell_the_moment_the_first_one_counts(self) -> None:
        tracker = ProblemTracker()
        (first,) = tracker.update([ActiveProblem("quota_blocked", "quota", "…", NOON - 60)], NOON)
        (later,) = tracker.update([ActiveProblem("quota_blocked", "quota", "…", NOON)], NOON + 1)
        assert (first.since, later.since) == (NOON - 60, NOON - 60)

    def test_what_is_back_at_once_was_never_gone(self) -> None:
        tracker, problem = ProblemTracker(), ActiveProblem("process_down", "comments", "…")
        tracker.update([problem], NOON)
        assert tracker.update([], NOON + 5) == ()
        assert tracker.update([problem], NOON + 12)[0].since == NOON
        tracker.update([], NOON + 60)
        assert tracker.update([problem], NOON + 61)[0].since == NOON + 61

    def test_the_longest_standing_comes_first(self) -> None:
        problems = [
            ActiveProblem("a", "x", "", NOON - 1),
            ActiveProblem("b", "x", "", NOON - 9),
            ActiveProblem("a", "y", "", NOON - 5),
        ]
        assert [reason.since for reason in ProblemTracker().update(problems, NOON)] == [NOON - 9, NOON - 5, NOON - 1]

    def test_a_moment_from_the_future_is_now(self) -> None:
        assert ProblemTracker().update([ActiveProblem("a", "x", "", NOON + 100)], NOON)[0].since == NOON


class TestFlapDetector:
    """Each sample: seconds, the state of the process, its restarts, its uptime, and the expected result."""

    @pytest.mark.parametrize(
        "samples",
        [
            "0 STARTING 0 1 -, 1 RUNNING 0 2 -, 2 BACKOFF 0 0 replacing, 3 RUNNING 1 1 -",
            "0 RUNNING 0 9 -, 1 BACKOFF 0 0 replacing, 5 STARTING 1 2 replacing, 6 STARTING 1 3 -",
            "0 RUNNING 0 9 -, 1 RUNNING 1 1 -, 2 RUNNING 2 1 flapping, 12 RUNNING 2 11 -",  # gone when nobody looked
            "0 RUNNING 0 9 -, 9 RUNNING 1 1 -, 12 RUNNING 2 1 flapping, 13 BACKOFF 2 0 -",
            "0 RUNNING 0 9 -, 1 RUNNING 1 1 -, 80 BACKOFF 1 0 replacing, 81 RUNNING 2 1 -",  # once in a while it may
            "0 RUNNING 7 9 -, 1 RUNNING 0 1 -, 2 RUNNING 1 1 -",  # another supervisor counts from zero
        ],
        ids=["one restart", "a long one", "twice", "again and again", "rarely", "another supervisor"],
    )
    def test_one_restart_is_forgiven(self, samples: str) -> None:
        flap_detector = FlapDetector()
        for sample in samples.split(", "):
            at, state, restarts, uptime, expected = sample.split()
            rows = [process("comments", state, restarts=int(restarts), uptime_s=float(uptime))]
            replacing, flapping = flap_detector.update(rows, NOON + float(at))
            said = {name for name, who in (("replacing", replacing), ("flapping", flapping)) if who}
            assert said == {expected} - {"-"}, sample

    def test_who_never_ran_is_not_merely_being_replaced(self) -> None:
        assert FlapDetector().update([process("comments", "BACKOFF")], NOON) == (frozenset(), frozenset())


class TestCounters:
    @pytest.mark.parametrize(
        ("values", "counts"),
        [
            ([100, 150, 150], [100, 150, 150]),
            ([100, 0, 120], [100, 100, 120]),  # could not be read for a moment
            ([100, 7, 9], [100, 107, 109]),  # moved aside: a new file began
            ([100, 96, 99, 104], [100, 100, 103, 108]),  # salvaged, without the last moments
            ([0, 0, 3], [0, 0, 3]),
        ],
    )
    def test_it_follows_a_file_and_never_goes_back(self, values: list[int], counts: list[int]) -> None:
        counters = MonotonicCounters()
        assert [counters.follow(("captured",), value) for value in values] == counts

    @given(st.lists(st.integers(0, 1000)))
    def test_whatever_the_files_say(self, values: list[int]) -> None:
        counters = MonotonicCounters()
        counts = [counters.follow(("captured",), value) for value in values]
        assert counts == sorted(counts)

    def test_names_do_not_mix(self) -> None:
        counters = MonotonicCounters()
        assert (counters.follow(("a",), 5), counters.follow(("b",), 3), counters.follow(("a",), 6)) == (5, 3, 6)
        assert counters.family("a") == {(): 6}

    @pytest.mark.parametrize(
        ("value", "inherited", "count"),
        [
            (1000, 0, 1100),  # a new spool, which has read the listing again since the last sample
            (105, 96, 109),  # a new spool, which brought over most of what the broken one had counted
            (100, 100, 100),
        ],
    )
    def test_another_source_is_told_from_the_same_one_that_went_on(
        self, value: int, inherited: int, count: int
    ) -> None:
        counters = MonotonicCounters()
        counters.follow(("captured", "comments"), 100, "one spool")
        counters.follow(("captured", "comments"), 0)  # neither is there for a moment
        assert counters.follow(("captured", "comments"), value, "another", inherited) == count
        assert counters.follow(("captured", "comments"), value + 5, "another", inherited) == count + 5

    def test_another_monitor_goes_on_with_it(self, tmp_path: Path) -> None:
        counter_file = CounterFile(tmp_path, LOG)
        assert counter_file.counters.follow(("captured", "comments"), 100, "a") == 100
        assert counter_file.counters.follow(("captured", "comments"), 7, "b") == 107
        counter_file.keep()
        inode = counters_path(tmp_path).stat().st_ino
        counter_file.keep()
        assert counters_path(tmp_path).stat().st_ino == inode, "nothing changed, so nothing is written"
        assert CounterFile(tmp_path, LOG).counters.follow(("captured", "comments"), 8, "b") == 108

    @pytest.mark.parametrize("content", ["", "[]", '{"counters": [["a", "b"]]}', '{"counters": [[["a"], "", "x", 1]]}'])
    def test_a_tally_that_makes_no_sense_is_said_and_begun_anew(self, tmp_path: Path, content: str) -> None:
        counters_path(tmp_path).write_text(content)
        with capture_logs() as lines:
            counter_file = CounterFile(tmp_path, LOG)
            counter_file.counters.follow(("a",), 5)
            counter_file.keep()
        assert [line["event"] for line in lines] == ["counters_unreadable"]
        assert CounterFile(tmp_path, LOG).counters.follow(("a",), 6) == 6

    def test_a_disk_that_takes_nothing_is_said_once(self, tmp_path: Path) -> None:
        with capture_logs() as lines:
            counter_file = CounterFile(tmp_path / "gone", LOG)
            for value in (1, 2):
                counter_file.counters.follow(("a",), value)
                counter_file.keep()
        assert [line["event"] for line in lines] == ["counters_not_written"]


def point(at: float, captured: int, spooled: int = 0, answers: int = 0) -> HistoryPoint:
    return HistoryPoint(NOON + at, {"comments": StreamPoint(captured, captured - spooled, spooled)}, answers)


class TestHistory:
    def test_steps_hold_rates_and_the_last_ones_are_kept(self) -> None:
        history = History()
        for at in range(int(STEP_S) * (STEPS + 20)):
            history.add(point(at, captured=1000 + 3 * at))
        assert len(history.steps) == STEPS
        assert {step.streams["comments"].captured for step in history.steps} == {3.0}
        assert history.rates() == {"comments": (3.0, 3.0)}

    def test_rates_are_of_the_last_minute(self) -> None:
        history = History()
        for at in range(0, 200, 5):
            history.add(point(at, captured=10 * min(at, 100)))
        assert history.rates() == {"comments": (0.0, 0.0)}

    def test_a_stream_that_appears_later_and_a_clock_that_goes_back_do_no_harm(self) -> None:
        history = History()
        history.add(HistoryPoint(NOON, {}))
        assert history.rates() == {}
        history.add(point(3, 100))
        history.add(point(-500, 100))
        step = history.add(point(6, 130))
        assert step is not None
        assert step.streams["comments"].captured == 0.0

    def test_what_grows_and_grows_is_told_from_what_is_large(self) -> None:
        growing, large, recovering = History(), History(), History()
        for at in range(180):
            growing.add(point(at, 10**6, spooled=1000 + 50 * at))
            large.add(point(at, 10**6, spooled=5000 + at % 7))
            recovering.add(point(at, 10**6, spooled=20_000 - 50 * at))
        assert growing.growing() == {"comments"}
        assert large.growing() == recovering.growing() == History().growing() == frozenset()

    def test_one_late_item_does_not_make_a_delay(self) -> None:
        history = History()
        for at, delay in enumerate((1.0, 1.2, 300.0, 1.1, 1.3, 1.2)):
            history.add(HistoryPoint(NOON + at, {"comments": StreamPoint(0, 0, 0, None, delay)}))
        assert history.steps[0].streams["comments"].delay_s == pytest.approx(1.2)

    def test_it_notes_when_the_scraper_last_got_an_answer(self) -> None:
        history = History()
        for at, answers in ((0, 5), (1, 9), (2, 9), (90, 9)):
            history.add(point(at, 0, answers=answers))
        assert history.answered_at == NOON + 1


@pytest.mark.parametrize(
    ("free", "size", "low"),
    [
        (50 * GIB, 100 * GIB, False),
        (3 * GIB, 1000 * GIB, False),  # a small share, but plenty
        (1 * GIB, 100 * GIB, True),
        (100 * MIB, 500 * MIB, False),  # a small volume of its own
        (60 * MIB, 256 * MIB, True),
    ],
)
def test_when_a_disk_is_nearly_full(free: int, size: int, low: bool) -> None:
    assert replace(Disk("state", "/data", 0, 0), free=free, size=size).nearly_full is low


def test_the_delay_to_kafka_grows_while_a_record_waits() -> None:
    assert StreamSample().delay(NOON) is None
    assert StreamSample(delay_s=1.5).delay(NOON) == 1.5
    assert StreamSample(delay_s=1.5, oldest_created=NOON - 60).delay(NOON) == 60.0
    assert StreamSample(oldest_created=NOON + 5).delay(NOON) == 0.0


def test_records_are_stuck_since_they_wait_or_since_the_last_one_that_went() -> None:
    assert StreamSample().stuck_since is None
    assert StreamSample(waiting_since=NOON).stuck_since == NOON
    assert StreamSample(waiting_since=NOON, delivered_at=NOON - 5).stuck_since == NOON
    assert StreamSample(waiting_since=NOON - 60, delivered_at=NOON - 5).stuck_since == NOON - 5
