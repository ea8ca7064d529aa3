"""Logging of every process: one JSON object a line into its file, the same on standard error, secrets masked.

`configure` once at the start of a process, `get_logger` anywhere. Records of other libraries take the same way.
"""

import json
import logging
import os
import sys
import threading
from collections.abc import MutableMapping
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TextIO

import orjson
import structlog

from core.hiding import Hider
from core.logfile import FailureCount, RotatingLogFile

EventDict = MutableMapping[str, object]
Logger = structlog.stdlib.BoundLogger

_FIRST = ("timestamp", "level", "event", "process", "pid", "logger")
# Line ends to some readers, though JSON lets them stand: a record stays one line for all of them.
_LINE_ENDS = str.maketrans({"\u0085": "\\u0085", "\u2028": "\\u2028", "\u2029": "\\u2029"})
_CONTROL = {code: f"\\x{code:02x}" for code in (*range(9), 11, 12, *range(14, 32), *range(127, 160)) if code != 0x85}

_hider = Hider()
_failures = FailureCount("gapless")


def get_logger(name: str) -> Logger:
    """Give the logger of a module or process."""
    return structlog.stdlib.get_logger(name)


def hide(*secrets: str) -> None:
    """Mask these texts wherever they would stand in a log line from now on."""
    _hider.hide(secrets)


def failures() -> int:
    """Say how many lines could not be written since `configure`."""
    return _failures.total


def configure(
    process: str,
    log_dir: Path,
    log_format: str = "auto",
    max_bytes: int = 10_000_000,
    backups: int = 5,
    *,
    level: str = "INFO",
    stream: TextIO | None = None,
) -> None:
    """Send all logging of this process to LOG_DIR/PROCESS.log and to standard error; called again, it starts anew."""
    global _failures  # noqa: PLW0603  logging is one per process, as in the standard library
    _failures = FailureCount(process)
    stream = stream if stream is not None else sys.stderr
    console = log_format == "console" or (log_format == "auto" and _is_terminal(stream))
    identity = _Identity(process)
    file = RotatingLogFile(log_dir / f"{process}.log", max_bytes=max_bytes, backups=backups, failures=_failures)
    file.setFormatter(_formatter(identity, _to_json))
    screen = _Screen(stream, _failures)
    screen.setFormatter(_formatter(identity, _Console(colors=_is_terminal(stream)) if console else _to_json))
    _replace_handlers([file, screen], level)
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.contextvars.merge_contextvars,
            *_described(),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.stdlib.BoundLogger,
        cache_logger_on_first_use=True,
    )
    logging.captureWarnings(capture=True)
    sys.excepthook = _log_uncaught
    threading.excepthook = _log_uncaught_in_thread
    sys.unraisablehook = _log_unraisable


def _described() -> list[structlog.typing.Processor]:
    """Processors that our records pass as they are made, and those of other libraries when they arrive."""
    return [structlog.stdlib.add_logger_name, structlog.stdlib.add_log_level, _add_timestamp]


def _formatter(identity: "_Identity", renderer: structlog.typing.Processor) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_described(), structlog.stdlib.ExtraAdder()],
        processors=[
            structlog.stdlib.ProcessorFormatter.remove_processors_meta,
            identity,
            _fill_in,
            structlog.processors.StackInfoRenderer(),
            structlog.processors.format_exc_info,
            _clean,
            renderer,
        ],
    )


def _add_timestamp(_logger: object, _method: str, event_dict: EventDict) -> EventDict:
    record = event_dict.get("_record")  # of another library: when it was made, not when it came here
    when = datetime.fromtimestamp(record.created, UTC) if isinstance(record, logging.LogRecord) else datetime.now(UTC)
    event_dict["timestamp"] = when.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return event_dict


class _Identity:
    """Says which process speaks, and puts the fields that every line has in front."""

    def __init__(self, process: str) -> None:
        self._fields: dict[str, object] = {"process": process, "pid": os.getpid()}

    def __call__(self, _logger: object, _method: str, event_dict: EventDict) -> EventDict:
        known: dict[str, object] = {**event_dict, **self._fields}
        ordered = {name: known.pop(name) for name in _FIRST if name in known}
        return {**ordered, **known}


def _fill_in(_logger: object, _method: str, event_dict: EventDict) -> EventDict:
    """Put positional arguments into their places; where they do not fit, both stay as they are."""
    event = str(event_dict.get("event", "")).rstrip("\n")
    arguments = event_dict.get("positional_args")
    if isinstance(arguments, tuple):
        try:
            event %= arguments
        except (TypeError, ValueError):
            return event_dict
        del event_dict["positional_args"]
    event_dict["event"] = event
    return event_dict


def _clean(_logger: object, _method: str, event_dict: EventDict) -> EventDict:
    return {str(name): _hider.clean(value, str(name)) for name, value in event_dict.items()}


def _to_json(_logger: object, _method: str, event_dict: EventDict) -> str:
    try:
        line = orjson.dumps(event_dict).decode()
    except (TypeError, ValueError):  # numbers beyond 64 bits, lone surrogates
        line = json.dumps(event_dict, default=repr)
    return line.translate(_LINE_ENDS) if not line.isascii() else line


class _Console:
    """Lines for people: local time, no process id, and nothing that could steer the terminal."""

    def __init__(self, *, colors: bool) -> None:
        self._render = structlog.dev.ConsoleRenderer(
            colors=colors and not os.environ.get("NO_COLOR"),
            exception_formatter=structlog.dev.plain_traceback,
            pad_event_to=40,
            sort_keys=False,
        )

    def __call__(self, logger: object, method: str, event_dict: EventDict) -> str:
        shown = {name: _harmless(value) for name, value in event_dict.items() if name not in ("pid", "logger")}
        when = datetime.fromisoformat(str(shown.get("timestamp"))).astimezone()
        shown["timestamp"] = when.strftime("%H:%M:%S")
        shown["event"] = f"{shown.pop('process', '')}: {shown.get('event')}"
        return str(self._render(logger, method, shown))


def _harmless(value: object) -> object:
    return value.translate(_CONTROL) if isinstance(value, str) else value


class _Screen(logging.StreamHandler[TextIO]):
    """Standard error; when it breaks, the file goes on."""

    def __init__(self, stream: TextIO, failures: FailureCount) -> None:
        super().__init__(stream)
        self._failures = failures

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802  the standard library's name
        """Count the loss instead of printing a traceback with the record's raw arguments in it."""
        error = sys.exc_info()[1]
        self._failures.add("standard error", error if error is not None else RuntimeError("unknown"))


def _replace_handlers(handlers: list[logging.Handler], level: str) -> None:
    root = logging.getLogger()
    for old in root.handlers[:]:
        if isinstance(old, RotatingLogFile | _Screen):
            root.removeHandler(old)
            old.close()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)


def _is_terminal(stream: TextIO) -> bool:
    try:
        return stream.isatty()
    except (AttributeError, ValueError):  # replaced by something simpler, or closed
        return False


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    logging.getLogger("uncaught").critical("uncaught exception", exc_info=(kind, error, trace))


def _log_uncaught_in_thread(details: threading.ExceptHookArgs) -> None:
    if details.exc_value is None or details.exc_type is SystemExit:
        return
    name = details.thread.name if details.thread else "unknown"
    info = (details.exc_type, details.exc_value, details.exc_traceback)
    logging.getLogger("uncaught").critical("uncaught exception in thread", exc_info=info, extra={"in_thread": name})


def _log_unraisable(details: "sys.UnraisableHookArgs") -> None:
    error = details.exc_value
    info = (details.exc_type, error, details.exc_traceback) if error is not None else None
    event = f"{details.err_msg or 'exception ignored in'}: {details.object!r}"
    logging.getLogger("uncaught").error(event, exc_info=info)
