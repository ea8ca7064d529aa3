"""One line of a log file: when it was written, how severe it is, and how people see it."""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import structlog

from core.logging.log_format import harmless
from core.masking.printable import printable

_HIDDEN = ("pid", "logger", "process", "timestamp", "event")  # shown in another form, or seldom of use


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line as it stands in the file; `fields` is None where it is not one of ours (what a crash left behind)."""

    text: str
    fields: dict[str, Any] | None
    timestamp: str  #: ISO 8601 in UTC, so that texts compare like moments; "" where the line has none

    def is_at_least(self, level: str | None) -> bool:
        """Tell whether it is as severe as `level`; what is no record of ours is always worth showing."""
        if level is None or self.fields is None:
            return True
        names = logging.getLevelNamesMapping()
        return names.get(str(self.fields.get("level")).upper(), logging.CRITICAL) >= names[level.upper()]


def parse(raw: bytes) -> LogLine:
    """Read a line."""
    text = raw.decode(errors="replace").rstrip("\r")
    try:
        fields = json.loads(text) if text.startswith("{") else None
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict) or "event" not in fields:
        return LogLine(text, None, "")
    return LogLine(text, fields, str(fields.get("timestamp", "")))


def dated(lines: Sequence[LogLine], before: str = "") -> list[LogLine]:
    """Give each line without a moment that of the line before it in its file, the first ones that of the next."""
    known = before or next((line.timestamp for line in lines if line.timestamp), "")
    result = []
    for line in lines:
        known = line.timestamp or known
        result.append(replace(line, timestamp=known))
    return result


def renderer(*, colours: bool) -> Callable[[LogLine], str]:
    """Make the function that lays a line out for people; what is no record of ours is shown as it stands.

    No text in it can steer a terminal, or look like another line.
    """
    render = structlog.dev.ConsoleRenderer(
        colors=colours, exception_formatter=structlog.dev.plain_traceback, pad_event_to=40, sort_keys=False
    )

    def show(line: LogLine) -> str:
        if line.fields is None:
            return printable(line.text.expandtabs())
        fields = harmless({name: value for name, value in line.fields.items() if name not in _HIDDEN})
        shown = {
            "timestamp": _local(line.timestamp),
            "event": printable(f"{line.fields.get('process', '')}: {line.fields['event']}"),
            **fields,
        }
        return str(render(None, "", shown))

    return show


def _local(timestamp: str) -> str:
    """Give the moment in the time of this machine, to the millisecond."""
    try:
        return datetime.fromisoformat(timestamp).astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    except ValueError:
        return printable(timestamp)
