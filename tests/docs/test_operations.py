"""docs/operations.md lists exactly the metrics, alerts, reasons, warnings and exit codes that exist."""

import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from prometheus_client.parser import text_string_to_metric_families

from core.errors import PERMANENT_EXIT, ExitCode
from supervisor.cli.commands import COMMANDS
from supervisor.cli.main import build_parser
from supervisor.monitor.metrics.exposition import MetricInput, exposition, readiness_exposition
from supervisor.monitor.readiness.problem_tracker import Readiness
from supervisor.monitor.readiness.reasons import REASONS, WARNINGS
from supervisor.monitor.sampling.monotonic_counters import MonotonicCounters
from supervisor.monitor.web.connection_limits import DROP_REASONS
from supervisor.monitor.web.routes import _OWN_METRICS, client_metrics
from tests.docs.markdown import headings, rows, section
from tests.supervisor.monitor.samples import CLUSTER_CONFIG, clustered
from tests.support.system import ROOT

PAGE = Path("docs/operations.md")


def plain(cell: str) -> str:
    return cell.replace("`", "")


def test_every_metric_has_a_line_with_its_type_its_labels_and_what_to_do() -> None:
    written = (
        readiness_exposition(Readiness()) + exposition(MetricInput(clustered(), CLUSTER_CONFIG, MonotonicCounters()))
    ).decode()
    written += _OWN_METRICS.format(age=0, failures=0, listeners=0)
    written += client_metrics(0, dict.fromkeys(DROP_REASONS, 0), 0)
    exposed = {}
    for family in text_string_to_metric_families(written):
        name = f"{family.name}_total" if family.type == "counter" else family.name
        exposed[name] = (family.type, {label for sample in family.samples for label in sample.labels})
    documented: dict[str, tuple[str, set[str]]] = {}
    for name, kind, labels, says, do in rows(section(PAGE, "## Metrics"), "metric"):
        assert plain(name) not in documented, f"{name} is listed twice"
        documented[plain(name)] = (kind, set(re.findall(r"`(\w+)`", labels)))
        assert says, name
        assert do, name
    assert documented == exposed


def alerts() -> dict[str, dict[str, Any]]:
    groups = yaml.safe_load((ROOT / "deploy/prometheus/alerts.yml").read_text())["groups"]
    return {rule["alert"]: rule for group in groups for rule in group["rules"]}


def test_every_alert_has_a_line_with_its_severity_and_the_chapter_of_its_cause() -> None:
    rules = {
        name: (rule["labels"]["severity"], rule.get("for", "at once"), rule["annotations"]["runbook"].partition("#")[2])
        for name, rule in alerts().items()
    }
    documented = {
        plain(name): (severity, after, chapter)
        for name, severity, after, says, link in rows(section(PAGE, "## Alerts"), "alert")
        for chapter in re.findall(r"\(#(\w+)\)", link)
        if says
    }
    assert documented == rules


def test_every_reason_and_every_warning_has_its_chapter_in_the_order_of_the_code() -> None:
    assert headings(PAGE, "## `/readyz` says 503, or an alert came", "###") == list(REASONS)
    assert headings(PAGE, "## Warnings", "###") == list(WARNINGS)


def test_each_further_chapter_is_one_that_an_alert_points_to() -> None:
    pointed = {rule["annotations"]["runbook"].partition("#")[2] for rule in alerts().values()}
    assert set(headings(PAGE, "## What only alerts say", "###")) == pointed - {*REASONS, *WARNINGS}


@pytest.mark.parametrize("reason", [*REASONS, *WARNINGS])
def test_a_chapter_says_more_than_its_name(reason: str) -> None:
    assert len(section(PAGE, f"### {reason}").split()) >= 20


def documented_codes(command: str) -> set[int]:
    table = rows(section(PAGE, "## Exit codes"), "command")
    return {int(code) for name, code, means, do in table if plain(name) == command and means and do}


@pytest.mark.parametrize("command", COMMANDS)
def test_the_exit_codes_of_a_command_are_those_of_its_help(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit):
        build_parser().parse_args([command, "--help"])
    listed = re.findall(r"^  (\d)  \w", capsys.readouterr().out.partition("exit codes:")[2], re.MULTILINE)
    assert documented_codes(command) == set(map(int, listed))


def test_the_exit_codes_of_the_program_are_all_told_and_of_commands_that_exist() -> None:
    assert documented_codes("run") == {int(code) for code in ExitCode}
    assert {plain(row[0]) for row in rows(section(PAGE, "## Exit codes"), "command")} == set(COMMANDS)


def test_the_exit_codes_of_the_processes_are_told_as_status_shows_them() -> None:
    documented = [plain(row[0]) for row in rows(section(PAGE, "## Exit codes"), "`LAST EXIT`") if all(row)]
    codes = ["code 0", "code 1", f"code {PERMANENT_EXIT}"]
    assert documented == [*codes, "SIGKILL", "SIGABRT", "SIGTERM", "SIGSEGV"]
