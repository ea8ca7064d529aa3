"""A proxy that exchanges answers between its connections leaves no wrong rules, though rules name nothing."""

import asyncio
import re
from collections import Counter
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from scraper.http.proxy.answer_agreement import SUSPECTED_FOR, AgreedRules
from scraper.reddit.question import Kind, Question
from scraper.reddit.refusal import Mismatch
from tests.scraper.crawl.case_world import CaseStage
from tests.scraper.crawl.stage import SETTINGS
from tests.scraper.http.clients import running
from tests.scraper.http.repeating import RepeatingReddit, facts, usual_answer

WRONG = "SELECT * FROM reddit_rules WHERE short_name <> 'rule of ' || subreddit_name"
RULES = Question(Kind.RULES, "sub000")


class ExchangingReddit(RepeatingReddit):
    """Two requests that match the same one of `pairs`, and are under way together, get each other's answers."""

    def __init__(self, *pairs: str, times: int) -> None:
        super().__init__(latency=0.002)
        self.times = dict.fromkeys(pairs, times)  #: exchanges that are left
        self.exchanged: Counter[str] = Counter()
        self._waiting: dict[str, tuple[str, asyncio.Future[str]]] = {}

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(b"\r\n\r\n"):
                target = head.split(b" ", 2)[1].decode()
                self.asked[target] += 1
                writer.write(usual_answer(await self._other(target)))
        except (ConnectionError, asyncio.IncompleteReadError):
            self.broken += 1
        finally:
            writer.close()

    async def _other(self, target: str) -> str:
        pair = next((each for each in self.times if re.search(each, target)), None)
        if pair is None or self.times[pair] <= 0:
            return target
        other, future = self._waiting.pop(pair, (None, None))
        if other is not None and future is not None and not future.done():
            self.times[pair] -= 1
            self.exchanged[pair] += 1
            future.set_result(target)
            return other
        future = asyncio.get_running_loop().create_future()
        self._waiting[pair] = (target, future)
        try:
            return await asyncio.wait_for(future, 0.05)
        except TimeoutError:
            return target


@pytest.mark.parametrize("others", ["about\\.json", "sub0", "user/"])
def test_exchanged_answers_leave_no_wrong_rules(tmp_path: Path, others: str) -> None:
    """Rules for rules, and others among themselves: those show it, if only after the rules."""
    names = tuple(f"sub{number:03}" for number in range(10))
    stage = CaseStage(tmp_path, [])
    stage.settings = replace(SETTINGS, subreddits=names, discover=False, max_depth=0)
    world = ExchangingReddit("about/rules", others, times=8)
    stage.turn_in(world)
    assert world.exchanged["about/rules"] > 2
    assert stage.rows(WRONG) == []
    stage.now += timedelta(seconds=300)
    stage.turn_in(RepeatingReddit(latency=0.0))
    assert stage.rows(WRONG) == []
    assert stage.value("SELECT count(*) FROM reddit_rules") == 10


def test_without_a_sign_each_question_is_sent_once() -> None:
    async def scenario() -> Counter[str]:
        async with RepeatingReddit() as reddit, running(reddit.url) as client:
            await asyncio.gather(*(client.ask(Question(Kind.RULES, f"sub{number:03}")) for number in range(20)))
            assert not client.mixes_up
            return reddit.asked

    assert set(asyncio.run(scenario()).values()) == {1}


def test_where_there_is_a_sign_two_answers_must_agree() -> None:
    right, wrong = facts(RULES), facts(Question(Kind.RULES, "another"))

    async def fetch(*answers: object, suspected: bool = True) -> tuple[object, int]:
        left, now = list(answers), [1000.0]

        async def ask(_question: Question) -> object:
            return left.pop(0)

        agreed = AgreedRules(ask, lambda: now[0])
        agreed.mixed_up()
        now[0] += 0.0 if suspected else SUSPECTED_FOR
        return await agreed.fetch(RULES), len(answers) - len(left)

    assert asyncio.run(fetch(right, right, wrong)) == (right, 2)
    assert asyncio.run(fetch(wrong, right, right)) == (right, 3)
    assert asyncio.run(fetch(right, wrong, suspected=False)) == (right, 1)
    with pytest.raises(Mismatch):
        asyncio.run(fetch({"rules": []}, right, wrong, {"rules": [1]}))
