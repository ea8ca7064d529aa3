"""No secret of the configuration shows itself in a representation or an error."""

import pytest

from core.config import Config
from tests.core.config.conftest import CREDENTIALS, Load, Problems

SECRETS = ("hunter-reddit", "hunter-database", "hunter-proxy", "hunter-sasl")

TEXT = """
[kafka.producer]
"sasl.username" = "me"
"sasl.password" = "hunter-sasl"
"ssl.key.location" = "/etc/key.pem"
[database]
url = "postgresql://me:hunter-database@host/name"
[[scraper.proxies]]
name = "a"
url = "me:hunter-proxy@host:8080"
"""


@pytest.fixture
def config(load: Load) -> Config:
    return load(TEXT, environ=CREDENTIALS | {"REDDIT_CLIENT_SECRET": "hunter-reddit"})


def test_the_secrets_are_there(config: Config) -> None:
    assert config.reddit.client_secret == "hunter-reddit"
    assert config.kafka.producer["sasl.password"] == "hunter-sasl"
    assert set(config.secrets()) == set(SECRETS)


@pytest.mark.parametrize("part", ["", "reddit", "kafka", "database", "scraper"])
def test_representations_hide_them(config: Config, part: str) -> None:
    shown = getattr(config, part) if part else config
    for text in (repr(shown), str(shown), f"{[shown]}"):
        assert "hunter" not in text
    assert "host" in repr(config.database)
    assert "hunter" not in repr(config.scraper.proxies) + str(config.scraper.proxies[0])


def test_encoded_passwords_are_listed_in_both_forms(load: Load) -> None:
    config = load(
        '[database]\nurl = "postgresql://me:a%40b%2Fc@host/name?sslpassword=k%20y"\n[scraper]\nenabled = false\n'
    )
    assert set(config.secrets()) == {"a-secret", "a%40b%2Fc", "a@b/c", "k%20y", "k y"}


def test_errors_hide_them(problems: Problems) -> None:
    text = """
    password = "hunter-0"
    [kafka]
    bootstrap_servers = "me:hunter-1@host"
    [kafka.producer]
    "sasl.password" = ["hunter-2"]
    [database]
    url = "mysql://me:hunter-3@host/name"
    [scraper]
    proxys = ["me:hunter-4@host:1"]
    proxies = [{name = "a", url = "me:hunter-5@host"}, "me:hunter-6@host:1", {name = "b", uri = "me:hunter-7@host:1"}]
    [reddit]
    reddit_url = "https://me:hunter-8@host"
    client_secret = "hunter-9"
    """
    found = problems(text, environ=CREDENTIALS | {"REDDIT_CLIENT_SECRET": "hunter\n10"})
    assert len(found) >= 11
    assert "hunter" not in "\n".join(map(str, found))
