"""Ends the work on files at a chosen rename or deletion, as SIGKILL would."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest


class Killed(BaseException):
    """The process is gone."""


@contextmanager
def killed_at(monkeypatch: pytest.MonkeyPatch, step: int) -> Iterator[None]:
    """Run the body until its rename or deletion number `step`, counted from 0; that one does not happen."""
    steps = 0

    def fragile(action: Callable[..., object]) -> Callable[..., object]:
        def act(*arguments: object, **options: object) -> object:
            nonlocal steps
            if steps == step:
                raise Killed
            steps += 1
            return action(*arguments, **options)

        return act

    with monkeypatch.context() as patched:
        for name in ("rename", "unlink"):
            patched.setattr(Path, name, fragile(getattr(Path, name)))
        with suppress(Killed):
            yield
