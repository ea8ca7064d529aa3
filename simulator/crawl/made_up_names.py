"""Names that carry a number, so that no list of them is needed: number to name and back, in any spelling."""

import zlib
from functools import lru_cache

_SUBREDDITS = (
    "Coin Block Chain Ledger Market Trade Token Miner Stake Yield Bridge Layer Vault Quant Alpha Satoshi",
    "Talk Hub News Dev Help Memes Labs Daily Watch Club Base Zone Facts Tax Art Jobs",
)
_USERS = (
    "Brave Quiet Lucky Green Salty Early Honest Frozen Tiny Wild Amber Polite Sleepy Vivid Odd Plain",
    "otter whale bull bear ape hodler crab fox moth heron newt yak gnu lynx wolf finch",
)
_FIRST, _SECOND = (words.split() for words in _SUBREDDITS)
_PEOPLE, _BEASTS = (words.split() for words in _USERS)
_DIGITS = "0123456789abcdefghijklmnopqrstuvwxyz"


def base36(number: int) -> str:
    """Convert a number to the form of Reddit's ids."""
    digits = ""
    while number:
        number, digit = divmod(number, 36)
        digits = _DIGITS[digit] + digits
    return digits or "0"


def chance(*what: object) -> float:
    """Return a number in [0, 1) that is always the same for the same words."""
    return zlib.crc32(" ".join(map(str, what)).encode()) / 2**32


class Names:
    """The names of one seed: subreddits (the given ones first), users, and subreddits that do not exist."""

    def __init__(self, given: tuple[str, ...], seed: int) -> None:
        self._seed = seed
        self._given = given
        #: from a number to the name in Reddit's spelling
        self.subreddit = lru_cache(maxsize=4096)(self._subreddit)
        self.user = lru_cache(maxsize=4096)(self._user)
        self._places = {name.lower(): place for place, name in enumerate(given)}

    def _subreddit(self, number: int) -> str:
        if number < len(self._given):
            return self._given[number]
        draw = zlib.crc32(f"{self._seed} subreddit {number}".encode())
        words = _FIRST[draw % 16] + _SECOND[draw // 16 % 16]
        spelled = (words, words.lower(), words, words.upper())[draw // 256 % 4]
        return f"{spelled}_{base36(number)}"

    def subreddit_number(self, name: str) -> int | None:
        """Return the number of a subreddit's name in any spelling; None for a name that is not ours."""
        lower = name.lower()
        place = self._places.get(lower)
        if place is not None:
            return place
        number = _tail(lower, "_")
        if number is None or number < len(self._given) or self.subreddit(number).lower() != lower:
            return None
        return number

    def _user(self, number: int) -> str:
        draw = zlib.crc32(f"{self._seed} user {number}".encode())
        first, second, mark = _PEOPLE[draw % 16], _BEASTS[draw // 16 % 16], "-_"[draw // 256 % 2]
        if draw // 512 % 4 == 0:
            first = first.lower()
        return f"{first}{mark}{second}{mark}{base36(number)}"

    def user_number(self, name: str) -> int | None:
        """Return the number of a user's name in any spelling; None for a name that is not ours."""
        lower = name.lower()
        number = _tail(lower, "-" if "-" in lower else "_")
        return number if number is not None and self.user(number).lower() == lower else None

    def missing(self, number: int) -> str:
        """Return the name of a subreddit that posts refer to although it does not exist."""
        return f"Lost{_SECOND[number % 16]}_{base36(number)}"


def _tail(name: str, mark: str) -> int | None:
    _, found, digits = name.rpartition(mark)
    # int() would accept more than ids have: signs, underscores, other scripts' digits
    if not found or not digits or len(digits) > 7 or any(digit not in _DIGITS for digit in digits):
        return None
    return int(digits, 36)
