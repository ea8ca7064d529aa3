"""Tests each reason for 503: when it is reported, when it is not, and that it says what to do."""

from collections.abc import Callable
from dataclasses import replace

import pytest

from core.config.slices import MonitorConfig
from core.errors import FaultCode
from core.status.crawl import RESTING, CrawlReport
from core.status.stream_stats import QuotaFlow
from supervisor.monitor.readiness.failing_requests import Failing
from supervisor.monitor.readiness.problem_tracker import ActiveProblem
from supervisor.monitor.readiness.reasons import REASONS, Trend, problems, warnings
from supervisor.monitor.sampling.disk import Disk
from supervisor.monitor.sampling.sample import Sample
from tests.supervisor.monitor.readiness.test_cluster_reasons import OF_A_CLUSTER
from tests.supervisor.monitor.samples import (
    CONFIG,
    GIB,
    NOON,
    healthy,
    process,
    report,
    with_changes,
    with_flow,
    with_process,
    with_quota,
    with_reports,
    with_stream,
    with_supervisor,
)

CREDENTIALS = (
    "Reddit rejects these credentials: compare REDDIT_CLIENT_ID and REDDIT_CLIENT_SECRET with …, then start again"
)
WINDOW = QuotaFlow(1000, 0, 120.0)
BLOCKED = QuotaFlow(300, 700, 200.0, blocked_s=50.0)


def found(sample: Sample, trend: Trend | None = None, config: MonitorConfig = CONFIG) -> list[ActiveProblem]:
    return problems(sample, trend or Trend(answered_at=NOON - 1), config)


def named(sample: Sample, trend: Trend | None = None, config: MonitorConfig = CONFIG) -> list[tuple[str, str]]:
    return [(problem.what, problem.subject) for problem in found(sample, trend, config)]


def failing(name: str) -> CrawlReport:
    return report(name, proxy_state=RESTING, failing_since=NOON - 90, last_error=f"{name} refuses connections")


def all_failing(sample: Sample) -> Sample:
    return with_reports(sample, failing("a"), failing("b"))


def test_everything_flows() -> None:
    assert found(healthy()) == []
    assert list(warnings(healthy(), CONFIG)) == []


CASES: dict[str, tuple[Callable[[Sample], Sample], tuple[str, str]]] = {
    "the supervisor is stopped by a signal": (
        lambda sample: with_supervisor(sample, "UNRESPONSIVE"),
        ("supervisor_silent", "supervisor"),
    ),
    "the supervisor is stopping": (
        lambda sample: with_supervisor(sample, "STOPPING"),
        ("supervisor_stopping", "supervisor"),
    ),
    "a child is parked": (
        lambda sample: with_process(sample, "publisher", "FATAL", why="a newer schema"),
        ("process_down", "publisher"),
    ),
    "a child died": (lambda sample: with_process(sample, "comments", "BACKOFF"), ("process_down", "comments")),
    "a child is starting": (
        lambda sample: with_process(sample, "scraper-a", "STARTING"),
        ("process_down", "scraper-a"),
    ),
    "a child has ended": (lambda sample: with_process(sample, "comments", "EXITED"), ("process_down", "comments")),
    "the credentials are wrong": (
        lambda sample: with_process(sample, "comments", "FATAL", why=CREDENTIALS, code=FaultCode.CREDENTIALS),
        ("credentials_rejected", "comments"),
    ),
    "a child hangs": (
        lambda sample: with_process(sample, "comments", heartbeat_age_s=31.0),
        ("process_hangs", "comments"),
    ),
    "a stream's polls do not succeed": (
        lambda sample: with_stream(sample, "comments", polled_at=NOON - 200, captured_at=NOON - 300),
        ("stream_silent", "comments"),
    ),
    "a stream was never polled": (
        lambda sample: with_stream(sample, "comments", polled_at=None, captured_at=None),
        ("stream_silent", "comments"),
    ),
    "Kafka is away": (lambda sample: replace(sample, kafka_away_since=NOON - 60), ("kafka_away", "kafka")),
    "Kafka takes nothing": (
        lambda sample: with_stream(sample, "comments", waiting_since=NOON - 60, delivered_at=NOON - 40),
        ("delivery_stalled", "comments"),
    ),
    "Kafka takes no later changes": (
        lambda sample: with_changes(sample, spooled=3, stuck_since=NOON - 40),
        ("delivery_stalled", "changes"),
    ),
    "Kafka refuses everything": (
        lambda sample: replace(
            sample, kafka_away_since=NOON - 60, kafka_refusal="TOPIC_AUTHORIZATION_FAILED: no right"
        ),
        ("delivery_stalled", "kafka"),
    ),
    "the quota is used up": (lambda sample: with_quota(sample, WINDOW, used=1000.0), ("quota_exhausted", "quota")),
    "Reddit asks to wait": (
        lambda sample: with_quota(sample, BLOCKED, refused_at=NOON - 10, blocked_until=NOON + 50),
        ("quota_blocked", "quota"),
    ),
    "no proxy works": (all_failing, ("proxies_failing", "scraper")),
    "the database is away": (
        lambda sample: with_reports(sample, report("a", database_away_since=NOON - 30), report("b")),
        ("database_away", "database"),
    ),
    "a scraper tells nothing": (
        lambda sample: with_reports(sample, report("a"), silent=("scraper-b",)),
        ("crawl_stalled", "scraper-b"),
    ),
    "the disk is nearly full": (
        lambda sample: replace(sample, disks=(Disk("state", "/data", 40 * 2**20, 100 * GIB),)),
        ("disk_nearly_full", "state"),
    ),
    "a file cannot be read": (
        lambda sample: replace(sample, unreadable=("the quota cannot be read now: locked",)),
        ("state_unreadable", "state"),
    ),
}


@pytest.mark.parametrize(("change", "reason"), CASES.values(), ids=CASES)
def test_one_thing_that_is_wrong_is_the_one_reason(change: Callable[[Sample], Sample], reason: tuple[str, str]) -> None:
    assert named(change(healthy())) == [reason]


def test_each_reason_that_is_announced_is_given_somewhere() -> None:
    elsewhere = {"spool_growing", "snapshot_late", *OF_A_CLUSTER}
    given = {reason for _, (reason, _) in CASES.values()}
    assert given | elsewhere == set(REASONS)


@pytest.mark.parametrize("change", [change for change, _ in CASES.values()], ids=CASES)
def test_a_reason_reads_like_a_sentence_and_stays_the_same(change: Callable[[Sample], Sample]) -> None:
    """The text has no number that changes: a screen reader would read it again every second."""
    sample = change(healthy())
    (before,), (after,) = found(sample), found(replace(sample, now=sample.now + 7))
    assert before.text == after.text
    assert before.text.rstrip().endswith((".", ".log"))


def test_a_quiet_subreddit_at_night_is_no_fault() -> None:
    assert named(with_stream(healthy(), "comments", captured_at=NOON - 20_000)) == []


def test_a_long_walk_through_a_backlog_is_no_fault_while_it_brings_something() -> None:
    assert named(with_stream(healthy(), "comments", polled_at=NOON - 600, captured_at=NOON - 5)) == []


def test_when_a_stream_fell_silent_is_told_by_its_last_progress() -> None:
    sample = with_stream(healthy(), "comments", polled_at=NOON - 200, captured_at=NOON - 300)
    assert [problem.since for problem in found(sample)] == [NOON - 200]


def test_it_is_said_when_no_subreddit_can_be_read() -> None:
    absent = {"Bitcoin": "private", "Ethereum": "banned"}
    sample = with_stream(healthy(), "comments", polled_at=NOON - 200, captured_at=None, absent=absent)
    assert "none of its subreddits can be read" in found(sample)[0].text
    assert [(one.what, one.subject) for one in warnings(sample, CONFIG)] == [("subreddit_unavailable", "comments")]


@pytest.mark.parametrize(
    "cause",
    [
        lambda sample: with_process(sample, "comments", "BACKOFF"),
        lambda sample: with_process(sample, "comments", heartbeat_age_s=31.0),
        lambda sample: with_quota(sample, WINDOW, used=1000.0),
        lambda sample: with_quota(sample, BLOCKED, refused_at=NOON - 10, blocked_until=NOON + 50),
    ],
)
def test_a_cause_silences_the_silence_of_a_stream(cause: Callable[[Sample], Sample]) -> None:
    silent = with_stream(healthy(), "comments", polled_at=NOON - 900, captured_at=None)
    assert "stream_silent" not in {what for what, _ in named(cause(silent))}


def test_while_kafka_is_away_nothing_else_is_said_of_what_waits() -> None:
    sample = with_stream(healthy(), "comments", waiting_since=NOON - 60, delivered_at=NOON - 60)
    sample = replace(sample, kafka_away_since=NOON - 60)
    assert named(sample, Trend(frozenset({"comments"}), NOON)) == [("kafka_away", "kafka")]
    assert found(sample)[0].since == NOON - 60


def test_an_old_mark_of_an_outage_is_not_believed_when_nothing_waits() -> None:
    sample = with_flow(with_flow(healthy(), "comments", spooled=0), "submissions", spooled=0)
    assert named(replace(sample, kafka_away_since=NOON - 60)) == []


def test_a_parked_publisher_is_the_reason_and_not_what_waits_for_it() -> None:
    sample = with_stream(healthy(), "comments", waiting_since=NOON - 60, delivered_at=NOON - 60)
    assert named(with_process(sample, "publisher", "FATAL")) == [("process_down", "publisher")]


def test_a_publisher_that_hangs_is_the_reason_and_not_what_waits_for_it_nor_once_it_is_replaced() -> None:
    sample = with_stream(healthy(), "comments", waiting_since=NOON - 60, delivered_at=NOON - 60)
    assert named(with_process(sample, "publisher", heartbeat_age_s=30.0)) == [("process_hangs", "publisher")]
    assert named(with_process(sample, "publisher", uptime_s=2.0)) == []
    assert named(with_process(sample, "publisher", uptime_s=30.0)) == [("delivery_stalled", "comments")]


def test_a_spool_that_grows_and_grows() -> None:
    assert named(healthy(), Trend(frozenset({"comments"}), NOON)) == [("spool_growing", "comments")]


def test_a_short_wait_that_reddit_asked_for_is_not_worth_a_word() -> None:
    short = QuotaFlow(300, 700, 200.0, blocked_s=3.0)
    assert named(with_quota(healthy(), short, refused_at=NOON - 1, blocked_until=NOON + 3)) == []


def test_the_quota_does_not_matter_to_who_does_not_use_it() -> None:
    config = replace(CONFIG, streams=(), crawls_with_token=False)
    assert named(with_quota(healthy(), WINDOW, used=1000.0), config=config) == []


def test_a_crawl_without_an_answer_for_minutes() -> None:
    assert named(healthy(), Trend(answered_at=NOON - 400)) == [("crawl_stalled", "scraper")]
    assert found(healthy(), Trend(answered_at=NOON - 400))[0].since == NOON - 400


def test_a_crawl_that_waits_for_its_share_of_the_quota_or_has_nothing_to_do_is_not_stalled() -> None:
    stalled = Trend(answered_at=NOON - 400)
    assert named(with_quota(healthy(), QuotaFlow(990, 10, 200.0), used=990.0, stream_pace=0.5), stalled) == []
    done = replace(report("a").frontier, waiting=0, leased=0)  # type: ignore[type-var]
    assert named(with_reports(healthy(), report("a", frontier=done), report("b", frontier=done)), stalled) == []


@pytest.mark.parametrize("what", ["a newer schema", CREDENTIALS])
def test_who_is_parked_for_its_configuration_is_not_told_to_restart_with_the_old_one(what: str) -> None:
    (problem,) = found(with_process(healthy(), "publisher", "FATAL", why=what))
    assert "restart CONFIG publisher`; after a change of the configuration or of .env send SIGHUP" in problem.text


@pytest.mark.parametrize(
    ("row", "what"),
    [
        ({"why": CREDENTIALS, "code": FaultCode.OTHER}, "process_down"),
        ({"why": "no", "code": FaultCode.CREDENTIALS}, "credentials_rejected"),
        ({"why": CREDENTIALS}, "process_down"),  # as a supervisor of before wrote it
    ],
)
def test_what_a_reason_says_decides_nothing(row: dict[str, str], what: str) -> None:
    """Only its code decides: the text is for people and may change."""
    assert named(with_process(healthy(), "comments", "FATAL", **row)) == [(what, "comments")]


def test_a_stream_whose_spool_cannot_be_read_is_not_called_silent() -> None:
    sample = with_stream(healthy(), "comments", polled_at=NOON - 900, captured_at=None)
    assert named(sample) == [("stream_silent", "comments")]
    assert named(replace(sample, unreadable_streams=frozenset({"comments"}))) == []


def test_a_silent_supervisor_is_the_reason_for_everything_it_does_not_tell() -> None:
    sample = with_supervisor(with_process(healthy(), "comments", "EXITED"), "UNRESPONSIVE")
    assert named(sample) == [("supervisor_silent", "supervisor")]


def test_the_monitor_does_not_complain_of_its_own_start() -> None:
    assert named(with_process(healthy(), "monitor", "STARTING")) == []


def test_a_process_that_nobody_knows_counts_as_well() -> None:
    sample = healthy()
    rows = [*sample.status.processes, process("broker", "BACKOFF")]
    assert named(replace(sample, status=replace(sample.status, processes=rows))) == [("process_down", "broker")]


@pytest.mark.parametrize("state", ["BACKOFF", "STARTING", "STOPPING", "EXITED"])
def test_who_is_away_for_a_moment_is_not_told_and_who_is_parked_is(state: str) -> None:
    replacing = Trend(answered_at=NOON - 1, replacing=frozenset({"comments"}))
    assert named(with_process(healthy(), "comments", state), replacing) == []
    assert named(with_process(healthy(), "comments", "FATAL"), replacing) == [("process_down", "comments")]


def test_who_dies_again_and_again_is_told_between_two_deaths_in_the_same_words() -> None:
    flapping = Trend(answered_at=NOON - 1, flapping=frozenset({"comments"}))
    (between,) = found(healthy(), flapping)
    (dead,) = found(with_process(healthy(), "comments", "BACKOFF"), flapping)
    assert between == dead


def test_a_stream_that_had_to_wait_for_the_quota_has_time_to_read_its_listing() -> None:
    sample = with_stream(healthy(), "comments", polled_at=NOON - 600, captured_at=None)
    assert named(sample, Trend(answered_at=NOON - 1, blocked_at=NOON - 10)) == []
    assert named(sample, Trend(answered_at=NOON - 1, blocked_at=NOON - 100)) == [("stream_silent", "comments")]


@pytest.mark.parametrize(
    ("state", "shown"),
    [("FATAL", {"state_age_s": 100.0}), ("RUNNING", {"state_age_s": 900.0, "heartbeat_age_s": 100.0})],
)
def test_what_is_wrong_with_a_process_is_so_since_the_supervisor_says(state: str, shown: dict[str, float]) -> None:
    """The monitor may have started long after."""
    (problem,) = found(with_process(healthy(), "publisher", state, **shown))
    assert problem.since == NOON - 100


def test_a_stream_whose_requests_all_fail_is_silent_before_its_silence_shows() -> None:
    refused = Trend(answered_at=NOON - 1, failing={"comments": Failing(NOON - 4, "401")})
    problem = found(healthy(), refused)[0]
    assert (problem.what, problem.subject, problem.since) == ("stream_silent", "comments", NOON - 4)
    assert "answers its requests with 401" in problem.text
    assert named(with_process(healthy(), "comments", "FATAL", why="x"), refused) == [("process_down", "comments")]
