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


@pytest.mark.parametrize(
    ("text", "environ"),
    [
        ("", {"DATABASE_URL": "postgresql://user:S3CRET pw@[::1/db"}),
        ("", {"DATABASE_URL": "postgres//user:S3CRET@host/db"}),
        ("", {"DATABASE_URL": "mysql://user:S3CRET"}),
        ("", {"DATABASE_URL": "'postgresql://user:S3CRET pw@host/db"}),
        ("", {"REDDIT_USER_AGENT": "REDDIT_CLIENT_SECRET=S3CRET"}),
        ("", {"KAFKA_BOOTSTRAP_SERVERS": "host:1, user:S3CRET pw@host:9092"}),
        ('[database]\nurl = "S3CRET"', {}),
        ('[database]\nurl = ["S3CRET"]', {}),
        ('[database]\nurll = "postgresql://user:S3CRET@host/db"', {}),
        ('database = "postgresql://user:S3CRET@host/db"', {}),
        ('[[scraper.proxies]]\nname = "a"\nurl = "user:S3CRET pw@hostonly"', {}),
        ('[[scraper.proxies]]\nname = "user:S3CRET@host:1"\nurl = "host:1"', {}),
        ('[[scraper.proxies]]\nname = "a"\nurl = "host:1"\npasswrd = "S3CRET"', {}),
        ('[scraper]\nproxies = "user:S3CRET pw@host:1"', {}),
        ('[scraper]\nproxies = ["user:S3CRET pw@host"]', {}),
        ('[kafka.producer]\n"sasl.pasword" = ["S3CRET"]', {}),
        ('[kafka.producer]\n"bootstrap.servers" = "user:S3CRET pw@host:1"', {}),
        ('[kafka]\nproducer = "sasl.password=S3CRET"', {}),
        ('[kafka]\nsasl_pasword = "S3CRET"', {}),
        ('[reddit]\nclient_secrt = "S3CRET"', {}),
        ('[reddit]\nreddit_url = "https://user:S3CRET pw@host"', {}),
        ('[reddit]\noauth_url = "https://host/?key=S3CRET"', {}),
        ('[redit]\nclient_secret = "S3CRET"', {}),
        ('[monitor]\ntokn = "S3CRET"', {}),
        ("[reddit]\nclient_secret = S3CRET", {}),
    ],
)
def test_a_value_that_may_hold_a_secret_is_not_shown(problems: Problems, text: str, environ: dict[str, str]) -> None:
    found = problems(text, environ=CREDENTIALS | environ)
    assert found
    assert "S3CRET" not in "\n".join(map(str, found))


def test_harmless_values_are_shown(problems: Problems) -> None:
    text = '[database]\nurl = "sqlite:state.db"\n[reddit]\nreddit_url = "ftp://host"\n[kafka.producer]\nacks = 1\n'
    shown = "\n".join(map(str, problems(text, environ=CREDENTIALS)))
    for value in ('"sqlite:state.db"', '"ftp://host"', 'kafka.producer."acks" = 1'):
        assert value in shown


def test_passwords_of_any_character_are_known(load: Load) -> None:
    config = load(
        '[kafka.producer]\n"sasl.username" = "me"\n"sasl.password" = "p w"\n[scraper]\nenabled = false\n',
        environ=CREDENTIALS | {"DATABASE_URL": "postgresql://me:a%40b%2Fc d@host/name?user=x&password=y%20z"},
    )
    assert {"a%40b%2Fc d", "a@b/c d", "p w", "y z"} <= set(config.secrets())
    assert {("me", "a@b/c d"), ("me", "p w"), ("x", "y z")} <= set(config.logins())
