"""The alert rules: Prometheus takes them, they come when they should, and they speak of what there is."""

import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from supervisor.monitor.readiness.reasons import REASONS, WARNINGS
from tests.deploy.metrics import labels_of, mistakes
from tests.support.system import ROOT

PROMETHEUS = ROOT / "deploy" / "prometheus"
ALERTS: dict[str, dict[str, Any]] = {
    rule["alert"]: rule
    for group in yaml.safe_load((PROMETHEUS / "alerts.yml").read_text())["groups"]
    for rule in group["rules"]
}
needs_promtool = pytest.mark.skipif(
    shutil.which("promtool") is None, reason="promtool is not installed: apt-get install prometheus"
)


@needs_promtool
@pytest.mark.parametrize(
    "command",
    [("check", "rules", "alerts.yml"), ("check", "config", "prometheus.yml"), ("test", "rules", "alerts.test.yml")],
    ids=" ".join,
)
def test_promtool_is_content(command: tuple[str, ...]) -> None:
    answer = subprocess.run(["promtool", *command], cwd=PROMETHEUS, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


@needs_promtool
def test_each_reason_and_each_warning_raises_its_alert_when_it_lasts_and_not_before(tmp_path: Path) -> None:
    (tmp_path / "alerts.yml").write_text((PROMETHEUS / "alerts.yml").read_text())
    tests = [story for name in ALERTS if (story := lasting(name)) is not None]
    assert len(tests) == len(REASONS) + len(WARNINGS)
    (tmp_path / "lasting.yml").write_text(yaml.safe_dump({"rule_files": ["alerts.yml"], "tests": tests}))
    command = ["promtool", "test", "rules", "lasting.yml"]
    answer = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def lasting(name: str) -> dict[str, Any] | None:
    """A story for promtool: the one reason begins to hold after five minutes, and stays."""
    rule = ALERTS[name]
    simple = re.match(r'(monitor_not_ready|monitor_warning)\{(reason|warning)="(\w+)"\}', rule["expr"])
    if simple is None:
        return None
    metric, label, value = simple.groups()
    minutes = {"m": 1, "h": 60}
    patience = int(rule.get("for", "0m")[:-1]) * minutes[rule.get("for", "0m")[-1]]
    labels = {"instance": "a", "job": "gapless", label: value}
    alert = {"exp_labels": {**labels, **rule["labels"]}, "exp_annotations": rule["annotations"]}
    labelled = ", ".join(f'{key}="{text}"' for key, text in labels.items())
    return {
        "interval": "1m",
        "input_series": [{"series": f"{metric}{{{labelled}}}", "values": f"0x4 1x{patience + 10}"}],
        "alert_rule_test": [
            {"alertname": name, "eval_time": f"{4 + patience}m", "exp_alerts": []},
            {"alertname": name, "eval_time": f"{6 + patience}m", "exp_alerts": [alert]},
        ],
    }


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_speaks_of_what_there_is(name: str) -> None:
    rule = ALERTS[name]
    assert not mistakes(rule["expr"])
    for text in rule["annotations"].values():
        assert set(re.findall(r"\$labels\.(\w+)", text)) <= labels_of(rule["expr"])


@pytest.mark.parametrize("name", ALERTS)
def test_an_alert_says_how_bad_it_is_what_it_means_and_where_to_read_on(name: str) -> None:
    rule = ALERTS[name]
    assert rule["labels"]["severity"] in {"critical", "warning", "info"}
    assert {"summary", "description", "runbook"} == set(rule["annotations"])
    path, _, anchor = rule["annotations"]["runbook"].partition("#")
    assert anchor in headings(ROOT / path)


def test_there_is_an_alert_and_a_chapter_for_each_reason_and_each_warning() -> None:
    anchors = {rule["annotations"]["runbook"].partition("#")[2] for rule in ALERTS.values()}
    named = {*REASONS, *WARNINGS}
    assert named <= anchors
    assert named <= headings(ROOT / "docs" / "operations.md")
    asked = {value for rule in ALERTS.values() for value in re.findall(r'(?:reason|warning)="(\w+)"', rule["expr"])}
    assert named == asked


def headings(path: Path) -> set[str]:
    return {line.lstrip("#").strip() for line in path.read_text().splitlines() if line.startswith("#")}
