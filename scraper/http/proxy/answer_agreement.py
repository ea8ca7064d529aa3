"""Behind a proxy that mixes up answers, rules count only when two answers agree, because rules contain no name.

A proxy that exchanges answers also returns some of them to questions where the exchange is visible. From then on,
rules are requested until an answer repeats. Only one request for rules is in progress at a time, so none can be
exchanged for another's. Without such a sign, each question is sent once.
"""

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from scraper.reddit.question import Question
from scraper.reddit.refusal import Mismatch

log = structlog.stdlib.get_logger(__name__)

#: A proxy that returned the answer to another question is under suspicion for this time, seconds.
SUSPECTED_FOR = 600.0

#: How many answers may all differ.
_MOST_ANSWERS = 4

#: Sends one question and returns the decoded answer.
Ask = Callable[[Question], Awaitable[object]]


class AgreedRules:
    """Requests rules; records when the proxy last mixed up answers."""

    def __init__(self, ask: Ask, clock: Callable[[], float]) -> None:
        self._ask = ask
        self._clock = clock
        self._mixed_up_at = float("-inf")
        self._one_at_a_time = asyncio.Lock()

    @property
    def are_doubtful(self) -> bool:
        """Whether an answer to another question arrived recently."""
        return self._clock() - self._mixed_up_at < SUSPECTED_FOR

    def mixed_up(self) -> None:
        """Record an answer to another question."""
        self._mixed_up_at = self._clock()

    async def fetch(self, question: Question) -> object:
        """Return the rules. Raises Mismatch when all answers differ, and any error of the request."""
        known: list[object] = []
        if not self.are_doubtful:
            answer = await self._ask(question)
            if not self.are_doubtful:
                return answer
            known.append(_rules(answer))
        async with self._one_at_a_time:
            for _ in range(_MOST_ANSWERS):
                answer = await self._ask(question)
                if _rules(answer) in known:
                    return answer
                known.append(_rules(answer))
        log.warning("rules_disagree", name=question.name, answers=len(known), hint="no rules are stored")
        raise Mismatch("rules that differ in every answer")


def _rules(answer: object) -> object:
    return answer.get("rules") if type(answer) is dict else answer
