"""Tests readiness over several samples."""

from dataclasses import replace

from core.status.stream_stats import QuotaFlow
from supervisor.monitor.sampling.sample import Sample
from supervisor.monitor.snapshot.snapshot_builder import SnapshotBuilder
from tests.supervisor.monitor.samples import CONFIG, NOON, healthy, with_process, with_quota, with_stream


def reasons(builder: SnapshotBuilder, sample: Sample, at: float) -> list[str]:
    readiness = builder.build(replace(sample, now=NOON + at)).readiness
    return [f"{reason.what} {reason.subject}" for reason in readiness.reasons]


def test_one_restart_does_not_make_the_verdict_flap_and_dying_on_and_on_does_not_either() -> None:
    builder = SnapshotBuilder(CONFIG)
    assert reasons(builder, healthy(), 0) == []
    assert reasons(builder, with_process(healthy(), "comments", "BACKOFF"), 1) == []
    back = with_process(healthy(), "comments", restarts=1, uptime_s=1.0)
    assert reasons(builder, back, 2) == []
    assert reasons(builder, with_process(healthy(), "comments", "STARTING", restarts=2), 4) == ["process_down comments"]
    again = with_process(healthy(), "comments", restarts=2, uptime_s=1.0)
    assert reasons(builder, again, 5) == ["process_down comments"]
    assert reasons(builder, with_process(healthy(), "comments", restarts=2, uptime_s=11.0), 15) == []


def test_a_stream_is_not_called_silent_just_when_its_wait_for_the_quota_is_over() -> None:
    builder = SnapshotBuilder(CONFIG)
    silent = with_stream(healthy(), "comments", polled_at=NOON - 500, captured_at=None)
    out = with_quota(silent, QuotaFlow(1000, 0, 5.0), used=1000.0)
    assert reasons(builder, out, 0) == ["quota_exhausted quota"]
    assert reasons(builder, silent, 5) == []
    assert "stream_silent comments" in reasons(builder, silent, 90)
