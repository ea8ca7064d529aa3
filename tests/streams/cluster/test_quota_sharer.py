"""The publisher stores the share of its machine; it needs no Kafka for that."""

from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from core.cluster.view import Machine
from core.reddit.limiter import Limiter, Wishes, limiter_path
from core.reddit.machine_share import read_share, write_share
from streams.cluster.quota_share import Sharing
from streams.cluster.quota_sharer import QuotaSharer
from tests.streams.capture.life import Notes

QUOTA = 100.0
BIRTH = 1_700_000_000.0


class Clock:
    """Stands still until it is moved."""

    now = 0.0

    def __call__(self) -> float:
        return self.now

    def wall(self) -> float:
        return BIRTH + self.now


class Stage:
    """A sharer, its log, and the heartbeats that it will read."""

    def __init__(self, state_dir: Path, clock: Clock) -> None:
        self.state_dir, self.clock = state_dir, clock
        self.log = Notes()
        self.arrived: list[Machine] = []
        sharing = Sharing("m0", "c", QUOTA, 6.0)
        self.sharer = QuotaSharer(sharing, state_dir, self.log, clock=clock, wall=clock.wall)  # type: ignore[arg-type]

    def beat(self, *others: tuple[str, float]) -> None:
        own = self.sharer.wishes.needed
        self.arrived += [
            Machine(name, self.clock.wall(), client="c", needed=needed, wished=needed)
            for name, needed in (("m0", own), *others)
        ]

    def run(self, seconds: int, *others: tuple[str, float]) -> None:
        for _ in range(seconds):
            self.clock.now += 1.0
            self.beat(*others)
            self.sharer.step(self._take)

    def _take(self) -> list[Machine]:
        arrived, self.arrived = self.arrived, []
        return arrived

    @property
    def stored(self) -> float | None:
        stored = read_share(self.state_dir)
        return None if stored is None else stored.per_minute


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def stage(tmp_path: Path, clock: Clock) -> Iterator[Stage]:
    stage = Stage(tmp_path, clock)
    yield stage
    stage.sharer.close()


def test_the_share_is_careful_first_and_follows_the_heartbeats(stage: Stage) -> None:
    stage.sharer.step(tuple)
    assert stage.stored == QUOTA / 4
    stage.run(6)
    assert stage.stored == pytest.approx(QUOTA)
    stage.run(2, ("m1", 0.0))
    assert stage.stored == pytest.approx(QUOTA / 2)


def test_what_the_processes_wish_for_is_in_the_heartbeat_and_in_the_share(stage: Stage, clock: Clock) -> None:
    with closing(Limiter(stage.state_dir, "comments", QUOTA, clock=clock.wall)) as limiter:
        limiter.exchange_wishes(Wishes(1.0, 1.0))
    stage.run(8, ("m1", 0.0))
    assert stage.sharer.wishes == Wishes(1.0, 1.0)
    assert stage.stored is not None
    assert stage.stored > 75.0


def test_a_quick_restart_continues_with_the_stored_share_and_a_late_one_carefully(tmp_path: Path, clock: Clock) -> None:
    clock.now = 1000.0
    with closing(Limiter(tmp_path, "publisher", QUOTA, clock=clock.wall)) as limiter:
        limiter.store_share(60.0)
    clock.now += 5.0
    soon = Stage(tmp_path, clock)
    soon.sharer.step(tuple)
    soon.sharer.close()
    assert soon.stored == 60.0
    clock.now += 20.0
    late = Stage(tmp_path, clock)
    late.sharer.step(tuple)
    late.sharer.close()
    assert late.stored == QUOTA / 4


def test_a_file_that_cannot_be_written_is_logged_once_and_written_later(stage: Stage) -> None:
    path = limiter_path(stage.state_dir)
    path.mkdir()
    stage.run(15)
    assert len(stage.log.events("quota_share_not_stored")) == 1
    path.rmdir()
    stage.run(11)
    assert stage.stored == pytest.approx(QUOTA)


def test_a_share_that_stays_is_repeated(stage: Stage) -> None:
    write_share(stage.state_dir, 1.0)
    stage.run(30)
    stored = read_share(stage.state_dir)
    assert stored is not None
    assert stored.per_minute == pytest.approx(QUOTA)
