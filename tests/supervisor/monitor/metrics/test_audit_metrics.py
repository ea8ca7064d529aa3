"""Tests the metrics of the audit."""

from dataclasses import replace

import pytest
from prometheus_client.parser import text_string_to_metric_families

from core.status.audit_status import AuditStatus
from supervisor.monitor.metrics.exposition import MetricInput, exposition
from supervisor.monitor.sampling.monotonic_counters import MonotonicCounters
from supervisor.monitor.sampling.sample import Sample
from tests.supervisor.monitor.samples import AUDITED, CONFIG, healthy


def numbers(sample: Sample, counters: MonotonicCounters | None = None) -> dict[tuple[str, ...], float]:
    written = exposition(MetricInput(sample, CONFIG, counters or MonotonicCounters())).decode()
    return {
        (sample.name, *sample.labels.values()): sample.value
        for family in text_string_to_metric_families(written)
        for sample in family.samples
        if "audit" in sample.name or "at_most" in sample.name
    }


def audited(audit: AuditStatus) -> Sample:
    return replace(healthy(), status=replace(healthy().status, audit=audit))


def test_the_numbers_are_those_of_the_observations() -> None:
    found = numbers(healthy())
    assert found.pop(("reddit_missing_at_most_ratio", "submissions")) == pytest.approx(0.00597, abs=0.0001)
    assert found.pop(("reddit_missing_at_most_ratio", "comments")) == pytest.approx(0.0113, abs=0.0005)
    assert found == {
        ("gapless_audit_requests_total", "submissions"): 40,
        ("gapless_audit_requests_total", "comments"): 310,
        ("gapless_audit_sampled_total", "submissions"): 500,
        ("gapless_audit_sampled_total", "comments"): 1208,
        ("gapless_audit_missing_total", "submissions"): 0,
        ("gapless_audit_missing_total", "comments"): 0,
    }


def test_without_an_audit_there_is_no_number() -> None:
    assert numbers(audited(AuditStatus())) == {}


def test_counters_never_go_back() -> None:
    counters = MonotonicCounters()
    before = numbers(healthy(), counters)["gapless_audit_sampled_total", "comments"]
    renewed = replace(AUDITED, counters={"comments": {"audit_sampled": 5}})
    assert numbers(audited(renewed), counters)["gapless_audit_sampled_total", "comments"] == before + 5
    assert numbers(audited(AuditStatus()), counters)["gapless_audit_sampled_total", "comments"] == before + 5
