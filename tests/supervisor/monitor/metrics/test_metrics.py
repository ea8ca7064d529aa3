"""Tests the metrics: the contract's names exist, each has a help text, and no counter goes back."""

import re
import shutil
import subprocess
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from prometheus_client.metrics_core import Metric
from prometheus_client.parser import text_string_to_metric_families

from core.config.slices import MonitorConfig
from core.spool import GapState
from supervisor.monitor.metrics.exposition import MetricInput, exposition, readiness_exposition
from supervisor.monitor.readiness.problem_tracker import Readiness, Reason
from supervisor.monitor.readiness.reasons import REASONS
from supervisor.monitor.sampling.monotonic_counters import MonotonicCounters
from supervisor.monitor.sampling.sample import Sample
from supervisor.monitor.sampling.stream_sample import StreamSample
from tests.supervisor.monitor.samples import (
    CONFIG,
    NOON,
    gap,
    healthy,
    report,
    with_flow,
    with_process,
    with_reports,
    with_stream,
)
from tests.supervisor.monitor.stage import staged
from tests.support.waiting import wait_until

#: name, type, labels: what the contract promises
CONTRACT = (
    ("reddit_submissions_total", "counter", ()),
    ("reddit_comments_total", "counter", ()),
    ("kafka_published_total", "counter", ()),
    ("kafka_errors_total", "counter", ()),
    ("reddit_queue_size", "gauge", ()),
    ("reddit_rate_limit_hits_total", "counter", ()),
    ("reddit_gaps_total", "counter", ()),
    ("reddit_capture_lag_seconds", "gauge", ("stream",)),
    ("reddit_proven_until_seconds", "gauge", ("stream",)),
    ("reddit_completeness_ratio", "gauge", ("stream",)),
    ("reddit_requests_total", "counter", ("process", "status")),
    ("spool_records", "gauge", ("stream",)),
    ("scraper_subreddits_total", "counter", ()),
    ("scraper_users_total", "counter", ()),
    ("scraper_posts_total", "counter", ()),
    ("proxy_requests_total", "counter", ("proxy", "outcome")),
    ("process_restarts_total", "counter", ("process",)),
    ("process_up", "gauge", ("process",)),
)

UNITS = re.compile(
    r"_(seconds|bytes|ratio|total|records|size|up|open|ready|fatal|used|remaining|per_hour|per_minute|rows|state|gaps|shards|machines|duties)$"
)


def text(
    sample: object = None,
    config: MonitorConfig = CONFIG,
    counters: MonotonicCounters | None = None,
    readiness: Readiness | None = None,
) -> str:
    seen = exposition(MetricInput(sample or healthy(), config, counters or MonotonicCounters()))  # type: ignore[arg-type]
    return (readiness_exposition(readiness or Readiness()) + seen).decode()


def families(written: str) -> dict[str, Metric]:
    return {family.name: family for family in text_string_to_metric_families(written)}


def samples(written: str) -> dict[tuple[str, tuple[str, ...]], float]:
    """Values by name and labels, the labels in the order of their names."""
    return {
        (sample.name, tuple(value for _, value in sorted(sample.labels.items()))): sample.value
        for family in families(written).values()
        for sample in family.samples
    }


@pytest.mark.parametrize(("name", "kind", "labels"), CONTRACT, ids=[name for name, _, _ in CONTRACT])
def test_the_contract_is_kept(name: str, kind: str, labels: tuple[str, ...]) -> None:
    family = families(text())[name.removesuffix("_total")]
    assert family.type == kind
    assert family.samples
    assert {tuple(sample.labels) for sample in family.samples} == {tuple(sorted(labels))}
    assert {sample.name for sample in family.samples} == {name}


def test_the_numbers_are_those_of_the_files() -> None:
    found = samples(text())
    assert found["reddit_comments_total", ()] == 1000
    assert found["kafka_published_total", ()] == 1088
    assert found["reddit_queue_size", ()] == 12
    assert found["spool_records", ("comments",)] == 10
    assert found["reddit_gaps_total", ()] == 3
    assert found["reddit_capture_lag_seconds", ("comments",)] == 1.5
    assert found["reddit_requests_total", ("comments", "429")] == 2
    assert found["reddit_rate_limit_hits_total", ()] == 2
    assert found["scraper_posts_total", ()] == 6000
    assert found["scraper_rows", ("posts",)] == 3000
    assert found["proxy_requests_total", ("ok", "a")] == 500
    assert found["process_up", ("comments",)] == 1
    assert found["monitor_ready", ()] == 1
    assert found["kafka_up", ()] == 1


def test_what_latest_got_is_counted_by_its_kind() -> None:
    sample = healthy()
    flow = replace(sample.flow, latest={"record": 7, "tombstone": 2})
    found = samples(text(replace(sample, status=replace(sample.status, flow=flow))))
    assert (found["kafka_latest_total", ("record",)], found["kafka_latest_total", ("tombstone",)]) == (7, 2)
    assert samples(text())["kafka_latest_total", ("tombstone",)] == 0


def test_every_name_tells_its_unit_and_every_family_explains_itself() -> None:
    for name, family in families(text()).items():
        assert len(family.documentation) > 10, name
        if family.type == "gauge" and not name.startswith(
            ("monitor_", "proxy_requests_in", "scraper_fr", "reddit_sub")
        ):
            assert UNITS.search(name), name


def test_each_reason_has_its_line_and_the_one_that_holds_is_1() -> None:
    readiness = Readiness((Reason("kafka_away", "kafka", "…", NOON),))
    found = samples(text(readiness=readiness))
    assert {labels[0] for name, labels in found if name == "monitor_not_ready"} == set(REASONS)
    assert found["monitor_not_ready", ("kafka_away",)] == 1
    assert found["monitor_not_ready", ("database_away",)] == 0
    assert found["monitor_ready", ()] == 0


def test_what_is_not_configured_or_not_known_yet_is_at_nothing_or_left_out() -> None:
    config = replace(CONFIG, scrapers=())
    sample = with_reports(healthy())
    found = samples(text(replace(sample, streams={}), config))
    assert found["scraper_users_total", ()] == 0
    assert ("database_up", ()) not in found
    assert not [labels for name, labels in found if name == "spool_bytes"]


def test_no_counter_goes_back_when_a_spool_or_a_report_begins_anew() -> None:
    counters = MonotonicCounters()
    before = samples(text(counters=counters))
    anew = with_flow(healthy(), "comments", captured=5, gaps=0)
    anew = with_stream(anew, "comments", counters={"captured": 5}, spool_id="another")
    anew = with_reports(anew, report("a", counters={"posts": 7}, outcomes={"ok": 1}), report("b", outcomes={}))
    after = samples(text(anew, counters=counters))
    totals = [key for key in before if key[0].endswith("_total")]
    assert len(totals) > 20
    assert [key for key in totals if after[key] < before[key]] == []
    assert after["reddit_comments_total", ()] == 1005
    assert after["scraper_posts_total", ()] == 6007


@pytest.mark.parametrize(
    "change",
    [
        lambda sample: with_reports(sample, report("a")),
        with_reports,
        lambda sample: replace(sample, requests={}),
        lambda sample: replace(sample, streams={"comments": sample.streams["comments"]}),
    ],
    ids=["a proxy is taken out", "no scraper", "the quota's file is away", "a stream is switched off"],
)
def test_no_sum_goes_back_when_one_of_its_parts_has_nothing_to_say(change: Callable[[Sample], Sample]) -> None:
    counters = MonotonicCounters()
    before = samples(text(counters=counters))
    after = samples(text(change(healthy()), counters=counters))
    assert [key for key in before if key[0].endswith("_total") and after.get(key, before[key]) < before[key]] == []


def test_restarts_are_counted_over_all_runs_of_the_supervisor() -> None:
    counters = MonotonicCounters()
    counts = []
    for born, restarts in (("100", 3), (None, 0), ("200", 0), ("200", 2), (None, 2), ("300", 4)):
        sample = replace(with_process(healthy(), "comments", restarts=restarts), supervisor_identity=born)
        counts.append(samples(text(sample, counters=counters))["process_restarts_total", ("comments",)])
    assert counts == [3, 3, 3, 5, 5, 9]


def test_what_is_configured_has_its_series_before_anything_has_happened() -> None:
    nothing = StreamSample()
    sample = with_reports(replace(healthy(), requests={}, streams={"submissions": nothing, "comments": nothing}))
    found = samples(text(sample))
    for name in ("submissions", "comments", "scraper-a", "scraper-b"):
        assert found["reddit_requests_total", (name, "200")] == 0
    for name in ("a", "b"):
        assert found["proxy_requests_total", ("ok", name)] == 0
        assert found["proxy_up", (name,)] == 0
    assert found["reddit_comments_total", ()] == found["reddit_gaps_total", ()] == 0


def test_an_idle_proxy_is_not_said_to_work() -> None:
    idle = replace(report("a"), proxy_state="idle")
    found = samples(text(with_reports(healthy(), idle, report("b"))))
    assert [found["proxy_up", (name,)] for name in "ab"] == [0, 1]
    assert [found["proxy_state", ("a", state)] for state in ("healthy", "idle", "resting", "probing")] == [0, 1, 0, 0]


def test_requests_without_a_token_are_counted_by_who_sends_them() -> None:
    config = replace(CONFIG, crawls_with_token=False)
    found = samples(text(config=config))
    assert found["reddit_requests_total", ("scraper-a", "200")] == 500
    assert samples(text())["reddit_requests_total", ("scraper-a", "200")] == 0


def test_what_waits_is_told_by_its_age() -> None:
    sample = with_stream(healthy(), "comments", waiting_since=NOON - 90, oldest_created=NOON - 95)
    found = samples(text(sample))
    assert found["spool_oldest_age_seconds", ("comments",)] == 90
    assert found["spool_oldest_age_seconds", ("submissions",)] == 0
    assert found["kafka_delivery_delay_seconds", ("comments",)] == 95
    assert found["kafka_delivery_delay_seconds", ("submissions",)] == pytest.approx(1.2)


def test_completeness_and_open_gaps() -> None:
    sample = with_flow(with_stream(healthy(), "comments", gaps=(gap(),)), "comments", open_gaps=1)
    found = samples(text(sample))
    assert found["reddit_completeness_ratio", ("comments",)] == pytest.approx(1 - 600 / 2 / 7200)
    assert found["reddit_completeness_ratio", ("submissions",)] == 1.0
    assert found["reddit_gaps_open", ("comments",)] == 1


def test_what_is_proven_falls_behind_and_says_which_part_is_a_gap_and_which_is_not_read() -> None:
    gaps = (gap(state=GapState.LOST, closed_at=NOON), gap(end=None, start=NOON - 1200, unproven=("ethereum",)))
    proven = {"bitcoin": NOON - 1800, "ethereum": NOON - 1200}
    found = samples(text(with_stream(healthy(), "comments", gaps=gaps, proven=proven, clock_offset=-1.5)))
    assert found["reddit_proven_until_seconds", ("comments",)] == NOON - 1800
    assert found["reddit_proven_until_seconds", ("submissions",)] == NOON
    assert found["reddit_clock_offset_seconds", ("comments",)] == -1.5
    assert found["reddit_clock_offset_seconds", ("submissions",)] == 0
    assert found["reddit_time_ratio", ("open", "comments")] == pytest.approx(1198.5 / 2 / 7200)
    assert found["reddit_time_ratio", ("lost", "comments")] == pytest.approx(600 / 2 / 7200)
    assert found["reddit_time_ratio", ("unread", "comments")] == pytest.approx(1798.5 / 2 / 7200)
    assert found["reddit_ledger_gaps", ("open", "comments")] == 1
    assert found["reddit_ledger_gaps", ("lost", "comments")] == 1
    assert found["reddit_ledger_gaps", ("filled", "comments")] == 0


def test_what_was_never_proven_is_complete_in_nothing_and_proven_up_to_no_time() -> None:
    found = samples(text(replace(healthy(), streams={"submissions": StreamSample(), "comments": StreamSample()})))
    assert found["reddit_completeness_ratio", ("comments",)] == 0
    assert found["reddit_time_ratio", ("unread", "comments")] == 1
    assert ("reddit_proven_until_seconds", ("comments",)) not in found


def test_a_stream_that_is_switched_off_is_not_expected_to_be_read() -> None:
    config = replace(CONFIG, streams=("submissions",))
    found = samples(text(config=config))
    assert ("reddit_proven_until_seconds", ("comments",)) not in found
    assert ("reddit_completeness_ratio", ("comments",)) not in found
    assert found["reddit_gaps_open", ("comments",)] == 0


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed: apt-get install prometheus")
def test_promtool_finds_nothing_to_criticise(tmp_path: Path) -> None:
    with staged(tmp_path).running() as stage:
        written = stage.get("/metrics").body
    for part in (written, text()):
        checked = subprocess.run(
            ["promtool", "check", "metrics"], input=part, capture_output=True, text=True, check=False, timeout=30
        )
        assert checked.stdout + checked.stderr == ""
        assert checked.returncode == 0


def test_it_is_served_as_prometheus_reads_it_and_follows_what_happens(tmp_path: Path) -> None:
    with staged(tmp_path).running() as stage:
        answer = stage.get("/metrics")
        assert answer.headers["Content-Type"].startswith("text/plain; version=0.0.4")
        assert "reddit_comments_total 90.0" in answer.body
        assert "monitor_look_failures_total 0" in answer.body
        stage.capture("comments", 10)
        wait_until(lambda: "reddit_comments_total 100.0" in stage.get("/metrics").body, what="ten more comments")
        stage.publish(comments=100, submissions=10)
        wait_until(lambda: "reddit_queue_size 0.0" in stage.get("/metrics").body, what="an empty queue")


def test_no_counter_goes_back_when_a_spool_begins_anew_and_the_monitor_is_replaced(tmp_path: Path) -> None:
    with staged(tmp_path).running() as stage:
        assert samples(stage.get("/metrics").body)["reddit_comments_total", ()] == 90
        stage.stop()
        for path in stage.state_dir.glob("spool-comments*"):
            path.unlink()
        stage.capture("comments", 4)
        stage.start()
        assert samples(stage.get("/metrics").body)["reddit_comments_total", ()] == 94
