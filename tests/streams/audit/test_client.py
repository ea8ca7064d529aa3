"""The audit's own client: real requests over PRAW, from spare quota, counted under its own name."""

from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from core.child import ChildContext
from core.config.slices import RedditAccess
from core.reddit.limiter import Wishes, read_requests
from core.reddit.machine_share import read_wishes
from core.reddit.request_errors import QuotaShort, Stopped
from streams.audit.background import Get, open_client
from streams.audit.sources import comments_of
from tests.streams.audit.stage import Stage, settings
from tests.streams.capture.life import Notes
from tests.support.simulator import Simulator

ACCESS: dict[str, Any] = {"client_id": "one", "client_secret": "two"}

#: Requests in ten minutes.
WINDOW_REQUESTS = 30


@pytest.fixture(scope="module")
def simulator(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Simulator]:
    simulator = Simulator(
        tmp_path_factory.mktemp("reddit"), backlog=60, submissions_per_second=0, comments_per_second=0, **ACCESS
    )
    simulator.start()
    yield simulator
    simulator.stop()


class House:
    """A state directory and the client of the command."""

    def __init__(self, directory: Path, simulator: Simulator) -> None:
        self.directory = directory
        log: Any = Notes()
        self.context = ChildContext("audit", log)
        unused = Stage(directory / "unused", settings())
        for stream in unused.streams.values():
            stream.kill()
        access = RedditAccess(simulator.url, simulator.url, "linux:gapless:v1 (by /u/one)", **ACCESS)
        self.config = replace(
            unused.streams["comments"].config,
            state_dir=directory,
            access=access,
            requests_per_minute=WINDOW_REQUESTS // 10,
        )
        self.get: Get = open_client(self.context, self.config, "audit")


@pytest.fixture
def house(tmp_path: Path, simulator: Simulator) -> House:
    return House(tmp_path, simulator)


def test_it_reads_trees_and_is_no_crawl(house: House, simulator: Simulator) -> None:
    posts = [item for item in simulator.truth() if item.fullname.startswith("t3_")]
    answers = [house.get(f"/comments/{post.fullname[3:]}", {"limit": 500}) for post in posts[:5]]
    assert all(isinstance(answer, list) for answer in answers)
    assert [comments_of(answer).rejects for answer in answers] == [()] * 5
    assert read_requests(house.directory) == {("audit", "200"): 5}
    assert read_wishes(house.directory, 0.0) == Wishes(0.0, 0.0)


def test_what_the_streams_need_is_left_to_them(house: House) -> None:
    """A tenth of the window's requests, and those that the streams need at their pace."""
    sent = 0
    with suppress(QuotaShort):
        while sent < WINDOW_REQUESTS:
            house.get("/api/info", {"id": "t3_a"})
            sent += 1
    assert 5 <= sent <= 0.9 * WINDOW_REQUESTS


def test_a_stop_ends_it(house: House) -> None:
    house.context.ask_stop()
    with pytest.raises(Stopped):
        house.get("/api/info", {"id": "t3_a"})
