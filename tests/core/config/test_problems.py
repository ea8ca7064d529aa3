"""What a person reads when the configuration is wrong."""

from pathlib import Path

import pytest

from core.config import ConfigError, load_config
from core.config.suggestions import nearest_key
from tests.core.config.conftest import CREDENTIALS, Problems


def test_all_problems_come_at_once_each_with_key_value_and_advice(problems: Problems) -> None:
    found = problems(
        'topic = "x"\n[redit]\na = 1\n[streams]\nstart = "later"\nmax_poll_intervall = 3\n[monitor]\nport = "9108"\n',
        environ={},
    )
    assert {problem.key for problem in found} == {
        "topic",
        "[redit]",
        "streams.start",
        "streams.max_poll_intervall",
        "monitor.port",
        "missing: REDDIT_CLIENT_ID, REDDIT_CLIENT_SECRET, REDDIT_USER_AGENT",
    }


def test_the_text_names_the_file_the_count_and_each_problem(empty_directory: Path) -> None:
    (empty_directory / "my.toml").write_text('[kafka]\ntopik = "x"\ndelivery = "twice"\n')
    with pytest.raises(ConfigError) as caught:
        load_config("my.toml", {}, CREDENTIALS)
    assert str(caught.value) == (
        "my.toml: 2 problems\n"
        "\n"
        "  kafka.topik\n"
        "      unknown key; the nearest known one is kafka.topic\n"
        '  kafka.delivery = "twice"\n'
        '      must be "at_least_once" or "exactly_once"'
    )


@pytest.mark.parametrize(
    ("unknown", "near"),
    [
        ("kafka.topik", "kafka.topic"),
        ("kafka.bootstrap-servers", "kafka.bootstrap_servers"),
        ("reddit.topic", "kafka.topic"),
        ("supervisor.max_poll_interval", "streams.max_poll_interval"),
        ("stats_intervall", "supervisor.stats_interval"),
        ("streams.Comments", "streams.comments"),
    ],
)
def test_the_nearest_known_key(problems: Problems, unknown: str, near: str) -> None:
    """In the same table where one is close, else wherever the last word fits best."""
    table, _, leaf = unknown.rpartition(".")
    (problem,) = problems(f"[{table}]\n{leaf} = 1\n" if table else f"{leaf} = 1\n")
    assert problem.key == unknown
    assert problem.advice == f"unknown key; the nearest known one is {near}"


def test_something_is_always_nearest() -> None:
    assert nearest_key("zzz.qqq", ["a.b", "c.d"]) in ("a.b", "c.d")


def test_a_table_in_the_place_of_a_key_and_the_reverse(problems: Problems) -> None:
    found = problems('reddit = "Bitcoin"\n[kafka.topic]\nname = "x"\n[kafka.consumer]\na = 1\n')
    assert [(problem.key, problem.value) for problem in found] == [
        ("reddit", None),
        ("kafka.consumer", None),
        ("kafka.topic", '{name = "x"}'),
    ]


def test_missing_credentials_are_named_together_with_a_dotenv_to_copy(
    problems: Problems, empty_directory: Path
) -> None:
    """What is proposed can be copied, filled in, and works."""
    (problem,) = problems("", environ={"REDDIT_USER_AGENT": "x:y:1"})
    assert problem.key == "missing: REDDIT_CLIENT_ID, REDDIT_CLIENT_SECRET"
    block = [line.strip() for line in problem.advice.splitlines() if line.startswith("    ")]
    assert block == ["REDDIT_CLIENT_ID=", "REDDIT_CLIENT_SECRET="]
    (empty_directory / ".env").write_text("\n".join(f"{line}filled" for line in block))
    assert load_config(None, {}, {"REDDIT_USER_AGENT": "x:y:1"}).reddit.client_secret == "filled"


@pytest.mark.parametrize(
    ("text", "missing"),
    [
        ("", {"REDDIT_CLIENT_ID", "REDDIT_CLIENT_SECRET", "REDDIT_USER_AGENT"}),
        ("[scraper]\nenabled = false\n", {"REDDIT_CLIENT_ID", "REDDIT_CLIENT_SECRET", "REDDIT_USER_AGENT"}),
        (
            "[streams]\nsubmissions = false\ncomments = false\n",
            {"REDDIT_CLIENT_ID", "REDDIT_CLIENT_SECRET", "REDDIT_USER_AGENT"},
        ),
        (
            '[streams]\nsubmissions = false\ncomments = false\n[scraper]\nauthentication = "none"\n',
            {"REDDIT_USER_AGENT"},
        ),
    ],
)
def test_only_what_is_needed_is_missing(problems: Problems, text: str, missing: set[str]) -> None:
    (problem,) = problems(text, environ={})
    assert set(problem.key.removeprefix("missing: ").split(", ")) == missing


def test_commands_that_never_talk_to_reddit_need_no_credentials() -> None:
    assert load_config(None, {}, {}, credentials=False).reddit.client_id == ""


def test_credentials_in_the_file_are_refused_unseen(problems: Problems) -> None:
    (problem,) = problems('[reddit]\nclient_secret = "geheim"\n')
    assert "set REDDIT_CLIENT_SECRET in the environment or in .env" in problem.advice
    assert "geheim" not in str(problem)


def test_a_missing_file_says_how_to_make_one(empty_directory: Path) -> None:
    (empty_directory / "confg.toml").touch()
    with pytest.raises(ConfigError, match="does not exist: copy config") as caught:
        load_config("config.toml", {}, CREDENTIALS)
    assert 'subreddits = ["Bitcoin"]' in str(caught.value)
    assert "confg.toml" in str(caught.value)


def test_a_syntax_error_names_its_line_but_does_not_show_it(empty_directory: Path) -> None:
    """The line may hold a password."""
    (empty_directory / "c.toml").write_text('[database]\nurl = "postgresql://u:geheim@h/n\n')
    with pytest.raises(ConfigError, match="line 2") as caught:
        load_config("c.toml", {}, CREDENTIALS)
    assert "geheim" not in str(caught.value)


def test_files_that_cannot_be_read(empty_directory: Path) -> None:
    (empty_directory / "latin.toml").write_bytes(b"# gr\xfc\xdfe\n")
    with pytest.raises(ConfigError, match="is not UTF-8"):
        load_config("latin.toml", {}, CREDENTIALS)
    (empty_directory / "folder.toml").mkdir()
    with pytest.raises(ConfigError, match="cannot be read: Is a directory"):
        load_config("folder.toml", {}, CREDENTIALS)


def test_a_byte_order_mark_is_no_problem(empty_directory: Path) -> None:
    (empty_directory / "c.toml").write_text('\ufeff[kafka]\ntopic = "x"\n', encoding="utf-8")
    assert load_config("c.toml", {}, CREDENTIALS).kafka.topic == "x"


def test_a_line_of_dotenv_that_makes_no_sense(problems: Problems, empty_directory: Path) -> None:
    (empty_directory / ".env").write_text("# fine\nOTHER\n\nREDDIT_CLIENT_SECRET='geheim\nKAFKA_TOPIC_REDDIT=a b\n")
    broken, topic = problems("")
    assert broken.key == ".env, line 4"
    assert "close the quotes around the value" in broken.advice
    assert "geheim" not in str(broken)
    assert (topic.key, topic.source) == ("kafka.topic", "KAFKA_TOPIC_REDDIT in .env")
