"""Hostile text in our files, from an older version or another program, controls no terminal and forges no row."""

import io
import json
from pathlib import Path

import pytest
from confluent_kafka import KafkaError
from sqlalchemy.exc import DBAPIError
from structlog.testing import capture_logs

from core.config import Config
from core.config.sections import RedditSection, StreamsSection, SupervisorSection
from core.errors import ConfigError, Problem
from core.masking.external import hide
from core.spool import Batch, Gap, SpoolWriter
from core.status.crawl import HEALTHY, Crawl, CrawlReport
from core.status.stream_stats import Flow, QuotaFlow
from core.status.system_status import Status
from scraper.store.connection.database_errors import reason
from supervisor.checks.finding import failed
from supervisor.cli.gaps import show_gaps
from supervisor.cli.log_line import parse, renderer
from supervisor.display.formatting import table
from supervisor.display.scraper_panel import crawl_block
from supervisor.display.status_panel import Panel
from tests.streams.publisher.stage import Stage
from tests.support.echo import ESCAPES

SECRET = "Zq8_vTn3-XwK5rPbYc7"
TEXT = f"{ESCAPES} {SECRET}\ncomments  RUNNING  1 \x85forged"


@pytest.fixture(autouse=True)
def known() -> None:
    hide(SECRET)


def expect_harmless(shown: str) -> None:
    assert "OWNED" in shown
    assert not [character for character in shown if not character.isprintable() and character != "\n"]
    assert not [line for line in shown.splitlines() if line.startswith(("submissions  2026", "comments  RUNNING  1"))]
    assert SECRET not in shown


def gaps(tmp_path: Path, *, as_json: bool) -> str:
    writer = SpoolWriter(tmp_path, "comments")
    writer.commit(Batch(gaps=[Gap("comments", ("Bitcoin",), 1.7e9, 1.7e9 + 60, TEXT, recorded_at=1.7e9, epoch=1)]))
    writer.close()
    config = Config(
        reddit=RedditSection(subreddits=("Bitcoin",)),
        streams=StreamsSection(submissions=False),
        supervisor=SupervisorSection(state_dir=tmp_path),
    )
    out = io.StringIO()
    show_gaps(config, 1.7e9 + 200, as_json=as_json, out=out, err=out)
    return out.getvalue()


def test_gaps(tmp_path: Path) -> None:
    expect_harmless(gaps(tmp_path, as_json=False))


def test_gaps_for_programs(tmp_path: Path) -> None:
    text = gaps(tmp_path, as_json=True)
    expect_harmless(text)
    assert json.loads(text)["gaps"][0]["reason"].startswith("\\x1b]0;OWNED")


def test_status() -> None:
    report = CrawlReport("scraper-a", "a", seen_at=1.0, proxy_state=HEALTHY, last_error=TEXT, last_error_at=0.0)
    expect_harmless(crawl_block(Crawl(1.0, (report,))))
    process = {"name": "comments", "state": "FATAL", "pid": None, "restarts": 0, "last_exit": 78, "why": TEXT}
    supervisor = {"state": "RUNNING", "pid": 1, "uptime_s": 1.0}
    status = Status(supervisor, [process], Flow(QuotaFlow(0, 100, 0.0)), remarks=[TEXT])
    expect_harmless(Panel(Path("config.toml"), Path("logs")).render(status))


def test_a_cell_of_any_table() -> None:
    hide()
    shown = table([("NAME", "STATE"), (ESCAPES, "x")])
    assert len(shown.splitlines()) == 2
    assert shown.replace("\n", "").isprintable()


def test_check() -> None:
    finding = failed("reddit", f"cannot be read: alpha ({TEXT})")
    expect_harmless(finding.text)
    assert "\n" not in finding.text


def test_a_problem_of_the_configuration() -> None:
    expect_harmless(str(ConfigError([Problem(f"kafka.{ESCAPES}", "unknown key", None, "in the environment")])))


@pytest.mark.parametrize("event", ["request_failed", ESCAPES])
def test_logs(event: str) -> None:
    fields = {"timestamp": "2026-01-01T00:00:00Z", "event": event, "process": "comments", "error": ESCAPES, ESCAPES: 1}
    expect_harmless(renderer(colours=False)(parse(json.dumps(fields).encode())))
    expect_harmless(renderer(colours=False)(parse(ESCAPES.replace("\n", "").encode())))


def test_a_traceback_forges_no_line() -> None:
    line = {
        "timestamp": "2026-01-01T00:00:00Z",
        "event": "crashed",
        "process": "comments",
        "exception": f"x\n{ESCAPES}",
    }
    expect_harmless(renderer(colours=False)(parse(json.dumps(line).encode())))


def test_an_error_of_kafka(tmp_path: Path) -> None:
    watch, text = Stage(tmp_path).health, TEXT.replace("\0", "")
    with capture_logs() as lines:
        watch.log_error("kafka_error", KafkaError(KafkaError.INVALID_CONFIG, text))
        watch.hold(KafkaError(KafkaError.UNKNOWN, text))
        watch.log(40, "%s [%s] %s", "FAIL", "producer-1", text)
    assert len(lines) >= 3
    for line in lines:
        expect_harmless("".join(str(value) for value in line.values()))


def test_an_error_of_the_database() -> None:
    expect_harmless(reason(DBAPIError("SELECT 1", {}, RuntimeError(TEXT))))
