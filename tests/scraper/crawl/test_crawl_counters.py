"""The pace of the crawl: what is said of the time to finish rests on it."""

from scraper.crawl.crawl_counters import FinishRate


def paced(*moments: float, began: float = 0.0) -> FinishRate:
    finish_rate = FinishRate(began)
    for moment in moments:
        finish_rate.finished(moment)
    return finish_rate


def test_nothing_is_said_before_there_is_something_to_say() -> None:
    assert paced(1.0, 2.0, 3.0).per_hour(5.0) is None, "ten seconds are the least"
    assert paced(11.0, 12.0).per_hour(20.0) is None, "two are chance"


def test_three_in_thirty_seconds_are_360_an_hour() -> None:
    assert paced(5.0, 15.0, 25.0).per_hour(30.0) == 360.0


def test_only_the_last_ten_minutes_count() -> None:
    finish_rate = paced(*(float(second) for second in range(5, 1000, 10)))
    assert finish_rate.per_hour(1000.0) == 60 / 600 * 3600.0  # of 405, 415 … 995
