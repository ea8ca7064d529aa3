"""Logging as a process has it, for tests that look at what is written."""

import io
import json
import logging
import sys
import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import structlog

from core.logging import log_setup
from core.masking import external
from core.masking.masking import Masker

Lines = Callable[[], list[dict[str, Any]]]


@pytest.fixture
def restored(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Logging is one per process: leave it as it was found."""
    root = logging.getLogger()
    level = root.level
    monkeypatch.setattr(external, "known", Masker())
    hooks = sys.excepthook, threading.excepthook, sys.unraisablehook
    kept = root.handlers[:]
    yield
    for handler in root.handlers[:]:
        if handler not in kept:
            root.removeHandler(handler)
            handler.close()
    root.setLevel(level)
    sys.excepthook, threading.excepthook, sys.unraisablehook = hooks
    logging.captureWarnings(capture=False)
    structlog.reset_defaults()


@pytest.fixture
def lines(restored: None, tmp_path: Path) -> Lines:  # noqa: ARG001  it is there for what it does
    """Configure, and give what stands in the file, each line parsed."""
    log_setup.configure("submissions", tmp_path, "json", stream=io.StringIO())

    def read() -> list[dict[str, Any]]:
        path = tmp_path / "submissions.log"
        return [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()] if path.exists() else []

    return read
