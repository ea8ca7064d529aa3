"""The statements of docs/database.md, run unchanged."""

import re
from pathlib import Path

import pytest

from scraper.store import Batch
from tests.scraper.store.stage import Stage, a_subreddit, later, play
from tests.support.system import ROOT

PAGE = (ROOT / "docs" / "database.md").read_text(encoding="utf-8")
STATEMENTS = [
    statement.strip()
    for block in re.findall(r"```sql\n(.*?)```", PAGE, re.DOTALL)
    for statement in re.sub(r"--.*", "", block).split(";")
    if statement.strip()
]
(ENTER,) = [statement for statement in STATEMENTS if statement.startswith("INSERT")]
QUESTIONS = [statement for statement in STATEMENTS if statement.startswith("SELECT")]


@pytest.fixture(params=["sqlite", "postgresql"])
def stage(request: pytest.FixtureRequest, tmp_path: Path) -> Stage:
    if request.param == "sqlite":
        return Stage(f"sqlite:///{tmp_path / 'reddit.db'}")
    return Stage(request.getfixturevalue("postgres").new_database())


@pytest.mark.parametrize("known_as", [None, "AskReddit", "askreddit", "ASKREDDIT"])
def test_a_subreddit_is_entered_whether_it_is_known_or_not(stage: Stage, known_as: str | None) -> None:
    async def scenario() -> None:
        async with stage.open() as store:
            await store.enter(["askREDDIT"])
            if known_as is not None:
                await store.save(Batch(subreddits=[a_subreddit(known_as)]))
            for _ in range(2):
                await stage.query(ENTER)
            title = None if known_as is None else f"about {known_as}"
            rows = await stage.query("SELECT name, review, title FROM reddit_subreddits")
            assert rows == [(known_as or "AskReddit", "skip", title)]
            assert await store.lease(9, max_depth=1, refresh_after=60, seconds=60) == []
            await store.save(Batch(subreddits=[a_subreddit("AskReddit", later(1))]))
            assert await stage.query("SELECT name, review FROM reddit_subreddits") == [("AskReddit", "skip")]

    play(scenario)


def test_the_questions_are_answered(stage: Stage) -> None:
    async def scenario() -> None:
        async with stage.open() as store:
            await store.save(Batch(subreddits=[a_subreddit(subscribers=7)]))
            for question in QUESTIONS:
                assert await stage.query(question) is not None

    assert len(QUESTIONS) >= 3
    play(scenario)
