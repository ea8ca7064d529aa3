"""What the cases share: their inputs, and questions to a running system."""

import contextlib
import json
import sqlite3
import time
from pathlib import Path
from typing import Any

from core.spool import spool_path
from tests.support.trial import Trial

INPUTS = Path(__file__).with_name("inputs")

#: until what these cases describe is in this branch


def answer(name: str) -> dict[str, Any]:
    """Read an answer as it came over the network, as the effects of a rule."""
    head, _, body = (INPUTS / name).read_text().replace("\r\n", "\n").partition("\n\n")
    first, *lines = head.split("\n")
    headers = dict(line.split(": ", 1) for line in lines if line)
    return {"status": int(first.split()[1]), "headers": headers, "body": body.removesuffix("\n")}


def listed(trial: Trial, stream: str, subreddit: str | None = None) -> list[str]:
    """Return the names in a listing, newest first."""
    items = [
        item
        for item in trial.simulator.truth()
        if item.stream == stream and item.surfaced_at and (subreddit is None or item.subreddit == subreddit)
    ]
    return [item.fullname for item in sorted(items, key=lambda item: -item.created)]


def delivered(trial: Trial) -> set[str]:
    """Return the keys in the topic."""
    return {record.key for record in trial.records()}


def arrives(trial: Trial, subreddits: list[str], known: set[str]) -> bool:
    """Say whether of each of these subreddits a comment is in the topic that was not known before."""
    fresh = {record.value.get("subreddit") for record in trial.records() if record.key not in known}
    return set(subreddits) <= fresh


def messages(trial: Trial, process: str, *levels: str) -> list[dict[str, Any]]:
    """Return the log lines of one process that have one of these levels."""
    return [line for line in trial.system.log(process) if line.get("level") in levels]


def proof(trial: Trial) -> dict[str, Any]:
    """Return what `gaps --json` prints."""
    document: dict[str, Any] = json.loads(trial.system.command("gaps", "--json"))
    assert isinstance(document, dict), "gaps --json has another shape than the contract"
    return document


def rejects(trial: Trial, stream: str) -> int:
    """Return the number of things that the spool keeps because they are no records of its stream."""
    path = spool_path(trial.system.state_dir, stream)
    with contextlib.closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as connection:
        count: int = connection.execute("SELECT count(*) FROM rejects").fetchone()[0]
        return count


def since(moment: float) -> float:
    """Return the seconds since a moment of the monotonic clock."""
    return time.monotonic() - moment
