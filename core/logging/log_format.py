"""Formats a log record: one line of JSON for programs, a readable line on a terminal."""

import json
import os
import textwrap
from collections.abc import Mapping, MutableMapping
from datetime import datetime

import orjson
import structlog

from core.masking.printable import printable, printable_json, printable_lines

EventDict = MutableMapping[str, object]

#: Fields with several lines.
LONG = ("exception", "stack")


def to_json(_logger: object, _method: str, event_dict: EventDict) -> str:
    """Render a record as JSON."""
    try:
        line = orjson.dumps(event_dict).decode()
    except (TypeError, ValueError):  # numbers beyond 64 bits, lone surrogates
        line = json.dumps(event_dict, default=repr)
    return printable_json(line)


class Console:
    """Renders for a terminal: local time, no process id, and no control characters."""

    def __init__(self, *, colors: bool) -> None:
        self._render = structlog.dev.ConsoleRenderer(
            colors=colors and not os.environ.get("NO_COLOR"),
            exception_formatter=structlog.dev.plain_traceback,
            pad_event_to=40,
            sort_keys=False,
        )

    def __call__(self, logger: object, method: str, event_dict: EventDict) -> str:
        """Render one record."""
        shown = harmless({name: value for name, value in event_dict.items() if name not in ("pid", "logger")})
        shown["timestamp"] = _local(str(shown.get("timestamp")))
        shown["event"] = f"{shown.pop('process', '')}: {shown.get('event')}"
        return str(self._render(logger, method, shown))


def _local(timestamp: str) -> str:
    try:
        return datetime.fromisoformat(timestamp).astimezone().strftime("%H:%M:%S")
    except ValueError:
        return printable(timestamp)


def harmless(fields: Mapping[str, object]) -> dict[str, object]:
    """Make texts safe for a terminal: a field stays on one line; lines of a traceback are indented, as no record is."""
    return {printable(str(name)): _harmless(str(name), value) for name, value in fields.items()}


def _harmless(name: str, value: object) -> object:
    if not isinstance(value, str):
        return value
    return textwrap.indent(printable_lines(value), "    ") if name in LONG else printable(value)
