import os
import pickle
from pathlib import Path

import pytest

from core.config import Config, ConfigError, Problem, load_config
from tests.core.config.conftest import CREDENTIALS, Load, Problems


def test_an_empty_file_gives_the_defaults(load: Load) -> None:
    config = load("")
    assert config.streams == Config().streams
    assert config.kafka == Config().kafka
    assert config.reddit.subreddits[0] == "CryptoCurrency"
    assert config.scraper.refresh_after == 86400.0


def test_no_path_means_no_file() -> None:
    config = load_config(None, {"reddit.subreddits": ["Bitcoin"]}, CREDENTIALS)
    assert config.reddit.subreddits == ("Bitcoin",)


SOURCES = ["command line", "environment", ".env", "file"]


@pytest.mark.parametrize("strongest", range(5), ids=[*SOURCES, "default"])
def test_the_strongest_source_wins(load: Load, empty_directory: Path, strongest: int) -> None:
    """Command line, environment, `.env`, file, default: in this order."""
    given = set(range(strongest, 4))
    overrides = {"kafka.topic": "command-line"} if 0 in given else {}
    environ = CREDENTIALS | ({"KAFKA_TOPIC_REDDIT": "environment"} if 1 in given else {})
    if 2 in given:
        (empty_directory / ".env").write_text("KAFKA_TOPIC_REDDIT=dotenv\n")
    text = '[kafka]\ntopic = "file"\n' if 3 in given else ""
    expected = ["command-line", "environment", "dotenv", "file", "reddit-posts"][strongest]
    assert load(text, overrides, environ).kafka.topic == expected


@pytest.mark.parametrize(
    ("variable", "value", "key"),
    [
        ("REDDIT_CLIENT_ID", "x1", "reddit.client_id"),
        ("REDDIT_CLIENT_SECRET", "x2", "reddit.client_secret"),
        ("REDDIT_USER_AGENT", "x3", "reddit.user_agent"),
        ("KAFKA_BOOTSTRAP_SERVERS", "one:1,two:2", "kafka.bootstrap_servers"),
        ("KAFKA_TOPIC_REDDIT", "x5", "kafka.topic"),
        ("DATABASE_URL", "postgresql://u:p@host/name", "database.url"),
    ],
)
def test_each_variable_sets_its_key(load: Load, variable: str, value: str, key: str) -> None:
    config = load("", environ=CREDENTIALS | {variable: value})
    table, leaf = key.split(".")
    assert getattr(getattr(config, table), leaf) == value


def test_an_empty_variable_counts_as_not_set(load: Load) -> None:
    assert load("", environ=CREDENTIALS | {"KAFKA_TOPIC_REDDIT": " "}).kafka.topic == "reddit-posts"


def test_an_unused_option_counts_as_not_set(load: Load) -> None:
    assert load("", {"kafka.topic": None}).kafka.topic == "reddit-posts"


def test_dotenv_stands_beside_the_start_or_else_beside_the_file(empty_directory: Path) -> None:
    folder = empty_directory / "elsewhere"
    folder.mkdir()
    (folder / "config.toml").touch()
    (folder / ".env").write_text("KAFKA_TOPIC_REDDIT=beside-the-file\n")
    assert load_config(folder / "config.toml", {}, CREDENTIALS).kafka.topic == "beside-the-file"
    (empty_directory / ".env").write_text("KAFKA_TOPIC_REDDIT=beside-the-start\n")
    assert load_config(folder / "config.toml", {}, CREDENTIALS).kafka.topic == "beside-the-start"


def test_dotenv_is_read_as_it_stands(load: Load, empty_directory: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """A secret may hold a dollar sign, Windows may put a byte order mark in front; the environment stays untouched."""
    monkeypatch.delenv("REDDIT_CLIENT_SECRET", raising=False)
    monkeypatch.setenv("HOME_MADE", "expanded")
    text = """\ufeffREDDIT_CLIENT_ID='id'
export REDDIT_CLIENT_SECRET="a${HOME_MADE}$b#c"
REDDIT_USER_AGENT=x:y (by /u/z)
"""
    (empty_directory / ".env").write_text(text, encoding="utf-8")
    reddit = load("", environ={}).reddit
    assert (reddit.client_id, reddit.client_secret, reddit.user_agent) == ("id", "a${HOME_MADE}$b#c", "x:y (by /u/z)")
    assert "REDDIT_CLIENT_SECRET" not in os.environ


def test_a_directory_called_dotenv_is_not_read(load: Load, empty_directory: Path) -> None:
    """Docker makes one where a mounted file does not exist."""
    (empty_directory / ".env").mkdir()
    assert load("").reddit.client_id == "id"


def test_a_mistake_in_a_source_that_loses_is_still_reported(problems: Problems) -> None:
    (problem,) = problems('[kafka]\ntopic = "a b"\n', {"kafka.topic": "good"})
    assert (problem.key, problem.value, problem.source) == ("kafka.topic", '"a b"', "")


def test_a_problem_says_which_source_the_value_came_from(problems: Problems, empty_directory: Path) -> None:
    (empty_directory / ".env").write_text("DATABASE_URL=mysql://x\n")
    found = problems("", {"monitor.port": -1}, CREDENTIALS | {"KAFKA_TOPIC_REDDIT": "a b"})
    assert [(problem.key, problem.source) for problem in found] == [
        ("monitor.port", "from the command line"),
        ("kafka.topic", "KAFKA_TOPIC_REDDIT in the environment"),
        ("database.url", "DATABASE_URL in .env"),
    ]


def test_an_unknown_override_is_a_problem(problems: Problems) -> None:
    (problem,) = problems("", {"kafka.topik": "x"})
    assert "nearest known one is kafka.topic" in problem.advice


def test_producer_properties_combine_name_by_name(load: Load) -> None:
    """What the command line sets lies over the file, and that over the default."""
    text = '[kafka.producer]\nlinger.ms = 5\n"batch.size" = 100\n'
    producer = load(text, {"kafka.producer.linger.ms": 7}).kafka.producer
    assert producer == {"compression.type": "gzip", "linger.ms": 7, "batch.size": 100}


def test_a_property_under_its_other_name_replaces_the_default(load: Load) -> None:
    assert load('[kafka.producer]\n"compression.codec" = "lz4"\n').kafka.producer == {"compression.codec": "lz4"}


def test_the_configuration_survives_pickling(load: Load) -> None:
    """Spawned processes receive it so."""
    config = load('[[scraper.proxies]]\nname = "a"\nurl = "u:p@host:1"\n')
    assert pickle.loads(pickle.dumps(config)) == config


def test_the_error_survives_pickling_and_is_a_value_error() -> None:
    """`RedditClient()` promises a ValueError."""
    with pytest.raises(ConfigError) as caught:
        load_config(None, {}, {})
    copy = pickle.loads(pickle.dumps(caught.value))
    assert str(copy) == str(caught.value)
    assert isinstance(copy, ValueError)


def test_loading_twice_gives_tables_of_their_own(load: Load) -> None:
    first = load("")
    first.kafka.producer["linger.ms"] = 1
    assert "linger.ms" not in load("").kafka.producer


def test_a_further_check_adds_its_problems_to_the_others(empty_directory: Path) -> None:
    path = empty_directory / "config.toml"
    path.write_text("[monitor]\nport = -1\n")
    with pytest.raises(ConfigError) as caught:
        load_config(path, {}, CREDENTIALS, further=lambda config: [Problem("x", config.kafka.topic)])
    assert [problem.key for problem in caught.value.problems] == ["monitor.port", "x"]
