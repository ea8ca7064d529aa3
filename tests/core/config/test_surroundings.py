"""What a file or a shell leaves around a value is reported, before it is sent to anybody."""

import re
from pathlib import Path

import pytest

from core.config import ConfigError, load_config
from tests.core.config.conftest import CREDENTIALS, Load, Problems

DOCKER_QUOTED = """\
REDDIT_CLIENT_ID="rig"
REDDIT_CLIENT_SECRET="rigsecret"
REDDIT_USER_AGENT="linux:rig:1.0 (by /u/rig)"
"""
ROOT = Path(__file__).parents[3]


def as_docker_reads(text: str) -> dict[str, str]:
    """`docker run --env-file`: what follows the = is the value."""
    return dict(line.split("=", 1) for line in text.splitlines() if line and not line.startswith("#"))


def test_quotes_that_docker_keeps_are_one_problem_for_each_variable(problems: Problems) -> None:
    found = problems("", environ=as_docker_reads(DOCKER_QUOTED))
    assert [problem.key for problem in found] == ["REDDIT_CLIENT_ID", "REDDIT_CLIENT_SECRET", "REDDIT_USER_AGENT"]
    assert all("begins and ends with a quote" in problem.advice for problem in found)
    assert "rigsecret" not in str(ConfigError(found))


WRONG = [
    ('"{}"', "begins and ends with a quote"),
    ("'{}'", "begins and ends with a quote"),
    ("`{}`", "begins and ends with a quote"),
    ("\u201c{}\u201d", "begins and ends with a quote"),
    ("\u2018{}\u2019", "begins and ends with a quote"),
    ('"{}', "begins with a quote"),
    ('{}"', "ends with a quote"),
    ('"{}"\r', "begins and ends with a quote"),
    ("\ufeff{}", "invisible character"),
    ("{}\u200b", "invisible character"),
    ("$ {}", "prompt"),
    ("me@host:~/dir$ {}", "prompt"),
    ("> {}", "prompt"),
    ("export NAME={}", "assignment"),
    ("NAME={}", "assignment"),
    ('"NAME={}"', "assignment"),
]
GOOD = {
    **CREDENTIALS,
    "DATABASE_URL": "postgresql://user:hunter2@host/name",
    "KAFKA_BOOTSTRAP_SERVERS": "a:9092,b:9092",
    "KAFKA_TOPIC_REDDIT": "posts",
    "MONITOR_TOKEN": "hunter2hunter2",
}


@pytest.mark.parametrize(("form", "said"), WRONG)
@pytest.mark.parametrize("name", GOOD)
def test_whatever_stands_around_a_value_is_said_for_every_variable(
    problems: Problems, name: str, form: str, said: str
) -> None:
    value = form.replace("NAME", name).format(GOOD[name])
    (problem,) = problems("", environ={**GOOD, name: value})
    assert (problem.key, problem.source) == (name, "in the environment")
    assert said in problem.advice
    assert "hunter2" not in str(problem)


@pytest.mark.parametrize("form", ["{} ", " {}", "{}\r", "{}\n", "\t{}\r\n"])
@pytest.mark.parametrize("name", GOOD)
def test_white_space_around_a_value_does_not_count(load: Load, name: str, form: str) -> None:
    assert load("", environ={**GOOD, name: form.format(GOOD[name])}) == load("", environ=GOOD)


@pytest.mark.parametrize(
    "name", ["\ufeffREDDIT_CLIENT_ID", "export REDDIT_CLIENT_ID", '"REDDIT_CLIENT_ID', " REDDIT_CLIENT_ID"]
)
def test_what_stands_around_a_name_is_said(problems: Problems, name: str) -> None:
    environ = {key: value for key, value in GOOD.items() if key != "REDDIT_CLIENT_ID"}
    found = problems("", environ={**environ, name: "id"})
    assert "remove the characters around the name" in found[0].advice


def test_a_quote_left_within_a_quoted_value_of_dotenv_is_said(problems: Problems, empty_directory: Path) -> None:
    (empty_directory / ".env").write_text("REDDIT_CLIENT_ID='\"id\"'\n")
    environ = {key: value for key, value in GOOD.items() if key != "REDDIT_CLIENT_ID"}
    (problem,) = problems("", environ=environ)
    assert problem.source == "in .env"


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("DATABASE_URL", "postgresql://user:pass@host/name?options='-c x=1'"),
        ("DATABASE_URL", "postgresql://us$er:p%23a@host/name"),
        ("REDDIT_USER_AGENT", "linux:gapless:v1 (by /u/a'b; $5 > 4)"),
        ("MONITOR_TOKEN", "it's-5$-a>b"),
    ],
)
def test_signs_within_a_value_are_its_own(load: Load, name: str, value: str) -> None:
    config = load("", environ={**GOOD, name: value})
    read = {
        "DATABASE_URL": config.database.url,
        "REDDIT_USER_AGENT": config.reddit.user_agent,
        "MONITOR_TOKEN": config.monitor.token,
    }
    assert read[name] == value


def test_an_id_of_two_words_is_wrong(problems: Problems) -> None:
    (problem,) = problems("", environ={**GOOD, "REDDIT_CLIENT_SECRET": "ab cd"})
    assert problem.key == "REDDIT_CLIENT_SECRET"
    assert "one word" in problem.advice
    assert "ab cd" not in str(problem)


# Placeholders


@pytest.mark.parametrize(
    "value",
    [
        "your_client_id",
        "YOUR-CLIENT-ID",
        "<client id>",
        "client_id_here",
        "xxxxxxxx",
        "changeme",
        "${CLIENT_ID}",
        "...",
    ],
)
@pytest.mark.parametrize("name", ["REDDIT_CLIENT_ID", "REDDIT_CLIENT_SECRET"])
def test_a_placeholder_for_the_credentials_is_said(problems: Problems, name: str, value: str) -> None:
    found = problems("", environ={**GOOD, name: value})
    assert [problem.key for problem in found] == [name]
    assert "placeholder" in found[0].advice


@pytest.mark.parametrize(
    "agent",
    [
        "linux:gapless:v0.1 (by /u/YOUR_NAME)",
        "linux:gapless:v0.1 (by /u/your_username)",
        "linux:gapless:v0.1 (by /u/Your-Reddit-Username)",
        "<platform>:<app ID>:<version string> (by /u/<reddit username>)",
    ],
)
def test_a_placeholder_in_the_user_agent_is_said(problems: Problems, agent: str) -> None:
    (problem,) = problems("", environ={**GOOD, "REDDIT_USER_AGENT": agent})
    assert problem.key == "REDDIT_USER_AGENT"
    assert "placeholder" in problem.advice


def test_commands_that_ask_reddit_nothing_take_placeholders(empty_directory: Path) -> None:
    load_config(None, {}, {**GOOD, "REDDIT_CLIENT_ID": "your_client_id"}, credentials=False)
    assert not list(empty_directory.iterdir())


@pytest.mark.parametrize("path", [".env.example", "deploy/.env.example"])
def test_no_example_has_quotes(path: str) -> None:
    """`docker run --env-file` reads it as well as `run` does."""
    text = (ROOT / path).read_text(encoding="utf-8")
    values = as_docker_reads(text)
    assert values["REDDIT_USER_AGENT"].startswith("linux:")
    assert not [value for value in values.values() if re.search(r"[\"']", value)]
