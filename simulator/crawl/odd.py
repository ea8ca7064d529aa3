"""Text as people write it: in several scripts, with problematic characters, sometimes too long."""

import random

_VOCABULARY = (
    "the a this that my your our some any no every about after before into over under with without because coin "
    "chain block wallet exchange market price fee ledger node miner stake yield protocol token bridge layer buy sell "
    "hold trade watch wait lose earn move send receive lock burn mint audit explain question doubt trust today "
    "yesterday tomorrow again never always slowly quickly honestly apparently 10% 0.05 ETH BTC $100k"
)
_PLAIN = _VOCABULARY.split()
_ODD = (
    "🚀", "₿", "naïve", "über", "价格", "ビットコイン", "מחיר", "السعر", "👩🏽‍💻", "e\u0301", "\u200b", "\u2028",
    "\ufeff", '"quoted"', "it's", "back\\slash", "a\tb", "<b>", "&amp;", "R&D", "%s", "{}", "null",
    "'; DROP TABLE reddit_posts; --", "[link](https://x.example/?a=1&b=2)", "\U0001f1e9\U0001f1ea", "ﷺ", "\x7f",
)  # fmt: skip
_LONGEST = 40_000  #: characters, Reddit's own limit


def odd_text(dice: random.Random, words: int) -> str:
    """Return this many words in paragraphs, one in twelve of them odd."""
    chosen = [dice.choice(_ODD) if dice.random() < 1 / 12 else dice.choice(_PLAIN) for _ in range(words)]
    paragraphs = [" ".join(chosen[start : start + 40]) for start in range(0, len(chosen), 40)]
    return "\n\n".join(paragraphs)


def very_long(dice: random.Random) -> str:
    """Return a text of the greatest length that Reddit allows."""
    return odd_text(dice, 9000)[:_LONGEST]
