"""The keys of [cluster]: what cannot work is refused before anything starts, with what would be right."""

import pytest

from core.config.constraints import session_advice
from tests.core.config.conftest import CREDENTIALS, Load, Problems

ON = "[cluster]\nenabled = true\n"


def test_the_variables_of_a_container_name_the_machine(load: Load) -> None:
    variables = {
        "GAPLESS_CLUSTER__ENABLED": "true",
        "GAPLESS_CLUSTER__INSTANCE": "gapless-0",
        "GAPLESS_CLUSTER__SHARDS": "64",
        "GAPLESS_CLUSTER__SESSION_TIMEOUT": "10s",
        "GAPLESS_CLUSTER__GROUP": "1234",
    }
    cluster = load("", environ=CREDENTIALS | variables).cluster
    assert (cluster.enabled, cluster.instance, cluster.shards) == (True, "gapless-0", 64)
    assert (cluster.session_timeout, cluster.group) == (10.0, "1234")


@pytest.mark.parametrize(
    ("text", "key", "advice"),
    [
        (f'{ON}[kafka]\nbootstrap_servers = "embedded"\n', "kafka.bootstrap_servers", "every machine"),
        (f"{ON}[streams]\nsubmissions = false\ncomments = false\n", "cluster.enabled", "switch a stream on"),
        (f'{ON}session_timeout = "900ms"\n', "cluster.session_timeout", 'from "1s" to "30m"'),
        (f'{ON}session_timeout = "2h"\n', "cluster.session_timeout", 'from "1s" to "30m"'),
        (f"{ON}shards = 0\n", "cluster.shards", "from 1 to 1024"),
        (f"{ON}shards = 2000\n", "cluster.shards", "from 1 to 1024"),
        (f'{ON}instance = "two words"\n', "cluster.instance", "letters, digits"),
        (f'{ON}group = "a/b"\n', "cluster.group", "letters, digits"),
    ],
)
def test_what_cannot_work_is_refused_with_advice(problems: Problems, text: str, key: str, advice: str) -> None:
    (problem,) = problems(text)
    assert problem.key == key
    assert advice in problem.advice


def test_nothing_is_refused_while_the_cluster_is_off(load: Load) -> None:
    config = load('[cluster]\nsession_timeout = "900ms"\n[kafka]\nbootstrap_servers = "embedded"\n')
    assert not config.cluster.enabled
    assert session_advice(config) == ""


def test_a_session_that_brokers_refuse_by_default_is_allowed_with_advice(load: Load) -> None:
    advice = session_advice(load(f'{ON}session_timeout = "3s"\n'))
    assert "6 s or more" in advice
    assert "group.min.session.timeout.ms = 3000" in advice
    assert session_advice(load(f'{ON}[streams]\nstart = "now"\n')) == ""
