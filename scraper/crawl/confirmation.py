"""Records unexplained refusals, and decides which are facts by now."""

from collections.abc import Callable, Sequence
from datetime import datetime

import structlog

from scraper.crawl.answer_rate import AnswerRate
from scraper.crawl.pending_refusals import PendingRefusal, record_refusal
from scraper.reddit.question import Question
from scraper.reddit.refusal import Unexplained
from scraper.reddit.rows import SubredditState

log = structlog.stdlib.get_logger(__name__)

#: Refusals of this number of names, without a good answer in between, are more likely about us than about the names.
_MANY = 5


class RefusalConfirmer:
    """Confirms refusals for one process."""

    def __init__(self, answer_rate: AnswerRate, holder: str, now: Callable[[], datetime], *, has_others: bool) -> None:
        """`holder` names this process; `has_others`: other processes send requests through other proxies."""
        self.has_others = has_others
        self._answer_rate = answer_rate
        self._holder = holder
        self._now = now
        self._refused: set[tuple[bool, str]] = set()
        self._good = answer_rate.count

    async def record(
        self, question: Question, refusal: Unexplained, known: PendingRefusal | None, names: Sequence[str] = ()
    ) -> tuple[PendingRefusal, bool]:
        """Record a refusal; return its record, and whether it is a fact.

        `names`: others of this kind that should be answered, for control requests.
        """
        self._warn_of_many(question, refusal)
        doubt = record_refusal(known, refusal, self._holder, self._now())
        is_fact = (
            doubt.is_confirmed(self._now(), has_others=self.has_others)
            and await self._answer_rate.is_proven(question, doubt.first_at, names)
            # an empty listing lasts until the next refresh only: it is not worth further requests
            and (refusal.state is SubredditState.OPEN or await self._answer_rate.is_steady(question, refusal, names))
        )
        log.info(
            "refusal_confirmed" if is_fact else "refusal_unconfirmed",
            kind=str(question.kind),
            name=question.name,
            would_be=doubt.state,
            reason=doubt.text,
            times=doubt.count,
        )
        return doubt, is_fact

    def _warn_of_many(self, question: Question, refusal: Unexplained) -> None:
        if self._answer_rate.count != self._good:
            self._good = self._answer_rate.count
            self._refused.clear()
        before = len(self._refused)
        self._refused.add((question.of_user, question.name.lower()))
        if before < _MANY <= len(self._refused):
            log.warning(
                "many_unexplained_refusals",
                names=len(self._refused),
                last=str(refusal),
                hint="Reddit may refuse this proxy, network, token or account: these refusals are not stored",
            )
