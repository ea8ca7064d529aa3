"""What each key takes, and what it refuses."""

from pathlib import Path

import pytest

from core.config import Proxy
from tests.core.config.conftest import Load, Problems


def _at(config: object, key: str) -> object:
    for name in key.split("."):
        config = getattr(config, name)
    return config


@pytest.mark.parametrize(
    ("key", "written", "expected"),
    [
        ("reddit.subreddits", '["r/Bitcoin", "/r/ethereum/", "all"]', ("Bitcoin", "ethereum", "all")),
        ("reddit.subreddits", '["https://www.reddit.com/r/Bitcoin/"]', ("Bitcoin",)),
        ("reddit.subreddits", '["u/some-one", "u_other", "/user/third"]', ("u_some-one", "u_other", "u_third")),
        ("reddit.subreddits", '["Bitcoin", "r/bitcoin", "BITCOIN"]', ("Bitcoin",)),
        ("reddit.subreddits", '["de", "a23456789012345678901"]', ("de", "a23456789012345678901")),
        ("reddit.reddit_url", '"http://127.0.0.1:8000/"', "http://127.0.0.1:8000"),
        ("reddit.oauth_url", '"http://[::1]:8000/base"', "http://[::1]:8000/base"),
        ("reddit.requests_per_minute", "1", 1),
        ("streams.submissions", "false", False),
        ("streams.start", '"now"', "now"),
        ("streams.max_poll_interval", "2", 2.0),
        ("streams.max_poll_interval", '"500ms"', 0.5),
        ("kafka.bootstrap_servers", '"embedded"', "embedded"),
        ("kafka.bootstrap_servers", '"a:1, b-c.d:65535 ,[::1]:9092,plain"', "a:1,b-c.d:65535,[::1]:9092,plain"),
        ("kafka.bootstrap_servers", '"SASL_SSL://host:1"', "SASL_SSL://host:1"),
        ("kafka.delivery", '"exactly_once"', "exactly_once"),
        ("scraper.refresh_after", '"24h"', 86400.0),
        ("scraper.refresh_after", '"90s"', 90.0),
        ("scraper.refresh_after", '"30m"', 1800.0),
        ("scraper.refresh_after", '"7d"', 604800.0),
        ("scraper.refresh_after", '"1h30m"', 5400.0),
        ("scraper.refresh_after", "0", 0.0),
        ("scraper.users_per_subreddit", "0", 0),
        ("database.url", '"sqlite:////var/lib/x.db"', "sqlite:////var/lib/x.db"),
        ("database.url", '"postgres://u:p@[::1]:5433/name"', "postgres://u:p@[::1]:5433/name"),
        ("database.sqlite_path", None, Path("state/reddit.db")),
        ("supervisor.state_dir", '"/var/lib/gapless"', Path("/var/lib/gapless")),
        ("supervisor.log_dir", '"~/logs"', Path.home() / "logs"),
        ("supervisor.log_max_bytes", "1_000", 1000),
        ("monitor.port", "0", 0),
        ("monitor.host", '"::1"', "::1"),
    ],
)
def test_taken(load: Load, key: str, written: str | None, expected: object) -> None:
    table, leaf = key.split(".")
    config = load(f"[{table}]\n{leaf} = {written}\n" if written is not None else "")
    assert _at(config, key) == expected
    assert type(_at(config, key)) is type(expected)


@pytest.mark.parametrize(
    ("key", "written", "advice"),
    [
        ("reddit.subreddits", '"Bitcoin"', 'must be a list of names: ["Bitcoin"]'),
        ("reddit.subreddits", "[]", "at least one subreddit"),
        ("reddit.reddit_url", '"www.reddit.com"', "https://"),
        ("reddit.reddit_url", '"ftp://reddit.com"', "https://"),
        ("reddit.reddit_url", '"http://host:99999"', "https://"),
        ("reddit.reddit_url", '"http://[::1"', "https://"),
        ("reddit.oauth_url", '"https://x/?a=b"', "without user, query or fragment"),
        ("reddit.requests_per_minute", "0", "1 or more"),
        ("reddit.requests_per_minute", "true", "whole number"),
        ("reddit.requests_per_minute", "1.5", "whole number"),
        ("reddit.requests_per_minute", '"100"', "without quotes"),
        ("streams.comments", '"true"', "without quotes"),
        ("streams.comments", "1", "true or false"),
        ("streams.start", '"backlock"', 'did you mean "backlog"?'),
        ("streams.start", "5", '"backlog" or "now"'),
        ("streams.max_poll_interval", "0", "more than 0"),
        ("streams.max_poll_interval", "-1.0", "more than 0"),
        ("streams.max_poll_interval", "inf", "more than 0"),
        ("streams.max_poll_interval", "nan", "more than 0"),
        ("streams.max_poll_interval", "false", "a time"),
        ("kafka.bootstrap_servers", '""', "host:port"),
        ("kafka.bootstrap_servers", '"http://host:9092"', "host:port"),
        ("kafka.bootstrap_servers", '["a:1"]', "host:port"),
        ("kafka.topic", '".."', "1 to 249"),
        ("kafka.topic", '"größe"', "1 to 249"),
        ("kafka.delivery", '"at-least-once"', 'did you mean "at_least_once"?'),
        ("kafka.producer", '"x"', "[kafka.producer]"),
        ("scraper.refresh_after", '"24 hours"', '"24h"'),
        ("scraper.refresh_after", '""', '"24h"'),
        ("scraper.concurrency", "0", "1 or more"),
        ("scraper.proxies", '"u:p@h:1"', "[[scraper.proxies]]"),
        ("scraper.proxies", '{ name = "a", url = "h:1" }', "two brackets"),
        ("database.url", '"state/reddit.db"', "sqlite:///PATH"),
        ("database.url", '"sqlite:///"', "must name a file"),
        ("database.url", '"sqlite:///:memory:"', "several processes can share"),
        ("database.url", '"postgresql://host"', "a host and a database name are required"),
        ("supervisor.state_dir", '""', "path of a directory"),
        ("supervisor.state_dir", '"config.toml"', "there is a file of this name"),
        ("supervisor.log_max_bytes", "10", "1000 or more"),
        ("supervisor.log_backups", "0", "1 or more"),
        ("monitor.port", "65536", "from 0 to 65535"),
        ("monitor.host", '"a b"', "127.0.0.1"),
    ],
)
def test_refused(problems: Problems, key: str, written: str, advice: str) -> None:
    """One wrong value is one problem, under its key, with what is right."""
    table, leaf = key.split(".")
    (problem,) = problems(f"[{table}]\n{leaf} = {written}\n")
    assert problem.key.startswith(key)
    assert advice in problem.advice
    assert problem.value is not None


def test_each_wrong_name_of_a_list_is_named(problems: Problems) -> None:
    found = problems('[reddit]\nsubreddits = ["good", "a+b", 5, "x", "really/wrong"]\n')
    assert [(problem.key, problem.value) for problem in found] == [
        ("reddit.subreddits[2]", '"a+b"'),
        ("reddit.subreddits[3]", "5"),
        ("reddit.subreddits[4]", '"x"'),
        ("reddit.subreddits[5]", '"really/wrong"'),
    ]
    assert 'write several as "a", "b"' in found[0].advice


def test_an_empty_list_is_fine_where_nothing_uses_it(load: Load) -> None:
    text = "[reddit]\nsubreddits = []\n[streams]\nsubmissions = false\ncomments = false\n"
    assert load(text).reddit.subreddits == ()
    assert load("[scraper]\nenabled = false\nsubreddits = []\n").scraper.subreddits == ()


@pytest.mark.parametrize(
    ("written", "expected"),
    [
        ("user:password@host:8080", "http://user:password@host:8080"),
        ("host:8080", "http://host:8080"),
        ("https://user:password@host:443/", "https://user:password@host:443"),
        ("SOCKS5://user:password@1.2.3.4:1080", "socks5://user:password@1.2.3.4:1080"),
        ("user:p@ss/w#rd:x@host:1", "http://user:p%40ss%2Fw%23rd%3Ax@host:1"),
        ("user:p%40ss@host:1", "http://user:p%40ss@host:1"),
        ("user@host:1", "http://user@host:1"),
        ("http://[::1]:3128", "http://[::1]:3128"),
    ],
)
def test_proxy_addresses_come_into_one_form(load: Load, written: str, expected: str) -> None:
    config = load(f'[[scraper.proxies]]\nname = "a"\nurl = "{written}"\n')
    assert config.scraper.proxies == (Proxy("a", expected),)


@pytest.mark.parametrize("written", ["host", "ftp://h:1", "u:p@host", "h:0", "h:99999", "http://h:1/path", "a b:1", ""])
def test_proxy_addresses_that_are_none(problems: Problems, written: str) -> None:
    (problem,) = problems(f'[[scraper.proxies]]\nname = "a"\nurl = "{written}"\n')
    assert problem.key == "scraper.proxies[1].url"
    assert "username:password@host:port" in problem.advice


def test_proxies_need_names_of_their_own(problems: Problems) -> None:
    third = '{name = "A", url = "h:1", uri = "x"}'
    text = f'[scraper]\nproxies = [{{url = "h:1"}}, {{name = "a", url = "h:1"}}, {third}, {{name = "a/b"}}, 5]'
    assert [(problem.key, problem.advice.split(":")[0]) for problem in problems(text)] == [
        ("scraper.proxies[1].name", "is missing"),
        ("scraper.proxies[3].name", "is the name of another proxy"),
        ("scraper.proxies[3].uri", "unknown key; a proxy has the keys name and url"),
        ("scraper.proxies[4].name", "must be 1 to 32 letters, digits, - or _, beginning with a letter or digit"),
        ("scraper.proxies[4].url", "is missing"),
        ("scraper.proxies[5]", "must be a table"),
    ]


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('"enable.idempotence" = false', "lose, repeat or reorder"),
        ('"acks" = 1', "in-sync replica"),
        ('"request.required.acks" = "0"', "in-sync replica"),
        ('"retries" = 0', "more than 0"),
        ('"max.in.flight" = 6', "1 to 5"),
        ('"queuing.strategy" = "lifo"', "fifo"),
        ('"delivery.report.only.error" = true', "the report of each delivered record"),
        ('"bootstrap.servers" = "h:1"', "kafka.bootstrap_servers"),
        ('transactional.id = "x"', "exactly_once"),
        ('"linger.ms" = [5]', "must be text in quotes, a number, true or false"),
    ],
)
def test_properties_that_would_break_a_promise(problems: Problems, line: str, reason: str) -> None:
    (problem,) = problems(f"[kafka.producer]\n{line}\n")
    assert problem.key.startswith('kafka.producer."')
    assert reason in problem.advice


def test_properties_that_keep_the_promises(load: Load) -> None:
    text = 'acks = -1\n"enable.idempotence" = "true"\nretries = 5\nmax.in.flight = 5\nlinger.ms = 0.5\nx = true\n'
    expected = {"acks": -1, "enable.idempotence": "true", "retries": 5, "max.in.flight": 5, "linger.ms": 0.5, "x": True}
    assert load(f"[kafka.producer]\n{text}").kafka.producer == {"compression.type": "gzip", **expected}


@pytest.mark.parametrize("value", ["two\nlines", "größe", "\x07bell"])
def test_credentials_fit_into_a_header(problems: Problems, value: str) -> None:
    environ = {"REDDIT_CLIENT_ID": "id", "REDDIT_CLIENT_SECRET": value, "REDDIT_USER_AGENT": "x"}
    found = problems("", environ=environ)
    assert found[0].key == "reddit.client_secret"
    assert found[0].value == "(hidden)"
