"""Several machines in Kubernetes and Compose: each has its name and its volume, and they agree with the single one."""

import json
from importlib.resources import files
from pathlib import Path
from typing import Any

import jsonschema
import pytest
import yaml

from core.config import Config, load_config
from core.config.sections import all_settings
from core.config.slices import cluster_config
from tests.support.system import ROOT

DEPLOY = ROOT / "deploy"
SINGLE: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.yaml").read_text())
SECOND: dict[str, Any] = yaml.safe_load((DEPLOY / "compose.cluster.yaml").read_text())
VARIABLES = {name for setting in all_settings() for name in setting.variables}


def manifest(name: str) -> Any:
    return yaml.safe_load((DEPLOY / "kubernetes" / name).read_text())


STATEFUL = manifest("cluster/statefulset.yaml")["spec"]
POD = STATEFUL["template"]["spec"]
(CONTAINER,) = POD["containers"]
LABELS = STATEFUL["template"]["metadata"]["labels"]


@pytest.fixture
def configured(tmp_path: Path) -> Config:
    """The configuration of the first pod."""
    path = tmp_path / "config.toml"
    path.write_text(manifest("cluster/configmap.yaml")["data"]["config.toml"])
    (variable,) = CONTAINER["env"]
    return load_config(path, environ={variable["name"]: "gapless-cluster-0"}, credentials=False)


def test_each_pod_is_a_machine_by_its_own_name_and_volume(configured: Config) -> None:
    (variable,) = CONTAINER["env"]
    assert variable["valueFrom"] == {"fieldRef": {"fieldPath": "metadata.name"}}
    place = cluster_config(configured)
    assert place is not None
    assert place.instance == "gapless-cluster-0"
    (claim,) = STATEFUL["volumeClaimTemplates"]
    assert claim["spec"]["accessModes"] == ["ReadWriteOncePod"]
    mounts = {mount["name"]: mount["mountPath"] for mount in CONTAINER["volumeMounts"]}
    assert mounts[claim["metadata"]["name"]] == str(configured.supervisor.state_dir)
    assert set(STATEFUL["persistentVolumeClaimRetentionPolicy"].values()) == {"Retain"}, "a spool is never deleted"


def test_there_are_several_and_a_shard_for_each(configured: Config) -> None:
    assert 2 <= STATEFUL["replicas"] <= configured.cluster.shards


def test_a_disruption_or_an_update_takes_one_machine_at_a_time() -> None:
    budget = manifest("cluster/poddisruptionbudget.yaml")["spec"]
    assert budget["maxUnavailable"] == 1
    assert budget["selector"]["matchLabels"].items() <= LABELS.items()
    assert STATEFUL["updateStrategy"]["type"] == "RollingUpdate"
    assert STATEFUL["minReadySeconds"] >= 10


def test_a_stop_has_more_time_than_the_supervisor_takes(configured: Config) -> None:
    assert POD["terminationGracePeriodSeconds"] >= configured.supervisor.shutdown_timeout + 5.0


def test_the_headless_service_and_the_selector_find_the_pods() -> None:
    service = manifest("cluster/service.yaml")
    assert service["spec"]["clusterIP"] == "None"
    assert service["spec"]["publishNotReadyAddresses"]
    assert service["metadata"]["name"] == STATEFUL["serviceName"]
    assert service["spec"]["selector"].items() <= LABELS.items()
    assert STATEFUL["selector"]["matchLabels"].items() <= LABELS.items()
    alone = manifest("statefulset.yaml")["spec"]["selector"]["matchLabels"]
    assert not alone.items() <= LABELS.items(), "the single machine's service does not find them"


@pytest.mark.parametrize("name", ["service.yaml", "cluster/service.yaml"])
def test_prometheus_finds_both_under_the_job_of_the_alerts(name: str) -> None:
    monitor = manifest("optional/servicemonitor.yaml")["spec"]
    labels = manifest(name)["metadata"]["labels"]
    assert monitor["selector"]["matchLabels"].items() <= labels.items()
    assert labels[monitor["jobLabel"]] == "gapless"


def test_otherwise_a_machine_is_as_the_single_one_is() -> None:
    alone = manifest("statefulset.yaml")["spec"]["template"]["spec"]
    (single,) = alone["containers"]
    for name in ("ports", "startupProbe", "livenessProbe", "readinessProbe", "resources", "securityContext"):
        assert CONTAINER[name] == single[name], name
    assert CONTAINER["envFrom"] == single["envFrom"]
    for name in ("securityContext", "terminationGracePeriodSeconds", "automountServiceAccountToken"):
        assert POD[name] == alone[name], name


def test_compose_takes_the_second_machine() -> None:
    schema = files("check_jsonschema").joinpath("builtin_schemas/vendor/compose-spec.json").read_text()
    validator = jsonschema.validators.validator_for(json.loads(schema))(json.loads(schema))
    assert [error.message for error in validator.iter_errors(SECOND)] == []


def test_the_second_machine_differs_from_the_first_by_name_volumes_and_port_only() -> None:
    first, second = SINGLE["services"]["gapless"], SECOND["services"]["gapless-2"]
    own = {"environment", "volumes", "ports", "build"}
    assert {name: part for name, part in first.items() if name not in own} == {
        name: part for name, part in second.items() if name not in own
    }
    named = SECOND["services"]["gapless"]["environment"]
    assert second["environment"].items() >= first["environment"].items()
    assert second["environment"].keys() == first["environment"].keys() | named.keys() <= VARIABLES
    assert named["GAPLESS_CLUSTER__INSTANCE"] != second["environment"]["GAPLESS_CLUSTER__INSTANCE"]
    places = [dict(volume.split(":")[1::-1] for volume in one["volumes"]) for one in (first, second)]
    assert places[0].keys() == places[1].keys()
    assert {place for place in places[0] if places[0][place] == places[1][place]} == {"/etc/gapless/config.toml"}
    assert set(SECOND["volumes"]) == {name for name in places[1].values() if not name.startswith(".")}
    assert all(port.startswith("127.0.0.1:") for port in second["ports"])
    assert not set(second["ports"]) & set(first["ports"])
