"""The whole product as it is deployed: within 256 MiB, and seen by a real Prometheus."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, NamedTuple
from urllib.error import URLError
from urllib.parse import quote
from urllib.request import urlopen

import psutil
import pytest

from bench.figure import pss_mib
from tests.deploy.cgroup import Cgroup, limited_to
from tests.deploy.metrics import known
from tests.deploy.test_alerts import ALERTS, PROMETHEUS
from tests.deploy.test_dashboard import TARGETS, filled_in
from tests.support.brokers import TansuBroker
from tests.support.ports import free_port
from tests.support.server import ServerProcess
from tests.support.simulator import Simulator
from tests.support.system import ROOT, System
from tests.support.trial import FIGURES
from tests.support.waiting import wait_until

LIMIT = 256  # MiB, as in deploy/
_NOT_HERE = ("cluster_", "reddit_change", "gapless_audit_", "reddit_missing_at_most_")
NAMES = {"submissions", "comments", "publisher", "scraper-direct", "monitor"}


class Whole(NamedTuple):
    system: System
    monitor: str  #: host:port
    cgroup: Cgroup | None


@pytest.fixture(scope="module")
def whole(tansu_session: TansuBroker, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Whole]:
    """Two streams, publisher, monitor, one scraper: busy, and in a memory cgroup where one can be made."""
    tansu_session.ensure_running()
    directory = tmp_path_factory.mktemp("whole")
    simulator = Simulator(directory, comments_per_second=20, backlog=500, crawl_subreddits=60, anonymous=True)
    simulator.start()
    port = free_port()
    hidden = directory / "as-installed"  # rich comes with tools for tests, and structlog loads it where it is
    hidden.mkdir()
    (hidden / "rich.py").write_text('raise ImportError("not in requirements.lock")\n')
    system = System(
        directory / "system",
        reddit={
            "subreddits": list(simulator.subreddits), "reddit_url": simulator.url, "oauth_url": simulator.url,
        },
        kafka={"bootstrap_servers": tansu_session.bootstrap_servers, "topic": "whole"},
        scraper={"subreddits": ["Bitcoin"], "authentication": "none"},
        monitor=port,
        environment={"PYTHONPATH": f"{hidden}:{ROOT}"},
    )  # fmt: skip
    with limited_to(LIMIT) as cgroup:
        if cgroup is not None:
            system.server.command = cgroup.command(system.server.command)
        system.start()
        try:
            wait_until(lambda: system.page("/readyz")[0] == 200, 60.0, "all to flow")
            yield Whole(system, f"127.0.0.1:{port}", cgroup)
        finally:
            system.destroy()
            simulator.stop()
            if cgroup is not None:
                wait_until(lambda: not cgroup.procs.read_text(), what="the cgroup to be empty")


def test_it_keeps_within_its_memory(whole: Whole, record_property: Any) -> None:
    """Nobody is killed for want of memory, and the sum of what the processes really occupy is below the limit."""

    def busy() -> bool:
        status = whole.system.status()
        return bool(status["scraper"]["posts"] > 1000 and status["streams"]["comments"]["published"] > 300)

    wait_until(busy, 60.0, "it to have worked for a while")
    processes = whole.system.status()["processes"]
    names = {process["pid"]: process["name"] for process in processes}
    assert set(names.values()) == NAMES
    top = psutil.Process(whole.system.server.pid)
    names[top.pid] = "supervisor"
    below = top.children(recursive=True)  # multiprocessing's resource tracker too
    sizes = {names.get(one.pid, f"pid {one.pid}"): pss_mib(one.pid) for one in (top, *below)}
    sizes["together"] = sum(sizes.values())
    record_property(FIGURES, {name: f"{size:.0f} MiB" for name, size in sizes.items()})
    assert sizes["together"] < LIMIT, sizes
    assert {process["restarts"] for process in processes} == {0}
    if whole.cgroup is not None:
        assert str(whole.system.server.pid) in whole.cgroup.procs.read_text().split()
        assert whole.cgroup.killed == 0


class Prometheus:
    """A real one that scrapes the monitor every second, with the rules of `deploy/`."""

    def __init__(self, directory: Path, target: str) -> None:
        self._address = f"127.0.0.1:{free_port()}"
        rules = json.dumps(str(PROMETHEUS / "alerts.yml"))
        config = directory / "prometheus.yml"
        config.write_text(
            "global: {scrape_interval: 1s, evaluation_interval: 1s}\n"
            f"rule_files: [{rules}]\n"
            f"scrape_configs: [{{job_name: gapless, static_configs: [{{targets: ['{target}']}}]}}]\n"
        )
        command = ["prometheus", f"--config.file={config}", f"--storage.tsdb.path={directory / 'tsdb'}"]
        command += [f"--web.listen-address={self._address}", "--log.level=warn"]
        self.server = ServerProcess(command, directory / "prometheus.out", cwd=directory)

    def ask(self, path: str) -> Any:
        with urlopen(f"http://{self._address}/api/v1/{path}", timeout=10.0) as answer:
            document = json.load(answer)
        assert document["status"] == "success", document
        return document["data"]

    def query(self, expression: str) -> list[dict[str, Any]]:
        result: list[dict[str, Any]] = self.ask(f"query?query={quote(expression)}")["result"]
        return result

    def ready(self) -> bool:
        try:
            return bool(self.query("monitor_ready"))
        except URLError:
            return False


@pytest.mark.skipif(
    shutil.which("prometheus") is None, reason="prometheus is not installed: apt-get install prometheus"
)
def test_a_real_prometheus_reads_it_and_its_rules_and_panels_have_something_to_say(
    whole: Whole, tmp_path: Path
) -> None:
    prometheus = Prometheus(tmp_path, whole.monitor)
    prometheus.server.start()
    try:
        wait_until(prometheus.ready, 30.0, "the first scrape")
        (target,) = prometheus.ask("targets")["activeTargets"]
        assert (target["health"], target["lastError"]) == ("up", "")
        wait_until(lambda: not missing(prometheus), 30.0, "every metric")
        captured = float(prometheus.query("reddit_comments_total")[0]["value"][1])
        assert 0 < captured <= whole.system.status()["streams"]["comments"]["captured"]
        for title, panel in TARGETS:
            assert prometheus.query(filled_in(panel["expr"])) is not None, title
        rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
        assert {rule["name"] for rule in rules} == set(ALERTS)
        wait_until(lambda: evaluated(prometheus), 30.0, "every rule to be evaluated")
        alerts = prometheus.ask("alerts")["alerts"]
        firing = {alert["labels"]["alertname"] for alert in alerts if alert["state"] == "firing"}
        assert not firing & {name for name, rule in ALERTS.items() if rule["labels"]["severity"] == "critical"}
    finally:
        prometheus.server.kill()


def missing(prometheus: Prometheus) -> set[str]:
    """The metrics that it did not get; here is no cluster, no process `changes`, and no audit yet."""
    wanted = {name for name in known() if not name.startswith(_NOT_HERE)}
    return wanted - set(prometheus.ask("label/__name__/values"))


def evaluated(prometheus: Prometheus) -> bool:
    rules = [rule for group in prometheus.ask("rules")["groups"] for rule in group["rules"]]
    assert not [rule["lastError"] for rule in rules if rule["health"] == "err"]
    return all(rule["health"] == "ok" for rule in rules)
