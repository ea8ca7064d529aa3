"""How a record looks: one line of JSON for programs, a line for people on a terminal."""

import json
import os
from collections.abc import MutableMapping
from datetime import datetime

import orjson
import structlog

EventDict = MutableMapping[str, object]

# Line ends to some readers, though JSON lets them stand: a record stays one line for all of them.
_LINE_ENDS = str.maketrans({"\u0085": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"})
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(9), 11, 12, *range(14, 32), *range(127, 160)) if code != 0x85}


def to_json(_logger: object, _method: str, event_dict: EventDict) -> str:
    """Render for programs."""
    try:
        line = orjson.dumps(event_dict).decode()
    except (TypeError, ValueError):  # numbers beyond 64 bits, lone surrogates
        line = json.dumps(event_dict, default=repr)
    return line.translate(_LINE_ENDS) if not line.isascii() else line


class Console:
    """Renders for people: local time, no process id, and nothing that could steer the terminal."""

    def __init__(self, *, colors: bool) -> None:
        self._render = structlog.dev.ConsoleRenderer(
            colors=colors and not os.environ.get("NO_COLOR"),
            exception_formatter=structlog.dev.plain_traceback,
            pad_event_to=40,
            sort_keys=False,
        )

    def __call__(self, logger: object, method: str, event_dict: EventDict) -> str:
        """Render one record."""
        shown = {name: _harmless(value) for name, value in event_dict.items() if name not in ("pid", "logger")}
        shown["timestamp"] = _local(str(shown.get("timestamp")))
        shown["event"] = f"{shown.pop('process', '')}: {shown.get('event')}"
        return str(self._render(logger, method, shown))


def _local(timestamp: str) -> str:
    try:
        return datetime.fromisoformat(timestamp).astimezone().strftime("%H:%M:%S")
    except ValueError:
        return timestamp


def _harmless(value: object) -> object:
    return value.translate(_CONTROL) if isinstance(value, str) else value
