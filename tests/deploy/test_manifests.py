"""Compose and Kubernetes: their schemas, and that they agree with the image and with the configuration's defaults."""

import json
import re
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import kubernetes_validate
import pytest
import yaml

from core.config import Config, load_config
from core.config.sections import all_settings
from tests.deploy import dockerfile
from tests.support.system import ROOT

DEPLOY = ROOT / "deploy"
KUBERNETES = sorted((DEPLOY / "kubernetes").rglob("*.yaml"))
COMPOSE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
IMAGE = dockerfile.read(DEPLOY / "Dockerfile")[-1]
DEFAULTS = Config()
VARIABLES = {setting.variable for setting in all_settings() if setting.variable}
#: From the last process gone to the container gone there is a little left to do.
MARGIN = 5.0


def manifest(name: str) -> Any:
    return yaml.safe_load((DEPLOY / "kubernetes" / name).read_text())


POD = manifest("statefulset.yaml")["spec"]["template"]["spec"]
(CONTAINER,) = POD["containers"]


def seconds(text: str) -> float:
    match = re.fullmatch(r"(\d+)s", text)
    assert match
    return float(match[1])


def configuration(path: Path, text: str | None = None) -> Config:
    if text is not None:
        path.write_text(text)
    return load_config(path, environ={}, credentials=False)


@pytest.fixture
def in_kubernetes(tmp_path: Path) -> Config:
    return configuration(tmp_path / "config.toml", manifest("configmap.yaml")["data"]["config.toml"])


@pytest.fixture
def in_compose() -> Config:
    return configuration(DEPLOY / "config.toml")


@pytest.mark.parametrize("path", KUBERNETES, ids=lambda path: path.name)
def test_kubernetes_takes_it(path: Path) -> None:
    document = yaml.safe_load(path.read_text())
    if document["kind"] == "ServiceMonitor":  # of the Prometheus operator: it has no schema among these
        assert document["apiVersion"] == "monitoring.coreos.com/v1"
        return
    kubernetes_validate.validate(document, kubernetes_validate.latest_version(), strict=True)


def test_compose_takes_it() -> None:
    schema = files("check_jsonschema").joinpath("builtin_schemas/vendor/compose-spec.json").read_text()
    validator = jsonschema.validators.validator_for(json.loads(schema))(json.loads(schema))
    assert [error.message for error in validator.iter_errors(COMPOSE)] == []


def test_all_say_the_same_of_ports_paths_and_users(in_kubernetes: Config, in_compose: Config) -> None:
    port = DEFAULTS.monitor.port
    state, logs = IMAGE.array("VOLUME")
    for config in (in_kubernetes, in_compose):
        assert (config.monitor.host, config.monitor.port) == ("0.0.0.0", port)
        assert (str(config.supervisor.state_dir), str(config.supervisor.log_dir)) == (state, logs)
        assert str(config.database.sqlite_path).startswith(f"{state}/")
    assert IMAGE.values("EXPOSE") == [str(port)]
    assert f"'127.0.0.1', {port}" in " ".join(IMAGE.array("HEALTHCHECK"))
    (uid, gid) = map(int, IMAGE.values("USER")[0].split(":"))
    security = POD["securityContext"]
    assert (security["runAsUser"], security["runAsGroup"], security["fsGroup"]) == (uid, gid, gid)
    assert {mount["mountPath"] for mount in CONTAINER["volumeMounts"]} == {state, logs, "/tmp", "/etc/gapless"}
    assert [(entry["name"], entry["containerPort"]) for entry in CONTAINER["ports"]] == [("monitor", port)]
    (offered,) = manifest("service.yaml")["spec"]["ports"]
    assert (offered["name"], offered["port"], offered["targetPort"]) == ("monitor", port, "monitor")
    ours = COMPOSE["services"]["gapless"]
    assert [volume.split(":")[1] for volume in ours["volumes"]] == [state, logs, "/etc/gapless/config.toml"]
    assert ours["volumes"][-1].endswith(":ro")
    assert IMAGE.array("CMD")[-1] == "/etc/gapless/config.toml"
    (scraped,) = yaml.safe_load((DEPLOY / "prometheus/prometheus.yml").read_text())["scrape_configs"]
    assert scraped["static_configs"][0]["targets"] == [f"gapless:{port}"]


def test_a_stop_has_more_time_than_the_supervisor_takes(in_kubernetes: Config, in_compose: Config) -> None:
    grace = POD["terminationGracePeriodSeconds"]
    assert grace >= max(DEFAULTS.supervisor.shutdown_timeout, in_kubernetes.supervisor.shutdown_timeout) + MARGIN
    grace = seconds(COMPOSE["services"]["gapless"]["stop_grace_period"])
    assert grace >= in_compose.supervisor.shutdown_timeout + MARGIN


def test_there_is_one_supervisor_for_a_state_directory() -> None:
    stateful = manifest("statefulset.yaml")
    assert stateful["kind"] == "StatefulSet"
    assert stateful["spec"]["replicas"] == 1
    (claim,) = stateful["spec"]["volumeClaimTemplates"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]
    assert "deploy" not in COMPOSE["services"]["gapless"]  # no replicas


def test_the_probes_ask_for_life_and_readiness_each_in_its_place() -> None:
    paths = {name: CONTAINER[name]["httpGet"]["path"] for name in ("startupProbe", "livenessProbe", "readinessProbe")}
    assert paths == {"startupProbe": "/healthz", "livenessProbe": "/healthz", "readinessProbe": "/readyz"}
    assert manifest("service.yaml")["spec"]["publishNotReadyAddresses"]


def test_nothing_runs_with_more_rights_than_it_needs() -> None:
    assert POD["securityContext"]["runAsNonRoot"]
    assert POD["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
    assert not POD["automountServiceAccountToken"]
    assert CONTAINER["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "readOnlyRootFilesystem": True,
        "capabilities": {"drop": ["ALL"]},
    }
    ours = COMPOSE["services"]["gapless"]
    assert ours["read_only"]
    assert ours["cap_drop"] == ["ALL"]
    assert ours["security_opt"] == ["no-new-privileges:true"]


def test_memory_is_what_was_measured() -> None:
    assert CONTAINER["resources"]["limits"]["memory"] == CONTAINER["resources"]["requests"]["memory"] == "256Mi"
    assert COMPOSE["services"]["gapless"]["mem_limit"] == "256m"


def test_no_port_is_open_to_the_world() -> None:
    published = [port for service in COMPOSE["services"].values() for port in service.get("ports", [])]
    assert published
    assert all(port.startswith("127.0.0.1:") for port in published)


def test_every_service_is_watched_and_waits_for_what_it_needs() -> None:
    services = COMPOSE["services"]
    for name, service in services.items():
        assert name == "gapless" or service["healthcheck"]["test"][0] == "CMD"  # ours is in the image
        for needed, how in service.get("depends_on", {}).items():
            watched = needed == "gapless" or "healthcheck" in services[needed]
            assert how["condition"] == "service_started" or watched
    used = {mount.split(":")[0] for service in services.values() for mount in service.get("volumes", [])}
    assert {mount for mount in used if not mount.startswith(".")} == set(COMPOSE["volumes"])
    for mount in used:
        assert not mount.startswith(".") or (DEPLOY / mount).exists()


def test_no_secret_stands_in_a_file_and_each_is_named_in_the_example() -> None:
    example = dict(
        line.split("=", 1) for line in (DEPLOY / ".env.example").read_text().splitlines() if re.match(r"[A-Z_]+=", line)
    )
    asked = set(re.findall(r"\$\{(\w+)", (DEPLOY / "compose.yaml").read_text()))
    assert asked == set(example)
    assert {name for name, value in example.items() if value} == {"REDDIT_USER_AGENT"}
    given = {name for name in COMPOSE["services"]["gapless"]["environment"] if name not in asked}
    assert given <= VARIABLES
    template = manifest("optional/secret.template.yaml")["stringData"]
    assert set(template) <= VARIABLES
    assert not any(template.values())
    assert set(template) >= {"REDDIT_CLIENT_ID", "REDDIT_CLIENT_SECRET", "REDDIT_USER_AGENT"}
