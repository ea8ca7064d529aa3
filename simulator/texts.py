"""The bodies of items: templates from files of real Reddit objects, or made up here."""

import gzip
import random
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import orjson

from simulator.item import Kind

_MADE_UP = 200
#: comments, users, submissions, subreddits
_KINDS = ("t1", "t2", "t3", "t5")
_VOCABULARY = (
    "the a this that my your our some any no every about after before into over under with without because "
    "coin chain block wallet exchange market price fee ledger node miner stake yield protocol token bridge layer "
    "buy sell hold trade watch wait lose earn move send receive lock burn mint audit explain question doubt trust "
    "today yesterday tomorrow again never always slowly quickly honestly apparently 10% 0.05 ETH BTC $100k "
    "🚀 ₿ naïve über 价格"
)
_WORDS = _VOCABULARY.split()


class TextsError(Exception):
    """The files given as texts cannot be used; the message says why."""


@dataclass(frozen=True, slots=True)
class Texts:
    """Templates of both kinds; items take them in turn."""

    submissions: tuple[dict[str, Any], ...]
    comments: tuple[dict[str, Any], ...]

    def of(self, kind: Kind) -> tuple[dict[str, Any], ...]:
        """Return the templates of one kind."""
        return self.submissions if kind is Kind.SUBMISSIONS else self.comments


def load(paths: Iterable[Path], seed: int) -> Texts:
    """Read files of submissions and comments; missing kinds are generated."""
    return complete(read(paths), seed)


def read(paths: Iterable[Path]) -> dict[str, list[dict[str, Any]]]:
    """Read .jsonl and .jsonl.gz files (a folder: those named for a kind of thing); return the things by their kind."""
    found: dict[str, list[dict[str, Any]]] = {kind: [] for kind in _KINDS}
    for file in _files(paths):
        named = file.name[:2] if file.name.startswith(("t2", "t5")) else None
        for number, thing in enumerate(_things(file), start=1):
            kind = _kind(thing) or named
            if kind is None:
                raise TextsError(
                    f"{file}, line {number}: neither a comment (t1_), a submission (t3_) nor a subreddit (t5_)"
                )
            found[kind].append(thing)
    return found


def complete(found: Mapping[str, Sequence[dict[str, Any]]], seed: int) -> Texts:
    """Use the submissions and comments that were found; generate the missing kinds."""
    dice = random.Random(f"texts {seed}")
    return Texts(
        submissions=tuple(found["t3"]) or tuple(_submission(dice) for _ in range(_MADE_UP)),
        comments=tuple(found["t1"]) or tuple(_comment(dice) for _ in range(_MADE_UP)),
    )


def _files(paths: Iterable[Path]) -> Iterator[Path]:
    for path in paths:
        if not path.exists():
            raise TextsError(f"{path}: no such file or folder")
        if path.is_dir():
            inside = sorted(file for file in path.iterdir() if file.name.startswith(_KINDS) and _readable(file))
            if not inside:
                raise TextsError(f"{path}: contains no file named t1, t2, t3 or t5 …, .jsonl or .jsonl.gz")
            yield from inside
        else:
            yield path


def _readable(file: Path) -> bool:
    return file.name.endswith((".jsonl", ".jsonl.gz"))


def _things(file: Path) -> Iterator[dict[str, Any]]:
    try:
        content = gzip.decompress(file.read_bytes()) if file.suffix == ".gz" else file.read_bytes()
        for line in content.splitlines():
            if line.strip():
                thing = orjson.loads(line)
                yield thing.get("data", thing)
    except (OSError, EOFError, ValueError, AttributeError) as error:
        raise TextsError(f"{file}: not JSON objects, one per line ({error})") from error


def _kind(thing: dict[str, Any]) -> str | None:
    prefix = str(thing.get("name", "")).partition("_")[0]
    if prefix in _KINDS:
        return prefix
    return "t1" if "body" in thing else "t3" if "title" in thing else None


def _sentence(dice: random.Random, words: int) -> str:
    return " ".join(dice.choices(_WORDS, k=words)).capitalize()


def _paragraphs(dice: random.Random) -> str:
    return "\n\n".join(f"{_sentence(dice, dice.randint(4, 40))}." for _ in range(dice.choice((1, 1, 1, 2, 3))))


def _author(dice: random.Random) -> dict[str, Any]:
    if dice.random() < 0.03:
        return {"author": "[deleted]"}
    name = f"{dice.choice(_WORDS[15:40]).capitalize()}_{dice.choice(_WORDS[40:60])}{dice.randint(1, 9999)}"
    return {"author": name, "author_fullname": f"t2_{dice.randrange(36**6):x}", "author_premium": False}


def _common(dice: random.Random) -> dict[str, Any]:
    score = int(dice.paretovariate(1.1))
    return {
        "approved_at_utc": None, "all_awardings": [], "archived": False, "author_flair_richtext": [],
        "author_flair_text": None, "author_flair_type": "text", "awarders": [], "banned_by": None, "can_gild": False,
        "can_mod_post": False, "distinguished": None, "downs": 0, "edited": False, "gilded": 0, "gildings": {},
        "likes": None, "locked": False, "mod_note": None, "mod_reports": [], "num_reports": None, "saved": False,
        "score": score, "send_replies": True, "stickied": False, "subreddit_type": "public",
        "total_awards_received": 0, "treatment_tags": [], "ups": score, "user_reports": [],
    }  # fmt: skip


def _submission(dice: random.Random) -> dict[str, Any]:
    is_self = dice.random() < 0.6
    text = _paragraphs(dice) if is_self else ""
    page = {} if is_self else {"url": f"https://news.example/{dice.randrange(10**8)}?a=1&b=2", "domain": "news.example"}
    return _common(dice) | _author(dice) | page | _attached(dice, is_self=is_self) | {
        "contest_mode": False, "hidden": False, "hide_score": False, "is_self": is_self, "is_video": False,
        "link_flair_richtext": [],
        "link_flair_text": dice.choice((None, None, "DISCUSSION", "ANALYSIS")), "media": None, "media_only": False,
        "num_comments": int(dice.paretovariate(0.9)), "num_crossposts": 0, "over_18": dice.random() < 0.02,
        "is_created_from_ads_ui": False, "is_crosspostable": True, "is_original_content": False,
        "is_robot_indexable": True, "removed_by_category": None, "suggested_sort": None, "view_count": None,
        "pinned": False, "quarantine": False, "secure_media": None, "selftext": text,
        "selftext_html": f"<div class=\"md\"><p>{text}</p></div>" if text else None, "spoiler": False,
        "thumbnail": "self" if is_self else "default", "title": _sentence(dice, dice.randint(3, 14)),
        "upvote_ratio": round(dice.uniform(0.5, 1.0), 2), "visited": False,
    }  # fmt: skip


def _attached(dice: random.Random, *, is_self: bool) -> dict[str, Any]:
    """Return what some submissions have: a poll, a gallery, or the submission that they repeat."""
    number = f"{dice.randrange(36**6):x}"
    match (is_self, dice.randrange(10)):
        case (True, 0):
            options = [
                {"id": f"{number}{place}", "text": _sentence(dice, 2), "vote_count": place} for place in (1, 2, 3)
            ]
            return {"poll_data": {"options": options, "total_vote_count": 6, "voting_end_timestamp": 1.9e12}}
        case (False, 0):
            size = {"u": f"https://preview.example/{number}.jpg?width=640&s=1", "x": 640, "y": 480}
            known = {"e": "Image", "id": number, "m": "image/jpg", "s": size, "status": "valid"}
            items = {"items": [{"id": 1, "media_id": number}]}
            return {"gallery_data": items, "is_gallery": True, "media_metadata": {number: known}}
        case (False, 1):
            text = _sentence(dice, 8)
            parent = {"name": f"t3_{number}", "selftext": text, "selftext_html": f"<p>{text}</p>", "title": text}
            return {"crosspost_parent": f"t3_{number}", "crosspost_parent_list": [parent]}
    return {}


def _comment(dice: random.Random) -> dict[str, Any]:
    text = _paragraphs(dice)
    return _common(dice) | _author(dice) | {
        "body": text, "body_html": f"<div class=\"md\"><p>{text}</p></div>", "collapsed": False,
        "collapsed_reason": None, "controversiality": 0, "is_submitter": False, "no_follow": True, "over_18": False,
        "quarantine": False, "score_hidden": True,
    }  # fmt: skip
