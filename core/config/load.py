"""Builds one Config from the sources: parses every value; the strongest source wins; reports all problems at once."""

import os
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any, cast

from core.config import value_sources
from core.config.constraints import check
from core.config.kafka_properties import merged
from core.config.network_variables import network
from core.config.parsers import InvalidValue
from core.config.sections import SECTIONS, Config, all_settings
from core.config.setting import HIDDEN, Setting
from core.config.suggestions import nearest, nearest_key
from core.config.value_sources import RawValue
from core.config.variables import problems_of
from core.errors import ConfigError, Problem
from core.masking.external import hide
from core.masking.redact import show

_NOTHING: Mapping[str, object] = MappingProxyType({})


def load_config(
    path: str | Path | None,
    overrides: Mapping[str, object] = _NOTHING,
    environ: Mapping[str, str] = os.environ,
    *,
    credentials: bool = True,
    further: Callable[[Config], Iterable[Problem]] | None = None,
) -> Config:
    """Load the configuration, or raise a ConfigError that holds every problem.

    No path means no file. Overrides have dotted keys ("kafka.topic") and win over everything. Commands that never
    contact Reddit pass credentials=False. A further check may add problems that only other code can find.
    """
    path = Path(path) if path is not None else None
    settings = {setting.key: setting for setting in all_settings()}
    given, problems = _gather(path, overrides, environ, settings)
    values: dict[str, object] = {}
    hide(*(str(one.raw) for one in given if settings[one.key].secret))
    for found in given:  # the strongest source first; the weaker ones are still checked
        parsed, wrong = _parse(found, settings[found.key])
        problems += wrong
        if not wrong:
            values[found.key] = _stronger(parsed, values[found.key]) if found.key in values else parsed
    for key, value in values.items():
        values[key] = _stronger(settings[key].default, value)
    config = _build(values)
    # rejected values too: an error report may quote them
    outer = network(environ)
    hide(*config.secrets(), *outer.secrets(), logins=(*config.logins(), *outer.logins()))
    problems += check(config, credentials=credentials)
    problems += further(config) if further else ()
    if problems:
        raise ConfigError(problems, str(path) if path else "the configuration")
    return config


def _gather(
    path: Path | None, overrides: Mapping[str, object], environ: Mapping[str, str], settings: dict[str, Setting]
) -> tuple[list[RawValue], list[Problem]]:
    given: list[RawValue] = []
    problems: list[Problem] = []
    for value in value_sources.from_command_line(overrides):
        if value.key in settings:
            given.append(value)
        else:
            problems.append(_unknown(value, settings))
    given += value_sources.from_variables(environ, settings.values(), "in the environment")
    problems += problems_of(environ, settings.values(), "in the environment")
    dotenv = value_sources.dotenv_file(path)
    if dotenv:
        variables, wrong = value_sources.read_dotenv(dotenv)
        problems += wrong
        given += value_sources.from_variables(variables, settings.values(), f"in {dotenv}")
        problems += problems_of(variables, settings.values(), f"in {dotenv}")
    if path:
        document, wrong = value_sources.read_file(path)
        problems += wrong
        for found in _walk(document, settings):
            if isinstance(found, RawValue):
                given.append(found)
            else:
                problems.append(found)
    return given, problems


def _walk(document: Mapping[str, object], settings: dict[str, Setting]) -> Iterator[RawValue | Problem]:
    """Check the tables of the file: each unknown key is a problem."""
    for table, content in document.items():
        if table not in SECTIONS:
            yield _unknown(RawValue(table, content, value_sources.FILE), settings)
        elif not isinstance(content, Mapping):
            advice = f"must be a table: write [{table}] on a line of its own, and its keys below it"
            yield Problem(table, advice)
        else:
            yield from _walk_table(table, content, settings)


def _walk_table(
    table: str, content: Mapping[str, object], settings: dict[str, Setting]
) -> Iterator[RawValue | Problem]:
    for leaf, raw in content.items():
        value = RawValue(f"{table}.{leaf}", raw, value_sources.FILE)
        setting = settings.get(value.key)
        if value.key in SECTIONS:
            if isinstance(raw, Mapping):
                yield from _walk_table(value.key, raw, settings)
            else:
                advice = f"must be a table: write [{value.key}] on a line of its own, and its keys below it"
                yield Problem(value.key, advice)
        elif setting is None:
            yield _unknown(value, settings)
        elif not setting.in_file:
            advice = f"is not allowed in this file: set {setting.variable} in the environment or in .env"
            yield Problem(value.key, advice, HIDDEN)
        else:
            yield value


def _unknown(value: RawValue, settings: dict[str, Setting]) -> Problem:
    if isinstance(value.raw, Mapping) and "." not in value.key:
        table = nearest(value.key, {name: name for name in SECTIONS})
        return Problem(f"[{value.key}]", f"unknown table; the nearest known one is [{table}]", source=value.source)
    known = [key for key, setting in settings.items() if setting.in_file or value.source]
    inner = [table for table in SECTIONS if "." in table] if isinstance(value.raw, Mapping) else []
    near = nearest_key(value.key, [*known, *inner])
    if near in inner:
        return Problem(f"[{value.key}]", f"unknown table; the nearest known one is [{near}]", source=value.source)
    # without its value: the name may be the misspelt name of a secret
    return Problem(value.key, f"unknown key; the nearest known one is {near}", source=value.source)


def _parse(value: RawValue, setting: Setting) -> tuple[object, list[Problem]]:
    try:
        return setting.parse(value.raw), []
    except InvalidValue as wrong:
        problems = []
        for fault in wrong.faults:
            key = f"{value.key}{fault.at}"
            raw = fault.value if fault.has_value else value.raw
            text = None if fault.missing else show(raw, key) if fault.plain else setting.show(raw, key)
            problems.append(Problem(key, fault.advice, text, value.source))
        return None, problems


def _stronger(weaker: object, stronger: object) -> object:
    """Return the stronger value; tables of properties are merged, name by name."""
    if isinstance(weaker, dict) and isinstance(stronger, dict):
        return merged(weaker, stronger)
    return stronger


def _build(values: Mapping[str, object]) -> Config:
    tables: dict[str, dict[str, object]] = {table: {} for table in SECTIONS}
    for key, value in values.items():
        table, _, leaf = key.rpartition(".")
        tables[table][leaf] = value
    sections: dict[str, object] = {}
    for table in sorted(SECTIONS, key=lambda name: -name.count(".")):  # a table inside another one comes first
        outer, _, leaf = table.rpartition(".")
        section = SECTIONS[table](**tables[table])
        if outer:
            tables[outer][leaf] = section
        else:
            sections[table] = section
    return Config(**cast("dict[str, Any]", sections))  # parsed by the keys' own types
