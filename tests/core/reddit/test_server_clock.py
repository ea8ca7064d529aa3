"""Reddit's clock from its Date headers: followed where it is wrong, unmoved by what one answer says."""

from email.utils import formatdate

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.reddit.server_clock import ClockNotice, Observation, ServerClock

START = 1_700_000_000.0


class Answers:
    """Answers of a Reddit whose clock is `offset` seconds from ours; ours moves by two seconds between two of them."""

    def __init__(self, offset: float = 0.0) -> None:
        self.clock = ServerClock()
        self.offset = offset
        self.now = START
        self.notices: list[ClockNotice] = []

    def answer(self, *, date: str | None = None, age: str = "0", latency: float = 0.1, made: float = 0.5) -> None:
        """`made`: at which part of the latency Reddit wrote the Date."""
        self.now += 2.0
        true = self.now + latency * made + self.offset
        cut = formatdate(int(true) - int(age if age.isdigit() else 0), usegmt=True)
        seen = Observation(cut if date is None else date, age, self.now, self.now + latency)
        notice = self.clock.observe(seen)
        if notice is not None:
            self.notices.append(notice)


def test_before_the_first_answer_it_is_zero() -> None:
    assert ServerClock().offset == 0.0


@pytest.mark.parametrize("offset", [90.0, -90.0, 3600.0, -7200.0, 12.0, -12.0, 1e9, -1.6e9])
def test_a_wrong_clock_is_known_from_the_first_answer_and_said_once(offset: float) -> None:
    answers = Answers(offset)
    answers.answer()
    assert answers.clock.offset == pytest.approx(offset, abs=1.1)
    for _ in range(200):
        answers.answer()
    assert answers.clock.offset == pytest.approx(offset, abs=1.1)
    (notice,) = answers.notices
    assert notice.wrong
    assert ("behind" if offset > 0 else "ahead") in str(notice)


@given(st.floats(-1e8, 1e8), st.lists(st.tuples(st.floats(0.0, 25.0), st.floats(0.0, 1.0)), min_size=1, max_size=30))
def test_the_estimate_lies_within_what_the_answers_allow(offset: float, latencies: list[tuple[float, float]]) -> None:
    answers = Answers(offset)
    for latency, made in latencies:
        answers.answer(latency=latency, made=made)
    worst = sorted(latency for latency, _ in latencies[-5:])[len(latencies[-5:]) // 2]
    assert abs(answers.clock.offset - offset) <= worst + 1.1


@pytest.mark.parametrize("made", [0.0, 0.5, 1.0])
def test_slow_answers_make_no_right_clock_wrong(made: float) -> None:
    answers = Answers()
    for _ in range(20):
        answers.answer(latency=19.0, made=made)
    assert answers.clock.offset == 0.0
    assert not answers.notices


@pytest.mark.parametrize("offset", [0.0, 90.0])
@pytest.mark.parametrize(
    "date", ["Thu, 01 Jan 1970 00:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 GMT", "Mon, 01 Jan 0001 00:00:00 GMT"]
)
def test_one_odd_date_does_not_move_it(offset: float, date: str) -> None:
    answers = Answers(offset)
    for _ in range(7):
        answers.answer()
    before = answers.clock.offset
    answers.answer(date=date)
    assert answers.clock.offset == pytest.approx(before, abs=1.1)
    for _ in range(10):
        answers.answer()
        assert answers.clock.offset == pytest.approx(before, abs=1.1)


@pytest.mark.parametrize(
    "date",
    ["", "soon", "0", "x" * 100_000, "Thu, 99 Foo 2024 99:99:99 GMT", "Sat, 01 Jan 99999999999 00:00:00 GMT", "\x00"],
)
def test_what_is_no_date_is_ignored(date: str) -> None:
    answers = Answers(90.0)
    for _ in range(3):
        answers.answer()
    before = answers.clock.offset
    for _ in range(20):
        answers.answer(date=date)
    assert answers.clock.offset == before


@pytest.mark.parametrize("age", ["-5", "nan", "1e3", "99999999", "", "x"])
def test_an_absurd_age_makes_the_answer_count_for_nothing(age: str) -> None:
    answers = Answers(90.0)
    answers.answer(age=age)
    assert answers.clock.offset == 0.0


def test_the_age_of_a_cached_answer_counts() -> None:
    answers = Answers()
    for _ in range(5):
        answers.answer(age="600")
    assert answers.clock.offset == pytest.approx(0.0, abs=1.1)


def test_other_forms_of_a_date_are_read() -> None:
    for date in ("Tuesday, 14-Nov-23 23:13:20 GMT", "Tue Nov 14 23:13:20 2023", "Tue, 14 Nov 2023 23:13:20 -0000"):
        clock = ServerClock()
        clock.observe(Observation(date, "0", START, START + 0.1))
        assert clock.offset == pytest.approx(3600.0, abs=1.1)


def test_a_clock_that_is_set_is_followed_within_three_answers() -> None:
    answers = Answers(90.0)
    for _ in range(20):
        answers.answer()
    answers.now += 90.0  # NTP
    answers.offset = 0.0
    for _ in range(3):
        answers.answer()
    assert answers.clock.offset == pytest.approx(0.0, abs=1.1)
    assert [notice.wrong for notice in answers.notices] == [True, False]


def test_a_change_of_more_than_five_seconds_is_said_again() -> None:
    answers = Answers(90.0)
    for _ in range(40):
        answers.answer()
    answers.offset = 93.0
    for _ in range(40):
        answers.answer()
    assert len(answers.notices) == 1
    answers.offset = 120.0
    for _ in range(40):
        answers.answer()
    assert [round(notice.offset, -1) for notice in answers.notices] == [90.0, 120.0]


def test_a_clock_that_stands_is_said_once_a_minute_at_most() -> None:
    answers = Answers()
    for _ in range(300):  # ten minutes
        answers.answer(date="Tue, 14 Nov 2023 22:13:20 GMT")
    assert len(answers.notices) <= 11


def test_answers_from_before_they_were_asked_for_are_ignored() -> None:
    clock = ServerClock()
    assert clock.observe(Observation("Tue, 14 Nov 2023 23:13:20 GMT", "0", START, START - 1.0)) is None
    assert clock.offset == 0.0


def test_the_bounds_do_not_follow_a_few_odd_dates_upwards() -> None:
    answers = Answers()
    for _ in range(10):
        answers.answer()
    for _ in range(4):
        answers.answer(date=formatdate(int(answers.now) + 3600, usegmt=True))
    least, most = answers.clock.bounds
    assert answers.clock.offset > 3000.0
    assert least == pytest.approx(0.0, abs=1.1)
    assert most > 3000.0


def test_for_two_minutes_our_clock_is_among_the_bounds() -> None:
    answers = Answers(90.0)
    for _ in range(55):
        answers.answer()
        assert answers.clock.bounds[0] == 0.0
    for _ in range(10):
        answers.answer()
    assert answers.clock.bounds == pytest.approx((90.0, 90.0), abs=1.1)


def test_the_bounds_follow_a_clock_that_is_set_after_two_minutes() -> None:
    answers = Answers(90.0)
    for _ in range(10):
        answers.answer()
    answers.offset = 0.0
    for _ in range(70):
        answers.answer()
    assert answers.clock.bounds == pytest.approx((0.0, 0.0), abs=1.1)
