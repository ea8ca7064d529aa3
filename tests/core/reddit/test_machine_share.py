"""The share of a machine: stored once, it holds for every process of the machine, and for nothing else."""

import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from pathlib import Path

import pytest

from core.reddit.limiter import Grant, Limiter, Wishes, limiter_path, read_quota
from core.reddit.machine_share import clear_share, read_share, read_wishes, write_share
from core.reddit.quota import Priority

PER_MINUTE = 6.0
LIMIT = 60
BIRTH = 1_700_000_000.0


class Clock:
    """Stands still until it is moved."""

    now = BIRTH

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def make(tmp_path: Path, clock: Clock) -> Iterator[Callable[[str], Limiter]]:
    """Make limiters over one file, as if each were a process of its own."""
    made: list[Limiter] = []

    def make(name: str) -> Limiter:
        made.append(Limiter(tmp_path, name, PER_MINUTE, clock=clock))
        return made[-1]

    yield make
    for limiter in made:
        limiter.close()


def count_grants(limiter: Limiter, priority: Priority = Priority.STREAM) -> int:
    count = 0
    while isinstance(grant := limiter.ask(priority), Grant):
        limiter.answered(grant, "200", None)
        count += 1
    return count


def test_a_share_bounds_all_processes_of_the_machine_together(make: Callable[[str], Limiter]) -> None:
    stream, other, publisher = make("comments"), make("submissions"), make("publisher")
    publisher.store_share(1.5)  # a quarter of six
    assert count_grants(stream) == LIMIT / 4
    assert count_grants(other) == 0
    publisher.store_share(3.0)
    assert count_grants(other) == LIMIT / 4
    publisher.store_share(None)
    assert count_grants(stream) == LIMIT / 2


def test_a_share_bounds_the_scraper_which_leaves_the_streams_their_reserve_of_it(
    make: Callable[[str], Limiter],
) -> None:
    scraper, stream = make("scraper"), make("comments")
    scraper.store_share(3.0)
    assert 1 <= count_grants(scraper, Priority.SCRAPER) <= 0.9 * LIMIT / 2
    assert count_grants(stream) >= 0.1 * LIMIT / 2


def test_without_a_share_the_whole_quota_is_this_machines(make: Callable[[str], Limiter], tmp_path: Path) -> None:
    assert count_grants(make("comments")) == LIMIT
    assert read_share(tmp_path) is None
    clear_share(tmp_path)
    quota = read_quota(tmp_path)
    assert quota is not None
    assert quota.part == 1.0


def test_a_share_above_the_configured_quota_lifts_no_limit(make: Callable[[str], Limiter]) -> None:
    limiter = make("comments")
    limiter.store_share(1000.0)
    assert count_grants(limiter) == LIMIT


def test_the_status_sees_what_the_machine_may_still_send(make: Callable[[str], Limiter], tmp_path: Path) -> None:
    limiter = make("comments")
    limiter.store_share(1.5)
    limiter.state()
    quota = read_quota(tmp_path)
    assert quota is not None
    assert quota.remaining() == LIMIT / 4


def test_the_publisher_may_be_the_first_to_make_the_file(tmp_path: Path) -> None:
    write_share(tmp_path / "state", 12.5)
    stored = read_share(tmp_path / "state")
    assert stored is not None
    assert stored.per_minute == 12.5
    clear_share(tmp_path / "state")
    assert read_share(tmp_path / "state") is None


def test_nothing_is_made_where_there_is_no_share_to_clear(tmp_path: Path) -> None:
    clear_share(tmp_path / "state")
    assert not (tmp_path / "state").exists()


def test_a_share_of_a_cluster_that_was_left_ends_after_a_day(make: Callable[[str], Limiter], clock: Clock) -> None:
    limiter = make("scraper")
    limiter.store_share(1.5)
    clock.now += 86_000.0
    assert count_grants(limiter) == LIMIT / 4
    clock.now += 1_000.0
    assert count_grants(limiter) == LIMIT


def test_a_lost_file_keeps_the_share(make: Callable[[str], Limiter], tmp_path: Path) -> None:
    limiter = make("comments")
    limiter.store_share(1.5)
    assert count_grants(limiter) == LIMIT / 4
    for name in ("", "-wal", "-shm"):
        limiter_path(tmp_path).with_name(f"quota.db{name}").unlink(missing_ok=True)
    assert count_grants(limiter) == 0
    stored = read_share(tmp_path)
    assert stored is not None
    assert stored.per_minute == 1.5


@pytest.mark.parametrize("value", ["broken", None, float("inf")])
def test_a_share_that_is_no_number_counts_as_none(
    make: Callable[[str], Limiter], tmp_path: Path, value: object
) -> None:
    limiter = make("comments")
    limiter.store_share(1.5)
    with closing(sqlite3.connect(limiter_path(tmp_path))) as connection, connection:
        connection.execute("UPDATE share SET per_minute = ?", (value,))
    assert read_share(tmp_path) is None
    assert count_grants(limiter) == LIMIT


def test_a_file_of_an_older_version_has_no_share_and_no_part(tmp_path: Path, clock: Clock) -> None:
    with closing(Limiter(tmp_path, "comments", PER_MINUTE, clock=clock)) as limiter:
        assert count_grants(limiter) == LIMIT
    with closing(sqlite3.connect(limiter_path(tmp_path))) as connection, connection:
        connection.execute("ALTER TABLE quota DROP COLUMN part")
        connection.execute("DROP TABLE share")
        connection.execute("DROP TABLE crawlers")
    quota = read_quota(tmp_path)
    assert quota is not None
    assert (quota.part, quota.used) == (1.0, LIMIT)
    assert read_share(tmp_path) is None
    assert read_wishes(tmp_path, BIRTH) == Wishes(0.0, 0.0)
    with closing(Limiter(tmp_path, "comments", PER_MINUTE, clock=clock)) as limiter:
        assert count_grants(limiter) == 0, "the count of the older version stays"


def test_the_wishes_of_a_machine_are_those_of_all_its_processes(
    make: Callable[[str], Limiter], clock: Clock, tmp_path: Path
) -> None:
    assert read_wishes(tmp_path, clock.now) == Wishes(0.0, 0.0)
    comments, submissions, scraper = make("comments"), make("submissions"), make("scraper")
    comments.exchange_wishes(Wishes(0.2, 0.5))
    submissions.exchange_wishes(Wishes(0.1, 0.3))
    assert read_wishes(tmp_path, clock.now) == pytest.approx((0.3, 0.8))
    scraper.ask(Priority.SCRAPER)
    with_scraper = read_wishes(tmp_path, clock.now)
    assert with_scraper.needed == pytest.approx(0.3)
    assert with_scraper.wished == pytest.approx(1.4), "a scraper that asks wishes, and needs nothing"
    assert comments.exchange_wishes(Wishes(0.2, 0.5)) == [Wishes(0.1, 0.3)], "to the streams it is no sharer"
    clock.now += 61.0
    assert read_wishes(tmp_path, clock.now) == Wishes(0.0, 0.0)


def test_a_scraper_that_continues_to_ask_continues_to_wish(
    make: Callable[[str], Limiter], clock: Clock, tmp_path: Path
) -> None:
    scraper = make("scraper")
    for _ in range(20):
        scraper.ask(Priority.SCRAPER)
        clock.now += 9.0
    assert read_wishes(tmp_path, clock.now).wished > 0.0
