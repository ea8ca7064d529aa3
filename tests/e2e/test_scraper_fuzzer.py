"""A crawl in a storm of bad answers and behind hostile proxies: no wrong row, no state that stays, all works again.

The crawl, the client and the database are the real ones, on sockets of this machine; only the time is not
(tests.fuzz.timelapse). A failure prints its seed; GAPLESS_SEED repeats it, and `make soak` runs more.
"""

from pathlib import Path

import pytest

from tests.fuzz import scraper_life

ANSWERS = 1_000
#: Seeds that once found something, and how many random ones are run beside them; `make soak` runs more.
FOUND = (602,)
RANDOM = 1


def assert_survives(directory: Path, seed: int) -> None:
    life = scraper_life.born(directory, seed, ANSWERS, print)
    life.live()
    print(life.notes)
    assert not life.wrong, "\n".join(life.wrong[:5])
    assert life.notes["bad"] >= ANSWERS / 10


@pytest.mark.parametrize("fixed", FOUND)
def test_a_crawl_survives_the_storms_that_once_broke_it(tmp_path: Path, fixed: int) -> None:
    assert_survives(tmp_path, fixed)


@pytest.mark.parametrize("number", range(RANDOM))
def test_a_crawl_survives_a_random_storm(tmp_path: Path, seed: int, number: int) -> None:
    assert_survives(tmp_path, seed + number)
