"""The example file and the documentation say what the code does."""

import re
import tomllib
from pathlib import Path

import pytest

from core.config import Config, all_settings, load_config
from core.config.setting import Setting

ROOT = Path(__file__).resolve().parents[3]
EXAMPLE = ROOT / "config.toml"
PAGE = (ROOT / "docs" / "configuration.md").read_text(encoding="utf-8")

SETTINGS = {setting.key: setting for setting in all_settings()}
IN_FILE = {key: setting for key, setting in SETTINGS.items() if setting.in_file}


def _section(table: str) -> str:
    return PAGE.partition(f"## `[{table}]`")[2].partition("\n## ")[0]


@pytest.mark.parametrize("key", SETTINGS)
def test_every_key_is_explained(key: str) -> None:
    table, _, leaf = key.rpartition(".")
    row = re.search(rf"^\| `{leaf}` \|.*\| .+ \|$", _section(table), re.MULTILINE)
    assert row is not None, f"docs/configuration.md, section [{table}], lacks a row for {leaf}"


def test_nothing_is_explained_that_does_not_exist() -> None:
    for table in {key.rpartition(".")[0] for key in SETTINGS}:
        for leaf in re.findall(r"^\| `(\w+)` \|", _section(table), re.MULTILINE):
            assert f"{table}.{leaf}" in SETTINGS


@pytest.mark.parametrize("key", IN_FILE)
def test_the_default_that_is_explained_is_the_default(key: str) -> None:
    table, _, leaf = key.rpartition(".")
    match = re.search(rf"^\| `{leaf}` \| `(.*?)` \|", _section(table), re.MULTILINE)
    if match is None:
        assert key in ("reddit.subreddits", "scraper.proxies"), "only these two defaults are told in words"
        return
    written = tomllib.loads(f"value = {match[1]}")["value"]
    assert SETTINGS[key].parse(written) == SETTINGS[key].default


@pytest.mark.parametrize(
    "setting", [setting for setting in SETTINGS.values() if setting.variable], ids=lambda it: it.key
)
def test_every_variable_is_explained_and_in_the_example(setting: Setting) -> None:
    assert f"| `{setting.variable}` | `{setting.key}` |" in PAGE
    assert f"{setting.variable}=" in (ROOT / ".env.example").read_text(encoding="utf-8")


def test_the_example_file_holds_every_key_with_its_default() -> None:
    document = tomllib.loads(EXAMPLE.read_text(encoding="utf-8"))
    document["kafka.topics"] = document["kafka"].pop("topics")
    written = {f"{table}.{leaf}" for table, content in document.items() for leaf in content}
    assert written == set(IN_FILE) - {"scraper.proxies"}, "proxies stand there as a comment"
    assert load_config(EXAMPLE, {}, {}, credentials=False) == Config()


def test_the_proxies_of_the_example_file_work_once_uncommented(tmp_path: Path) -> None:
    text = EXAMPLE.read_text(encoding="utf-8")
    text = text.replace("# [[", "[[").replace("# name", "name").replace("# url", "url").replace("host:port", "host:80")
    (tmp_path / "config.toml").write_text(text, encoding="utf-8")
    proxies = load_config(tmp_path / "config.toml", {}, {}, credentials=False).scraper.proxies
    assert [proxy.name for proxy in proxies] == ["a"]


def test_the_dotenv_example_needs_only_the_credentials_and_a_name_filled_in(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    text = (ROOT / ".env.example").read_text(encoding="utf-8")
    filled = re.sub(r"^(REDDIT_CLIENT_\w+=)$", r"\1filled", text, flags=re.MULTILINE)
    (tmp_path / ".env").write_text(filled.replace("YOUR_NAME", "somebody"))
    monkeypatch.chdir(tmp_path)
    config = load_config(None, {}, {})
    assert config.reddit.client_id == config.reddit.client_secret == "filled"
    assert config.reddit.user_agent == "linux:gapless:v0.1 (by /u/somebody)"
