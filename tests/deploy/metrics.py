"""Which metrics there are and with which labels, by what the monitor writes; and which ones an expression uses."""

import re
from functools import cache

from prometheus_client.parser import text_string_to_metric_families

from scraper.http.proxy_report import AttemptOutcome
from supervisor.monitor.metrics.exposition import MetricInput, exposition, readiness_exposition
from supervisor.monitor.readiness.problem_tracker import Readiness
from supervisor.monitor.readiness.reasons import REASONS, WARNINGS
from supervisor.monitor.sampling.monotonic_counters import MonotonicCounters
from supervisor.monitor.web.connection_limits import DROP_REASONS
from supervisor.monitor.web.routes import _OWN_METRICS, client_metrics
from tests.supervisor.monitor.samples import CLUSTER_CONFIG, clustered

#: What every scraped series has, given by Prometheus.
TARGET = frozenset({"instance", "job"})

#: Labels whose values are known in advance.
VALUES = {
    "reason": {*REASONS, *DROP_REASONS},
    "warning": set(WARNINGS),
    "outcome": {str(outcome) for outcome in AttemptOutcome},
    "stream": {"submissions", "comments"},
    "directory": {"state", "logs", "database"},
}

_OURS = re.compile(
    r"\b(?:gapless|reddit|kafka|cluster|spool|scraper|proxy|process|monitor|supervisor|disk|database)_[a-z_]+\b|\bup\b"
)
_MATCHER = re.compile(r'(\w+)\s*(=~|!~|!=|=)\s*"([^"]*)"')


@cache
def known() -> dict[str, frozenset[str]]:
    """Every metric with the names of its labels."""
    written = (
        readiness_exposition(Readiness()) + exposition(MetricInput(clustered(), CLUSTER_CONFIG, MonotonicCounters()))
    ).decode()
    written += _OWN_METRICS.format(age=0, failures=0, listeners=0)
    written += client_metrics(0, dict.fromkeys(DROP_REASONS, 0), 0)
    found = {"up": TARGET}
    for family in text_string_to_metric_families(written):
        for sample in family.samples:
            found[sample.name] = TARGET | frozenset(sample.labels)
    return found


def used(expression: str) -> set[str]:
    """The metrics that an expression names."""
    bare = re.sub(r"\{[^}]*\}|\b(?:by|on|without|ignoring)\s*\([^)]*\)", "", expression)
    return set(_OURS.findall(re.sub(r'"[^"]*"', "", bare)))


def mistakes(expression: str) -> list[str]:
    """What an expression asks for that does not exist."""
    found = [f"no metric {name}" for name in used(expression) if name not in known()]
    for name, inside in re.findall(r"(\w+)\{([^}]*)\}", expression):
        for label, operator, value in _MATCHER.findall(inside):
            if label not in known().get(name, TARGET):
                found.append(f"{name} has no label {label}")
            asked = set(value.split("|")) if operator in {"=~", "!~"} else {value}
            if label in VALUES and "$" not in value and not asked <= VALUES[label]:
                found.append(f"{label} is never {asked - VALUES[label]}")
    labels = labels_of(expression)
    for clause in re.findall(r"\b(?:by|on)\s*\(([^)]*)\)", expression):
        found += [f"no label {label}" for label in re.split(r"\s*,\s*", clause) if label not in labels]
    return found


def labels_of(expression: str) -> set[str]:
    """All labels that the metrics of an expression can have."""
    made = set(re.findall(r'label_replace\([^,]*,\s*"(\w+)"', expression))
    return made.union(TARGET, *(known().get(name, frozenset()) for name in used(expression)))
