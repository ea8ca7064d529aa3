"""Tests the metrics of later changes."""

from dataclasses import replace

from prometheus_client.parser import text_string_to_metric_families

from core.status.changes_status import ChangesStatus
from supervisor.monitor.metrics.exposition import MetricInput, exposition
from supervisor.monitor.sampling.monotonic_counters import MonotonicCounters
from supervisor.monitor.sampling.sample import Sample
from tests.supervisor.monitor.samples import CHANGED, CONFIG, healthy


def numbers(sample: Sample, counters: MonotonicCounters | None = None) -> dict[tuple[str, ...], float]:
    written = exposition(MetricInput(sample, CONFIG, counters or MonotonicCounters())).decode()
    return {
        (sample.name.removeprefix("reddit_change"), *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(written)
        for sample in family.samples
        if sample.name.startswith("reddit_change")
    }


def changed(changes: ChangesStatus | None, *, enabled: bool = True) -> Sample:
    return replace(healthy(), status=replace(healthy().status, changes=changes, follows_changes=enabled))


def test_the_numbers_are_those_of_the_process() -> None:
    assert numbers(healthy()) == {
        ("s_total", "edit"): 12,
        ("s_total", "score"): 900,
        ("s_total", "removed"): 7,
        ("s_total", "deleted"): 30,
        ("s_total", "restored"): 1,
        ("s_total", "gone"): 2,
        ("_looks_total", "submissions"): 300,
        ("_looks_total", "comments"): 4200,
        ("_looks_late_total",): 100,
        ("_looks_skipped_total",): 5,
        ("_looks_dropped_total",): 0,
        ("_unfollowed_total",): 0,
        ("_files_lost_total",): 0,
        ("_looks_on_time_ratio",): 0.975,
        ("_oldest_overdue_seconds",): 90,
        ("_status_age_seconds",): 3,
        ("_duties", "submissions"): 400,
        ("_duties", "comments"): 9000,
    }


def test_without_the_process_there_is_no_number_and_once_it_is_disabled_only_counters() -> None:
    assert numbers(changed(None, enabled=False)) == {}
    kept = numbers(changed(CHANGED, enabled=False))
    assert {name for name, *_ in kept if not name.endswith("_total")} == set()
    assert kept["s_total", "deleted"] == 30


def test_before_the_first_look_nothing_is_claimed() -> None:
    assert {name for name, *_ in numbers(changed(ChangesStatus())) if not name.endswith("_total")} == set()


def test_counters_never_go_back() -> None:
    counters = MonotonicCounters()
    before = numbers(healthy(), counters)
    renewed = replace(CHANGED, changes={"deleted": 2}, checked={"comments": 50})
    after = numbers(changed(renewed), counters)
    assert after["s_total", "deleted"] == before["s_total", "deleted"] + 2
    assert after["_looks_total", "comments"] == before["_looks_total", "comments"] + 50
