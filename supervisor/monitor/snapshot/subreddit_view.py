"""Builds the answer of `/api/subreddits`: counts, and the worst subreddits or those whose name is searched.

A page requests it every few seconds; the events of every second contain no subreddits.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

import orjson

from core.config.slices import MonitorConfig
from core.status.completeness import longest_silence
from core.status.standings import Standing, Standings, StreamStanding
from supervisor.monitor.sampling.sample import Sample

#: Most rows of an answer: without a search, and with one.
MOST_WORST = 10
MOST_FOUND = 20

#: Longest text to search; a name has 21 characters at most.
MAX_SEARCH_LENGTH = 64

_MAX_REASON_LENGTH = 100


def subreddit_search(sample: Sample, config: MonitorConfig, mask: Callable[[str], str]) -> Callable[[str], bytes]:
    """Return a function from the searched text to the answer; the standings are computed at its first call."""

    @cache
    def standings() -> Standings:
        streams = {name: sample.streams[name] for name in config.streams if name in sample.streams}
        parts = {
            name: StreamStanding(one.proof(sample.subreddits(config, name)), one.absent)
            for name, one in streams.items()
        }
        return Standings.of(parts, sample.now, longest_silence(config.max_poll_interval))

    @cache
    def worst() -> bytes:
        return orjson.dumps(_document(standings(), "", sample.now, mask))

    def answer(text: str) -> bytes:
        text = text.strip()[:MAX_SEARCH_LENGTH]
        return orjson.dumps(_document(standings(), text, sample.now, mask)) if text else worst()

    return answer


def _document(standings: Standings, text: str, now: float, mask: Callable[[str], str]) -> dict[str, Any]:
    found = standings.search(text) if text else standings.worst(MOST_WORST, all_of_them=True)
    return {
        "at": round(now, 1),
        "search": text,
        "counts": standings.counts,
        "found": len(found) if text else len(standings.all),
        "subreddits": [_row(one, mask) for one in found[:MOST_FOUND]],
    }


def _row(one: Standing, mask: Callable[[str], str]) -> dict[str, Any]:
    return {
        "name": one.name,
        "proven_until": None if one.proven_until is None else round(one.proven_until),
        "age_s": None if one.age_s is None else round(one.age_s, 1),
        "behind": one.behind,
        "unavailable": mask(one.unavailable)[:_MAX_REASON_LENGTH],
        "open": one.open_gaps,
        "lost": one.lost_gaps,
    }
