"""What Reddit really answered over the years: objects of subreddits (t5), posts (t3) and users (t2)."""

import gzip
import json
from functools import cache
from pathlib import Path
from typing import Any

import pytest

_FOLDER = Path(__file__).resolve().parents[2].parent / "shared" / "reddit-samples"


def samples(kind: str) -> list[dict[str, Any]]:
    """Return all of a kind, as they were given; the test that asks skips where they are not."""
    if not _FOLDER.is_dir():
        pytest.skip(f"the samples of real answers are not here: {_FOLDER}")
    return _read(kind)


@cache
def _read(kind: str) -> list[dict[str, Any]]:
    with gzip.open(_FOLDER / f"{kind}.jsonl.gz", "rt", encoding="utf-8") as lines:
        return [json.loads(line) for line in lines]


def listing(posts: list[dict[str, Any]]) -> dict[str, Any]:
    """Wrap posts as Reddit does."""
    children = [{"kind": "t3", "data": post} for post in posts]
    return {"kind": "Listing", "data": {"after": None, "children": children}}
