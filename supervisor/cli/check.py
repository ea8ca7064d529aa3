"""`python -m supervisor check`: checks a configuration and, on request, whether its services answer."""

import argparse
import os
import queue
import re
import sys
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TextIO

from core.config import Config, ConfigError, Problem, load_config
from core.config.constraints import session_advice
from core.config.network_variables import network
from core.config.slices import cluster_config
from core.errors import ExitCode
from core.masking.external import hide, masked, outside
from core.masking.redact import show, show_address
from supervisor.checks.finding import Finding, Probe, failed
from supervisor.checks.probes import probes_of, silent_logger
from supervisor.cli.arguments import add_overrides, overrides
from supervisor.cli.commands import Command
from supervisor.runtime.preflight import require_machine

_DESCRIPTION = """\
Validate CONFIG as `run` does, and print all problems at once, each with its
key and what would be valid. Starts nothing."""

_EPILOG = """\
exit codes:
  0  valid; with --connect: and every service answers
  1  with --connect: a service does not answer, or refuses the request
  2  bad command line or configuration

example:
  python -m supervisor check config.toml --connect"""

_UNKNOWN = "No such configuration property"  #: librdkafka's text for an unknown name
_MORE = "all properties and their values: CONFIGURATION.md of librdkafka"

_DEADLINE = 9.5  # seconds for all probes, which run in parallel

Answer = tuple[int, list[Finding]]


def check(
    path: str | Path,
    overrides: Mapping[str, object],
    *,
    connect: bool,
    environ: Mapping[str, str] = os.environ,
    out: TextIO,
) -> int:
    """Print every problem, or OK; with `connect`, also probe the configured services. Return the exit code."""
    try:
        config = load_config(path, overrides, environ, further=producer_problems)
        require_machine(config, environ)
    except ConfigError as error:
        print(error, file=out)
        return ExitCode.BAD_USAGE
    print("\n".join([f"{path}: OK", _summary(config), *_network(config, environ)]), file=out, flush=True)
    if not connect:
        return ExitCode.OK
    findings = run_all(list(probes_of(config)), _DEADLINE)
    width = max(len(finding.name) for finding in findings)
    for finding in findings:
        print(f"  {finding.name:<{width}}  {'ok    ' if finding.ok else 'FAILED'}  {finding.text}", file=out)
    return ExitCode.OK if all(finding.ok for finding in findings) else ExitCode.GAVE_UP


def _summary(config: Config) -> str:
    streams_line = "\n".join(_streams(config)) or "  both streams are off"
    proxies = len(config.scraper.proxies)
    through = f"through {proxies} prox{'y' if proxies == 1 else 'ies'}" if proxies else "without proxies"
    database = masked(show_address(config.database.url))
    scraper = f"  scraper {through} → {database}" if config.scraper.enabled else "  scraper off"
    return "\n".join(filter(None, (streams_line, _cluster(config), scraper)))


def _streams(config: Config) -> Iterator[str]:
    """Yield a line for the streams with the same subreddits and the same topic, and one for `latest`."""
    alike: dict[tuple[tuple[str, ...], str], list[str]] = {}
    for stream in config.streams.enabled:
        alike.setdefault((config.subreddits_of(stream), config.kafka.topic_of(stream)), []).append(stream)
    for (names, topic), streams in alike.items():
        which = f"{len(names)} subreddit{'' if len(names) == 1 else 's'}"
        target = f"topic {topic} on {config.kafka.bootstrap_servers}, {config.kafka.delivery}"
        yield f"  {' and '.join(streams)} of {which} → {target}"
    if alike and config.kafka.topics.latest:
        yield f"  newest state of each item → topic {config.kafka.topics.latest}, compacted"
    if config.kafka.topics.changes:
        yield f"  later changes → topic {config.kafka.topics.changes}"


def _cluster(config: Config) -> str:
    place = cluster_config(config)
    if place is None:
        return ""
    line = f"  cluster: machine {place.instance} of group {place.group}, {place.shards} shards"
    advice = session_advice(config)
    return f"{line}\n  warning: {advice}" if advice else line


def _network(config: Config, environ: Mapping[str, str]) -> Iterator[str]:
    variables = network(environ).shown() if config.streams.enabled else {}
    if variables:
        yield "  the streams use these environment variables to reach Reddit:"
        yield from (f"    {name}={value}" for name, value in variables.items())


def run_all(probes: Sequence[Probe], deadline: float) -> list[Finding]:
    """Run all probes in parallel; a probe without an answer by the deadline has failed."""
    answers: queue.SimpleQueue[Answer] = queue.SimpleQueue()
    for index, probe in enumerate(probes):
        # Daemons: a name server or firewall that drops everything must not keep the command from ending.
        threading.Thread(target=_run_probe, args=(index, probe, answers), name=probe.name, daemon=True).start()
    found: dict[int, list[Finding]] = {}
    end = time.monotonic() + deadline
    while len(found) < len(probes):
        try:
            index, findings = answers.get(timeout=max(0.0, end - time.monotonic()))
        except queue.Empty:
            break
        found[index] = findings
    late = f"no answer within {deadline:g} s: check the address, and whether a firewall blocks it"
    answered = [found.get(index, [failed(probe.name, late)]) for index, probe in enumerate(probes)]
    return [finding for findings in answered for finding in findings]


def _run_probe(index: int, probe: Probe, answers: "queue.SimpleQueue[Answer]") -> None:
    try:
        findings = list(probe.run())
    except Exception as error:  # noqa: BLE001  a probe that raises has failed; the finding has the error
        findings = [failed(probe.name, outside(f"{type(error).__name__}: {error}"))]
    answers.put((index, findings))


def producer_problems(config: Config) -> list[Problem]:
    """Check the properties with librdkafka itself; no broker is named, so it connects to nothing."""
    from confluent_kafka import KafkaException, Producer  # noqa: PLC0415  25 MB that other commands do not need

    properties = dict(config.kafka.producer)
    problems: list[Problem] = []
    while True:
        try:
            Producer({**properties, "enable.idempotence": True, "acks": "all"}, logger=silent_logger())
        except KafkaException as error:
            text = error.args[0].str().strip()
            name = _property_in(text, properties)
            if name is None:
                return [*problems, Problem("kafka.producer", f"{outside(text)}\n{_MORE}")]
            key, value = f'kafka.producer."{name}"', properties.pop(name)
            if _UNKNOWN in text:  # name only: the value may be a secret under a misspelt name
                hide(str(value))
                problems.append(Problem(key, f"{outside(text)}\n{_MORE}"))
            else:
                problems.append(Problem(key, f"{outside(text)}\n{_MORE}", show(value, name)))
        else:
            return problems


def _property_in(text: str, properties: Mapping[str, object]) -> str | None:
    """Return the property that librdkafka means: by its name, or by its value, since librdkafka often uses aliases."""
    quoted = re.findall(r'"([^"]+)"', text)
    by_value = {str(value): name for name, value in properties.items()}
    named = [word for word in quoted if word in properties] or [by_value[word] for word in quoted if word in by_value]
    return named[0] if named else None


def _add_arguments(parser: argparse.ArgumentParser) -> None:
    add_overrides(parser)
    text = "also connect to Reddit, Kafka, the database and each proxy, at the same time, for 10 s at most"
    parser.add_argument("--connect", action="store_true", help=f"{text} (default: only read files)")


def _run(options: argparse.Namespace) -> int:
    return check(options.config, overrides(options), connect=options.connect, environ=os.environ, out=sys.stdout)


COMMAND = Command(_DESCRIPTION, _EPILOG, _add_arguments, _run)
