"""The crawl world: subreddits, users and posts, and the references between them.

Subreddits share authors with their neighbours; an author's other posts lead to the `links` subreddits that follow
the current one as the branches of a tree, sometimes anywhere, and sometimes to a name that does not exist.
"""

import random
from collections.abc import Callable, Iterator
from functools import lru_cache

from simulator.crawl.made_up_names import Names, base36, chance
from simulator.crawl.things import DAY, EPOCH, Post, State, Subreddit, User, UserState
from simulator.settings import CrawlSettings

#: posts are numbered within their subreddit or user, by the last two characters of their id
MOST_POSTS = 36**2
_POST_IDS = 36**4 * 10
_USER_POST_IDS = 36**4 * 20
_ID_LENGTH = 7
_HOMES = 3  #: at most this many subreddits have the same author
_IN_A_WEEK = 25
_HUGE = 3_000_000_000
_ENDINGS = tuple(base36(place).rjust(2, "0") for place in range(MOST_POSTS))


class CrawlWorld:
    """All subreddits and users of one seed; only what was set by hand is stored."""

    def __init__(
        self,
        settings: CrawlSettings,
        given: tuple[str, ...],
        seed: int,
        live_state: Callable[[str], State | None] = lambda _: None,
    ) -> None:
        self._settings = settings
        self._given = len(given)
        self._seed = seed
        self._live_state = live_state
        self._set_by_hand: dict[int, State] = {}
        self._founded: list[str] = []
        self.names = Names(given, seed)
        self.subreddit_count = max(settings.subreddits, len(given))
        self._step = max(1, round(settings.authors * (1.0 - settings.overlap)))
        enough = (self.subreddit_count - 1) * self._step + settings.authors
        self.user_count = enough if settings.users is None else settings.users
        self.subreddit = lru_cache(maxsize=256)(self._subreddit)
        self.user = lru_cache(maxsize=1024)(self._user)
        self.submitted = lru_cache(maxsize=1024)(self._submitted)

    # -- existence ------------------------------------------------------------------------------------------------

    def subreddit_number(self, name: str) -> int | None:
        """Return the number of a subreddit by its name in any spelling; None if there is none."""
        number = self.names.subreddit_number(name)
        if number is not None and number < self.subreddit_count:
            return number
        lower = [founded.lower() for founded in self._founded]
        return self.subreddit_count + lower.index(name.lower()) if name.lower() in lower else None

    def subreddit_numbers(self) -> range:
        """Return the numbers of all subreddits."""
        return range(self.subreddit_count + len(self._founded))

    def add_subreddit(self, name: str) -> None:
        """Create a subreddit with a new name."""
        if self.subreddit_number(name) is None:
            self._founded.append(name)

    def generated(self, name: str) -> bool:
        """Return whether this subreddit is only in this world, not in the live one."""
        number = self.subreddit_number(name)
        return number is not None and self._given <= number < self.subreddit_count

    def name(self, number: int) -> str:
        """Return a subreddit's name."""
        if number >= self.subreddit_count:
            return self._founded[number - self.subreddit_count]
        return self.names.subreddit(number)

    def state(self, number: int) -> State:
        """Return the state of a subreddit."""
        live = self._live_state(self.name(number))
        if live is not None:
            return live
        return self._set_by_hand.get(number) or self._drawn_state(number)

    def set_state(self, name: str, state: State) -> None:
        """Close or open a subreddit of this world."""
        number = self.subreddit_number(name)
        if number is not None:
            self._set_by_hand[number] = state

    def user_number(self, name: str) -> int | None:
        """Return the number of a user by their name in any spelling; None if there is none."""
        number = self.names.user_number(name)
        return number if number is not None and number < self.user_count else None

    def user_state(self, number: int) -> UserState:
        """Return the state of a user."""
        draw, settings = chance(self._seed, "user state", number), self._settings
        if draw < settings.suspended_share:
            return UserState.SUSPENDED
        return UserState.MISSING if draw < settings.suspended_share + settings.gone_share else UserState.ACTIVE

    def post(self, bare: str) -> Post | None:
        """Return the post with this id; None if there is none."""
        if len(bare) != _ID_LENGTH or not bare.isascii() or not bare.isalnum():
            return None
        number = int(bare[:-2], 36) - _POST_IDS
        if number in self.subreddit_numbers():
            posts = self.subreddit(number).posts
        elif number - (_USER_POST_IDS - _POST_IDS) in range(self.user_count):
            posts = self.submitted(number - (_USER_POST_IDS - _POST_IDS))
        else:
            return None
        return next((post for post in posts if post.bare == bare), None)

    # -- content --------------------------------------------------------------------------------------------------

    def _subreddit(self, number: int) -> Subreddit:
        dice = random.Random(f"{self._seed} subreddit {number}")
        size, delay = self._size(number, dice)
        name, created = self.name(number), EPOCH - dice.randrange(400 * DAY, 6000 * DAY)
        subscribers = _HUGE if dice.random() < 0.01 else int(dice.paretovariate(0.4)) % 60_000_000
        pinned = min(size, dice.choice((0, 0, 1, 1, 2)))
        authors = self._authors(number, size, dice)
        prefix = base36(_POST_IDS + number)
        posts = tuple(
            Post(
                bare=prefix + _ENDINGS[place],
                subreddit=name,
                author=author,
                author_number=author_number,
                created=EPOCH - delay - _age(place, dice),
                score=_score(dice),
                stickied=place < pinned,
                template=int(dice.random() * 2**30),
            )
            for place, (author, author_number) in enumerate(authors)
        )
        drift = [place if place < pinned else place + 1 + 10 * dice.random() for place in range(size)]
        hot = tuple(sorted(range(size), key=drift.__getitem__))
        return Subreddit(number, name, created, subscribers, posts, hot, dice.choice((0, 1, 3, 5, 8, 15)))

    def _size(self, number: int, dice: random.Random) -> tuple[int, int]:
        """Return how many posts a subreddit has, and for how many seconds nothing has been posted."""
        draw, posts = dice.random(), self._settings.posts
        if number < self._given or draw >= self._settings.small_share:
            return posts, 0
        kind = dice.random()
        if kind < 0.2:
            return 0, 0
        return (min(posts, dice.randint(1, 29)), 0) if kind < 0.7 else (posts, 30 * DAY)

    def _authors(self, number: int, size: int, dice: random.Random) -> Iterator[tuple[str | None, int]]:
        """Yield the author of each post: first each author once, then random ones."""
        count = min(self._settings.authors, self.user_count)
        pool = [(number * self._step + place) % self.user_count for place in range(count)]
        dice.shuffle(pool)
        for place in range(size):
            if place == 0 and number % 2 == 0:
                yield "AutoModerator", -1
            elif not pool or dice.random() < self._settings.deleted_share:
                yield None, -1
            else:
                author = pool[place] if place < count else dice.choice(pool)
                yield self.names.user(author), author

    def _user(self, number: int) -> User:
        dice = random.Random(f"{self._seed} user {number}")
        created = EPOCH - dice.randrange(DAY, 5000 * DAY)
        karma = [int(dice.paretovariate(0.5)) % 40_000_000 - (1 if dice.random() < 0.1 else 0) for _ in range(2)]
        return User(number, self.names.user(number), created, karma[0], -100 if dice.random() < 0.05 else karma[1])

    def _submitted(self, number: int) -> tuple[Post, ...]:
        """Return the posts of a user, newest first: in subreddits where they are an author, and elsewhere."""
        dice = random.Random(f"{self._seed} submitted {number}")
        name, homes, prefix = self.names.user(number), self._homes(number), base36(_USER_POST_IDS + number)
        posts = [post for home in homes for post in self.subreddit(home).posts if post.author_number == number]
        most = self._settings.submitted
        count = 0 if dice.random() < 0.05 else dice.randint(most // 4, most)
        spread = int(dice.random() * 2**16)
        posts += [
            Post(
                bare=prefix + _ENDINGS[place],
                subreddit=self._elsewhere(name, homes[place % len(homes)], spread + place, dice),
                author=name,
                author_number=number,
                created=EPOCH - _age(2 * place, dice),
                score=_score(dice),
                stickied=False,
                template=int(dice.random() * 2**30),
            )
            for place in range(count)
        ]
        return tuple(sorted(posts, key=lambda post: -post.created))

    def _homes(self, number: int) -> list[int]:
        """Return the subreddits that have this user among their authors, the first few of them."""
        authors, found = min(self._settings.authors, self.user_count), list[int]()
        for turn in range(self.subreddit_count * self._step // self.user_count + 1):
            place = number + turn * self.user_count
            first = max(0, -(-(place - authors + 1) // self._step))
            found += range(first, min(place // self._step + 1, self.subreddit_count))
            if len(found) >= _HOMES:
                break
        return found[:_HOMES] or [number % self.subreddit_count]

    def _elsewhere(self, user: str, home: int, turn: int, dice: random.Random) -> str:
        """Choose the subreddit of a user's other post: usually in the branches of one of their homes."""
        draw, settings = dice.random(), self._settings
        if draw < settings.missing_share:
            return self.names.missing(dice.randrange(max(3, self.subreddit_count // 10)))
        draw -= settings.missing_share
        if draw < settings.wander_share:
            return self.name(dice.randrange(self.subreddit_count))
        draw -= settings.wander_share
        if draw < 0.05:
            return f"u_{user}"
        first = self._given + home * settings.links
        branches = range(first, min(first + settings.links, self.subreddit_count))
        return self.name(branches[turn % len(branches)] if branches and draw < 0.8 else home)

    def _drawn_state(self, number: int) -> State:
        share = self._settings.closed_share
        if number < self._given or number >= self.subreddit_count or share <= 0:
            return State.PUBLIC
        draw = chance(self._seed, "state", number) / share
        closed = (State.PRIVATE, State.BANNED, State.QUARANTINED)
        return closed[int(draw * len(closed))] if draw < 1 else State.PUBLIC


def _age(place: int, dice: random.Random) -> int:
    """Return the age of the post at this place, newest first: 25 within a week, 60 within five, then the year."""
    part = place + dice.random()
    if place < _IN_A_WEEK:
        return int(part / _IN_A_WEEK * 7 * DAY)
    if place < 60:
        return int((7 + (part - _IN_A_WEEK) * 28 / 35) * DAY)
    return int((35 + (part - 60) * 5) * DAY)


def _score(dice: random.Random) -> int:
    return _HUGE + dice.randrange(1000) if dice.random() < 0.002 else int((1.0 - dice.random()) ** -1.25) % 500_000
