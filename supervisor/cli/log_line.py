"""One line of a log file: its time, its level, and its form for display."""

import json
import logging
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Any

import structlog

from core.logging.log_format import harmless
from core.masking.printable import printable

_HIDDEN = ("pid", "logger", "process", "timestamp", "event")  # shown in another form, or rarely useful


@dataclass(frozen=True, slots=True)
class LogLine:
    """A line of the file; `fields` is None if it is not one of our records (for example the output of a crash)."""

    text: str
    fields: dict[str, Any] | None
    timestamp: str  #: ISO 8601 in UTC, so that text order is time order; "" if the line has none

    def is_at_least(self, level: str | None) -> bool:
        """Return whether the line has at least this level; a line that is not our record always passes."""
        if level is None or self.fields is None:
            return True
        names = logging.getLevelNamesMapping()
        return names.get(str(self.fields.get("level")).upper(), logging.CRITICAL) >= names[level.upper()]


def parse(raw: bytes) -> LogLine:
    """Parse a line."""
    text = raw.decode(errors="replace").rstrip("\r")
    try:
        fields = json.loads(text) if text.startswith("{") else None
    except (ValueError, RecursionError):
        fields = None
    if not isinstance(fields, dict) or "event" not in fields:
        return LogLine(text, None, "")
    return LogLine(text, fields, str(fields.get("timestamp", "")))


def dated(lines: Sequence[LogLine], before: str = "") -> list[LogLine]:
    """Give each line without a time that of the line before it in its file, and the first ones that of the next."""
    known = before or next((line.timestamp for line in lines if line.timestamp), "")
    result = []
    for line in lines:
        known = line.timestamp or known
        result.append(replace(line, timestamp=known))
    return result


def renderer(*, colours: bool) -> Callable[[LogLine], str]:
    """Build the function that formats a line for display; a line that is not our record is shown unchanged.

    No text in it can control a terminal, or imitate another line.
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
    """Format the time in this machine's time zone, to the millisecond."""
    try:
        return datetime.fromisoformat(timestamp).astimezone().strftime("%Y-%m-%d %H:%M:%S.%f")[:-3]
    except ValueError:
        return printable(timestamp)
