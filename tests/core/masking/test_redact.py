import time

import pytest

from core.masking.masking import Masker
from core.masking.redact import is_secret_name, redact_url, show, url_passwords
from tests.support.durations import allowed


@pytest.mark.parametrize(
    ("text", "shown"),
    [
        ("postgresql://user:password@host/name", "postgresql://user:***@host/name"),
        ("user:password@host:1", "user:***@host:1"),
        ("http://user:p@ss:w/rd@host:1", "http://user:***@host:1"),
        ("redis://:password@host", "redis://:***@host"),
        ("see https://u:p@a/ and http://u:q@b.", "see https://u:***@a/ and http://u:***@b."),
        ("<http://u:p@h>, proxy=u:p@h|http://u'v:p@h", "<http://u:***@h>, proxy=u:***@h"),
        ("x?sslpassword=abc&y=1", "x?sslpassword=***&y=1"),
        ("https://www.reddit.com/r/Bitcoin/new?after=t3_x", "https://www.reddit.com/r/Bitcoin/new?after=t3_x"),
        ("sqlite:///a@b", "sqlite:///a@b"),
        ("12:30 mail to me@example.org", "12:30 mail to me@example.org"),
        ("user@host", "user@host"),
        ("", ""),
    ],
)
def test_passwords_in_addresses_are_masked(text: str, shown: str) -> None:
    assert redact_url(text) == shown


def test_long_texts_are_looked_through_quickly() -> None:
    text = "a" * 200_000 + "@" + ":" * 1000
    before = time.perf_counter()
    redact_url(text)
    assert time.perf_counter() - before < allowed(2.0)


def test_the_passwords_of_an_address_are_found_in_both_forms() -> None:
    assert url_passwords("http://u:a%40b@host:1") == ("a%40b", "a@b")
    assert url_passwords("http://host:1") == ()


@pytest.mark.parametrize(
    "name", ["password", "sasl.password", "client_secret", "Authorization", "accessToken", "ssl.key.pem"]
)
def test_names_of_secrets(name: str) -> None:
    assert is_secret_name(name)


@pytest.mark.parametrize("name", ["ssl.key.location", "token_url", "topic", "key", "author", "password_file"])
def test_names_of_other_things(name: str) -> None:
    assert not is_secret_name(name)


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        (True, "true"),
        (1.5, "1.5"),
        ("a\n\u00fc", '"a\\n\u00fc"'),
        (["a", 1, {"b": "c"}], '["a", 1, {b = "c"}]'),
        ({"password": "x", "url": "u:p@h"}, '{password = (hidden), url = "u:***@h"}'),
        ("x" * 200, '"' + "x" * 78 + "…"),
    ],
)
def test_values_are_shown_as_toml_writes_them(value: object, shown: str) -> None:
    assert show(value) == shown


def test_the_longest_secret_is_masked_first() -> None:
    masker = Masker()
    masker.hide(["secret", "secret-and-more"])
    assert masker.mask("secret-and-more, secret") == "***, ***"


class Odd:
    def __repr__(self) -> str:
        raise RuntimeError("no")


def test_an_object_that_cannot_be_shown_does_not_take_the_log_line_with_it() -> None:
    assert Masker().clean(Odd()) == "<Odd that cannot be shown: RuntimeError>"


def test_a_secret_is_text_not_a_pattern() -> None:
    masker = Masker()
    masker.hide(["a.*b"])
    assert masker.mask("a.*b axxb") == "*** axxb"
