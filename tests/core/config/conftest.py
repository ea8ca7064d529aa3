"""Every test of the configuration starts in an empty directory, with no `.env` of the person who runs it."""

from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from core.config import Config, ConfigError, Problem, load_config

CREDENTIALS = {"REDDIT_CLIENT_ID": "id", "REDDIT_CLIENT_SECRET": "a-secret", "REDDIT_USER_AGENT": "test:gapless:1"}

Load = Callable[..., Config]
Problems = Callable[..., list[Problem]]


@pytest.fixture(autouse=True)
def empty_directory(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def load(empty_directory: Path) -> Load:
    """Load a configuration from its text."""

    def from_text(
        text: str = "", overrides: Mapping[str, object] | None = None, environ: Mapping[str, str] = CREDENTIALS
    ) -> Config:
        path = empty_directory / "config.toml"
        path.write_text(text, encoding="utf-8")
        return load_config(path, overrides or {}, environ)

    return from_text


@pytest.fixture
def problems(load: Load) -> Problems:
    """Load a configuration that is wrong, and give its problems."""

    def from_text(*args: object, **kwargs: object) -> list[Problem]:
        with pytest.raises(ConfigError) as caught:
            load(*args, **kwargs)
        return list(caught.value.problems)

    return from_text
