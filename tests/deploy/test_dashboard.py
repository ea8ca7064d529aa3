"""The Grafana dashboard: every panel asks for what there is, in a language that Prometheus understands."""

import itertools
import json
import re
import shutil
import subprocess
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.deploy.metrics import known, labels_of, mistakes, used
from tests.support.system import ROOT

GRAFANA = ROOT / "deploy" / "grafana"
DASHBOARD: dict[str, Any] = json.loads((GRAFANA / "dashboard.json").read_text())
PANELS: list[dict[str, Any]] = DASHBOARD["panels"]
TARGETS: list[tuple[str, dict[str, Any]]] = [
    (panel["title"], target) for panel in PANELS for target in panel.get("targets", [])
]

#: What a dashboard need not show: they are details of the readiness, or are for alerts.
UNSHOWN = {
    "up",
    "disk_size_bytes",
    "monitor_connections",
    "monitor_connections_dropped_total",
    "monitor_listeners",
    "monitor_look_failures_total",
    "monitor_snapshot_age_seconds",
    "monitor_wrong_tokens_total",
    "process_fatal",
    "process_uptime_seconds",
    "proxy_requests_in_flight",
    "reddit_last_capture_age_seconds",
    "reddit_quota_reset_seconds",
    "scraper_connections_distrusted_total",
    "scraper_rows",
    "scraper_rules_total",
    "scraper_subreddits_per_hour",
    "proxy_state",  # proxy_up is shown
    "supervisor_up",
}


def filled_in(expression: str) -> str:
    return expression.replace("$__rate_interval", "1m").replace("$instance", ".*")


def test_every_panel_asks_for_what_there_is() -> None:
    for title, target in TARGETS:
        assert not mistakes(target["expr"]), title
        legend = set(re.findall(r"\{\{(\w+)\}\}", target["legendFormat"]))
        assert legend <= labels_of(target["expr"]), title


def test_every_metric_is_shown_or_left_out_on_purpose() -> None:
    shown = set().union(*(used(target["expr"]) for _, target in TARGETS))
    assert set(known()) - shown == UNSHOWN


@pytest.mark.skipif(shutil.which("promtool") is None, reason="promtool is not installed: apt-get install prometheus")
def test_prometheus_understands_every_expression(tmp_path: Path) -> None:
    rules = [
        {"record": f"panel:{number}", "expr": filled_in(target["expr"])} for number, (_, target) in enumerate(TARGETS)
    ]
    path = tmp_path / "rules.yml"
    path.write_text(yaml.safe_dump({"groups": [{"name": "dashboard", "rules": rules}]}))
    answer = subprocess.run(["promtool", "check", "rules", str(path)], capture_output=True, text=True, check=False)
    assert answer.returncode == 0, answer.stdout + answer.stderr


def test_panels_have_their_own_places_and_the_chosen_data_source() -> None:
    assert len({panel["id"] for panel in PANELS}) == len(PANELS)
    for one, other in itertools.combinations([panel["gridPos"] for panel in PANELS], 2):
        apart = one["x"] + one["w"] <= other["x"] or other["x"] + other["w"] <= one["x"]
        above = one["y"] + one["h"] <= other["y"] or other["y"] + other["h"] <= one["y"]
        assert apart or above, (one, other)
    assert all(panel["gridPos"]["x"] + panel["gridPos"]["w"] <= 24 for panel in PANELS)
    assert {target["datasource"]["uid"] for _, target in TARGETS} == {"${datasource}"}
    assert {variable["name"] for variable in DASHBOARD["templating"]["list"]} == {"datasource", "instance"}


def test_it_is_provisioned_with_its_data_source() -> None:
    sources = yaml.safe_load((GRAFANA / "provisioning/datasources/prometheus.yaml").read_text())["datasources"]
    assert [(source["type"], source["url"]) for source in sources] == [("prometheus", "http://prometheus:9090")]
    providers = yaml.safe_load((GRAFANA / "provisioning/dashboards/gapless.yaml").read_text())["providers"]
    mounts = yaml.safe_load((ROOT / "deploy/compose.yaml").read_text())["services"]["grafana"]["volumes"]
    (inside,) = [mount.split(":")[1] for mount in mounts if "dashboard.json" in mount]
    assert Path(inside).parent == Path(providers[0]["options"]["path"])
