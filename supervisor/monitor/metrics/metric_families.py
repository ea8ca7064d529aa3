"""Building blocks of the metrics: families with their help texts, filled line by line."""

from collections.abc import Iterable, Mapping, Sequence
from typing import TypeVar

from prometheus_client.metrics_core import CounterMetricFamily, GaugeMetricFamily, Metric

Labels = Sequence[str]
Value = float | int | None
Key = TypeVar("Key", bound=tuple[str, ...])


def gauge(name: str, text: str, value: Value) -> Iterable[Metric]:
    """Return a gauge without labels; empty where there is no value."""
    if value is not None:
        yield GaugeMetricFamily(name, text, value=float(value))


def counter(name: str, text: str, value: int) -> Iterable[Metric]:
    """Return a counter without labels; `name` ends in `_total`."""
    yield CounterMetricFamily(name.removesuffix("_total"), text, value=float(value))


def gauges(name: str, text: str, label: str, values: Mapping[str, Value]) -> Iterable[Metric]:
    """Return a gauge with one label; labels without a value are skipped."""
    family = GaugeMetricFamily(name, text, labels=[label])
    for key, value in values.items():
        if value is not None:
            family.add_metric([key], float(value))
    yield family


def labelled_gauges(name: str, text: str, labels: Labels, values: Mapping[Key, float]) -> Iterable[Metric]:
    """Return a gauge with several labels."""
    family = GaugeMetricFamily(name, text, labels=list(labels))
    for key, value in values.items():
        family.add_metric(list(key), float(value))
    yield family


def labelled_counters(name: str, text: str, labels: Labels, values: Mapping[Key, int]) -> Iterable[Metric]:
    """Return a counter with labels; `name` ends in `_total`."""
    family = CounterMetricFamily(name.removesuffix("_total"), text, labels=list(labels))
    for key, value in values.items():
        family.add_metric(list(key), float(value))
    yield family
