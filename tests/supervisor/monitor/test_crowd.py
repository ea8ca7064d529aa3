"""Tests that the monitor's answers stay small and quick with 5,000 subreddits and 600 gaps."""

import json
import time
from pathlib import Path
from typing import Any

import pytest

from core.config.slices import monitor_config
from supervisor.monitor.sampling.sample import take_sample
from supervisor.monitor.snapshot.page_view import readiness_json
from supervisor.monitor.snapshot.snapshot_builder import Snapshot, SnapshotBuilder
from tests.supervisor.crowd import OLDEST, Crowd
from tests.support.durations import allowed


def sampled(state: Crowd, place: Path, builder: SnapshotBuilder | None = None) -> Snapshot:
    config = monitor_config(state.config(place))
    return (builder or SnapshotBuilder(config)).build(take_sample(config, state.now + 5))


@pytest.fixture(scope="module")
def snapshot(crowd: tuple[Crowd, Path]) -> Snapshot:
    return sampled(*crowd)


def search(snapshot: Snapshot, text: str = "") -> dict[str, Any]:
    document: dict[str, Any] = json.loads(snapshot.subreddits(text))
    return document


def test_no_metric_has_a_label_for_each_subreddit(snapshot: Snapshot) -> None:
    assert b"Sub_0" not in snapshot.metrics
    assert b'reddit_subreddits_unavailable{stream="comments"} 50.0' in snapshot.metrics
    assert len(snapshot.metrics) < 30_000


def test_the_event_of_each_second_is_bounded(snapshot: Snapshot) -> None:
    assert len(snapshot.event) < 100_000
    look = json.loads(snapshot.event.split(b"data: ")[1])
    for stream in look["streams"].values():
        assert len(stream["ledger"]) == 100
        assert max(len(gap["subreddits"]) for gap in stream["ledger"]) == 12
        assert max(gap["concerned"] for gap in stream["ledger"]) == 4900, "the worst is among them"
        assert stream["absent"] == 50


def test_warnings_name_a_few_and_count_the_rest(snapshot: Snapshot) -> None:
    warnings = readiness_json(snapshot.readiness, str)["warnings"]
    texts = {warning["what"]: warning["text"] for warning in warnings}
    assert "and 40 more cannot be read" in texts["subreddit_unavailable"]
    assert "and 2490 more" in texts["quota_short"]
    assert max(map(len, texts.values())) < 700


def test_the_page_gets_counts_and_the_ten_worst(snapshot: Snapshot) -> None:
    found = search(snapshot)
    assert found["counts"] == {"all": 5000, "behind": 1, "unavailable": 50, "open": 395, "lost": 4900}
    assert found["subreddits"][0]["name"] == OLDEST
    assert [bool(row["unavailable"]) for row in found["subreddits"]] == [False] + [True] * 9


def test_a_search_finds_any_configured_name(snapshot: Snapshot) -> None:
    (row,) = search(snapshot, "R/SUB_04321")["subreddits"]
    assert (row["name"], row["behind"], row["lost"]) == ("Sub_04321", False, 2)
    many = search(snapshot, "sub_")
    assert (many["found"], len(many["subreddits"])) == (5000, 20)
    assert search(snapshot, "x" * 10_000) == {
        **search(snapshot),
        "search": "x" * 64,
        "found": 0,
        "subreddits": [],
    }


def test_a_sample_takes_little_cpu_time(crowd: tuple[Crowd, Path]) -> None:
    """Measured: 90 ms, of one second between two samples."""
    builder = SnapshotBuilder(monitor_config(crowd[0].config(crowd[1])))
    runs = []
    for _ in range(4):
        began = time.process_time()
        sampled(*crowd, builder)
        runs.append(time.process_time() - began)
    assert min(runs) < allowed(0.15)
