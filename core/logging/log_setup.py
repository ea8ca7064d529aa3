"""Sets up the logging of every process: one JSON object per line in its file and on standard error, secrets masked.

Call `configure` once at the start of a process, `get_logger` anywhere. Records of libraries are handled the same way.
"""

import logging
import os
import re
import sys
import threading
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType

import orjson
import structlog

from core.logging.log_format import Console, EventDict, to_json
from core.logging.nonblocking_stderr import NonBlockingStderr, Stream
from core.logging.rotating_file import FailureCount, RotatingLogFile
from core.masking import external

Logger = structlog.stdlib.BoundLogger

_FIRST = ("timestamp", "level", "event", "process", "pid", "logger")

#: Fields that quote the text of an error.
_QUOTING = ("exception", "stack")

#: One of our names: of an event or a process.
_NAME = re.compile(r"[a-z]+(?:[_.-][a-z0-9]+){0,8}", re.ASCII)

#: Marks a record of a library.
_FOREIGN = "_foreign"

_failures = FailureCount("gapless")


def get_logger(name: str) -> Logger:
    """Return the logger of a module or process."""
    return structlog.stdlib.get_logger(name)


def hide(*secrets: str) -> None:
    """Mask these texts in all later output (see core.masking.external)."""
    external.hide(*secrets)


def failures() -> int:
    """Return the number of lines that could not be written since `configure`."""
    return _failures.total


def compose(process: str, pid: int, level: str, event: str, *, foreign: bool = False, **fields: object) -> str:
    """Return the line that `process` would have logged if it had got that far; secrets are masked.

    `foreign`: the texts are not ours, so pieces of secrets are masked as well.
    """
    fields = {"level": level, "event": event, "logger": "output", **({_FOREIGN: True} if foreign else {}), **fields}
    described = _Identity(process, pid)(None, "", _add_timestamp(None, "", fields))
    return to_json(None, "", _clean(None, "", described))


def show(line: str) -> None:
    """Show a line of another process's log on our standard error, in its own format."""
    for handler in logging.getLogger().handlers:
        if isinstance(handler, _StderrHandler):
            handler.show(line)


def child_file(process: str, log_dir: Path, max_bytes: int, backups: int) -> RotatingLogFile:
    """Return the log file of another process, for appending lines."""
    return RotatingLogFile(log_dir / f"{process}.log", max_bytes=max_bytes, backups=backups, failures=_failures)


def configure(
    process: str,
    log_dir: Path,
    log_format: str = "auto",
    max_bytes: int = 10_000_000,
    backups: int = 5,
    *,
    level: str = "INFO",
    stream: Stream | None = None,
) -> None:
    """Send all logging of this process to LOG_DIR/PROCESS.log and standard error; a second call replaces the first."""
    global _failures  # noqa: PLW0603  logging is one per process, as in the standard library
    stream = stream if stream is not None else sys.stderr
    _failures = FailureCount(process, stream if isinstance(stream, NonBlockingStderr) else None)
    console = log_format == "console" or (log_format == "auto" and _is_terminal(stream))
    identity = _Identity(process, os.getpid())
    file = RotatingLogFile(log_dir / f"{process}.log", max_bytes=max_bytes, backups=backups, failures=_failures)
    file.setFormatter(_formatter(identity, to_json))
    screen = _StderrHandler(stream, _failures, Console(colors=_is_terminal(stream)) if console else to_json)
    screen.setFormatter(_formatter(identity, screen.render))
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
    """Return the processors for our records when they are made, and for those of libraries when they arrive."""
    return [structlog.stdlib.add_logger_name, structlog.stdlib.add_log_level, _add_timestamp]


def _formatter(identity: "_Identity", renderer: structlog.typing.Processor) -> logging.Formatter:
    return structlog.stdlib.ProcessorFormatter(
        foreign_pre_chain=[*_described(), structlog.stdlib.ExtraAdder(), _mark_foreign],
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
    record = event_dict.get("_record")  # of a library: the time of its creation, not of its arrival here
    when = datetime.fromtimestamp(record.created, UTC) if isinstance(record, logging.LogRecord) else datetime.now(UTC)
    event_dict["timestamp"] = when.isoformat(timespec="microseconds").replace("+00:00", "Z")
    return event_dict


class _Identity:
    """Adds the name of the process, and puts the fields that every line has first."""

    def __init__(self, process: str, pid: int) -> None:
        self._fields: dict[str, object] = {"process": process, "pid": pid}

    def __call__(self, _logger: object, _method: str, event_dict: EventDict) -> EventDict:
        known: dict[str, object] = {**event_dict, **self._fields}
        ordered = {name: known.pop(name) for name in _FIRST if name in known}
        return {**ordered, **known}


def _fill_in(_logger: object, _method: str, event_dict: EventDict) -> EventDict:
    """Format positional arguments into the event; if they do not fit, both stay as they are."""
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


def _mark_foreign(_logger: object, _method: str, event_dict: EventDict) -> EventDict:
    event_dict[_FOREIGN] = True
    return event_dict


def _clean(_logger: object, _method: str, event_dict: EventDict) -> EventDict:
    """Mask secrets; in foreign text, or text that quotes it, also pieces of secrets."""
    foreign = bool(event_dict.pop(_FOREIGN, False))
    cleaned: EventDict = {}
    for name, value in event_dict.items():
        ours = name in _FIRST and not (foreign and name == "event")
        if ours and isinstance(value, str) and _NAME.fullmatch(value):
            cleaned[name] = value  # our names stay searchable, whatever words secrets contain
        else:
            cleaned[str(name)] = external.known.clean(value, str(name), pieces=foreign or name in _QUOTING)
    return cleaned


class _StderrHandler(logging.StreamHandler[Stream]):
    """Handler for standard error; when it breaks, the file continues."""

    def __init__(self, stream: Stream, failures: FailureCount, render: structlog.typing.Processor) -> None:
        super().__init__(stream)
        self.render = render
        self._failures = failures

    def show(self, line: str) -> None:
        """Show a record that another process rendered as JSON."""
        self.acquire()
        try:
            text = line if self.render is to_json else str(self.render(None, "", orjson.loads(line)))
            self.stream.write(text + "\n")
            self.flush()
        except Exception as error:  # noqa: BLE001  as in `handleError`
            self._failures.add("standard error", error)
        finally:
            self.release()

    def handleError(self, record: logging.LogRecord) -> None:  # noqa: ARG002, N802  the standard library's name
        """Count the loss instead of printing a traceback with the record's raw arguments in it."""
        error = sys.exc_info()[1]
        self._failures.add("standard error", error if error is not None else RuntimeError("unknown"))

    def close(self) -> None:
        """Write the lines that still wait; the standard library calls this when the process ends."""
        if isinstance(self.stream, NonBlockingStderr):
            self.stream.close()
        super().close()


def _replace_handlers(handlers: list[logging.Handler], level: str) -> None:
    root = logging.getLogger()
    for old in root.handlers[:]:
        if isinstance(old, RotatingLogFile | _StderrHandler):
            root.removeHandler(old)
            old.close()
    for handler in handlers:
        root.addHandler(handler)
    root.setLevel(level)


def _is_terminal(stream: Stream) -> bool:
    try:
        return stream.isatty()
    except (AttributeError, ValueError):  # replaced by a simpler stream, or closed
        return False


def _log_uncaught(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
    if issubclass(kind, KeyboardInterrupt):
        sys.__excepthook__(kind, error, trace)
        return
    logging.getLogger("uncaught").critical("uncaught_exception", exc_info=(kind, error, trace))


def _log_uncaught_in_thread(details: threading.ExceptHookArgs) -> None:
    if details.exc_value is None or details.exc_type is SystemExit:
        return
    name = details.thread.name if details.thread else "unknown"
    info = (details.exc_type, details.exc_value, details.exc_traceback)
    logging.getLogger("uncaught").critical("uncaught_exception", exc_info=info, extra={"in_thread": name})


def _log_unraisable(details: "sys.UnraisableHookArgs") -> None:
    error = details.exc_value
    info = (details.exc_type, error, details.exc_traceback) if error is not None else None
    where = {"where": f"{details.err_msg or 'exception ignored in'}: {details.object!r}"}
    logging.getLogger("uncaught").error("unraisable_exception", exc_info=info, extra=where)
