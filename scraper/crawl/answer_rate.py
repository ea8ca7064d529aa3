"""Checks whether this process gets answers at all: a refusal counts against a name only if others are answered."""

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from datetime import datetime, timedelta
from typing import Protocol

from core.errors import GaplessError
from scraper.reddit.answer_check import names_it
from scraper.reddit.question import Kind, Question, same_name
from scraper.reddit.refusal import Unexplained, unexplained
from scraper.reddit.rows import SubredditState

#: A good answer counts as recent for this time.
_RECENT = timedelta(seconds=60)

#: After a failed control request, none is sent for this time.
_FAILED_FOR = timedelta(seconds=10)

#: Before a refusal is believed, it is requested this number of times in a row, each time after another name. If
#: refusals come by chance, that reveals it; then no refusal is believed for this time.
_ROUNDS = 3
_UNSTEADY_FOR = timedelta(minutes=5)

#: Of this number of last users: if more than this share was refused, the users are not the cause.
_LAST_USERS, _ENOUGH_USERS = 20, 12
_MOST_REFUSED = 0.25

#: How many names of subreddits and of users are remembered, and how many are requested as a control.
_MOST_NAMES = 5
_MOST_CONTROLS = 2


class AnswerCheck(Protocol):
    """The required part of scraper.http.retrying_fetcher.RetryingFetcher."""

    async def ask(self, question: Question) -> object:
        """Return the decoded answer; raises Unavailable and TransientErrors."""


class AnswerRate:
    """Records good answers about subreddits and users; sends a control request if there was none lately."""

    def __init__(self, client: AnswerCheck, subreddits: tuple[str, ...], now: Callable[[], datetime]) -> None:
        """`subreddits`: to request while no other name is known to be good."""
        self._client = client
        self._now = now
        self.count = 0  #: good answers so far
        self._one_at_a_time = asyncio.Lock()
        self._failed_at: dict[bool, datetime] = {}
        self._good_at: dict[bool, datetime] = {}
        self._unsteady_at: datetime | None = None
        self._users_refused: deque[bool] = deque(maxlen=_LAST_USERS)
        self._names: dict[bool, list[str]] = {False: [*reversed(subreddits)], True: []}

    def good(self, question: Question) -> None:
        """Record an answer that names its subject."""
        self.count += 1
        self._good_at[question.of_user] = self._now()
        names = self._names[question.of_user]
        if question.name in names:
            names.remove(question.name)
        names.append(question.name)
        del names[:-_MOST_NAMES]

    def user_ended(self, *, refused: bool) -> None:
        """Record the outcome for a user: facts, or an unexplained refusal."""
        self._users_refused.append(refused)

    @property
    def refuses_many_users(self) -> bool:
        """Whether a larger share of users is refused than can really be gone."""
        last = self._users_refused
        return len(last) >= _ENOUGH_USERS and sum(last) > _MOST_REFUSED * len(last)

    def is_recent(self, *, of_user: bool) -> bool:
        """Return whether a good answer of this kind came within the last minute."""
        moment = self._good_at.get(of_user)
        return moment is not None and self._now() - moment <= _RECENT

    async def is_proven(self, refused: Question, since: float, known: Sequence[str] = ()) -> bool:
        """Return whether others are answered: since `since` and within the last minute, or now, to a control request.

        `known`: more names of this kind that should be answered.
        """
        async with self._one_at_a_time:  # tasks that wait here use the result of the control request before
            of_user, now = refused.of_user, self._now()
            moment = self._good_at.get(of_user)
            if moment is not None and moment.timestamp() >= since and self.is_recent(of_user=of_user):
                return True
            failed = self._failed_at.get(of_user)
            if failed is not None and now - failed < _FAILED_FOR:
                return False
            if await self._ask_for_another(refused, known):
                return True
            self._failed_at[of_user] = now
            return False

    async def is_steady(self, refused: Question, like: Unexplained, known: Sequence[str] = ()) -> bool:
        """Return whether this is refused, and others are answered, each time in repeated requests now."""
        async with self._one_at_a_time:
            if self._unsteady_at is not None and self._now() - self._unsteady_at < _UNSTEADY_FOR:
                return False
            for _ in range(_ROUNDS):
                if not await self._ask_for_another(refused, known) or not await self._is_refused(refused, like):
                    self._unsteady_at = self._now()
                    return False
            return True

    async def _is_refused(self, refused: Question, like: Unexplained) -> bool:
        try:
            answer = await self._client.ask(refused)
        except GaplessError as error:
            again = unexplained(error)
            return again is not None and (again.state, again.target) == (like.state, like.target)
        return like.state is SubredditState.OPEN and not names_it(refused, answer)  # an empty listing again

    async def _ask_for_another(self, refused: Question, known: Sequence[str]) -> bool:
        names = dict.fromkeys([*reversed(self._names[refused.of_user]), *known])
        others = [name for name in names if not same_name(name, refused.name)]
        for name in others[:_MOST_CONTROLS]:
            control = Question(Kind.USER if refused.of_user else Kind.ABOUT, name)
            try:
                await self._client.ask(control)
            except GaplessError:
                continue  # the client has counted and logged it: the next name is the control
            self.good(control)
            return True
        return False
