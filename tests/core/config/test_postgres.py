"""Addresses with passwords: any character, as it is or percent-encoded; and what is refused shows nothing of it."""

from urllib.parse import quote, unquote

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from core.config.addresses import database_url
from core.config.parsers import InvalidValue
from core.config.postgres_url import read_postgres
from core.config.proxies import normalised
from core.masking.redact import redact_url
from tests.core.config.conftest import Problems

_ODD = "@:/?#[]%&=+,;!$'()* \\\"<>^`{|}~äß\u20ac\U0001f921"
_PASSWORDS = st.text(st.sampled_from(_ODD + "aB9"), min_size=1, max_size=12).filter(lambda text: text == text.strip())


def _taken(url: str) -> tuple[str, str]:
    """Give the address as it is taken, or why it is not."""
    try:
        return database_url(url), ""
    except InvalidValue as error:
        return "", str(error)


@given(_PASSWORDS)
@example("p@ss:w/rd?#%")
@example("a%41")
def test_an_encoded_password_is_itself(password: str) -> None:
    encoded = quote(password, safe="")
    url = f"postgresql://user:{encoded}@db.example:5432/app?sslmode=require"
    assert read_postgres(url).password == password
    assert read_postgres(database_url(url)).password == password
    proxy = normalised(f"user:{encoded}@host:8080")
    assert proxy is not None
    assert unquote(proxy.removeprefix("http://user:").removesuffix("@host:8080")) == password


@given(_PASSWORDS.filter(lambda text: "%" not in text))
@example("s3cr#et")
@example("s3cr/et")
@example("s3cr?et")
@example("p@ss:w/rd?#")
@example("with a space")
@example("://")
@example("//")
def test_a_password_as_it_is_is_itself_or_is_called_ambiguous(password: str) -> None:
    url, refusal = _taken(f"postgresql://user:{password}@db.example:5432/app?sslmode=require")
    if refusal:
        assert "percent-encode" in refusal
        assert "@" in password or "?" in password
    else:
        assert read_postgres(url).password == password
        assert read_postgres(url).hosts == (("db.example", 5432),)
        assert redact_url(url) == "postgresql://user:***@db.example:5432/app?sslmode=require"
    proxy = normalised(f"user:{password}@host:8080")
    if password.startswith("//"):
        assert proxy is None, "user:// is no scheme of a proxy: it must be percent-encoded"
        return
    assert proxy is not None
    assert unquote(proxy.removeprefix("http://user:").removesuffix("@host:8080")) == password


@pytest.mark.parametrize("password", ["100%", "%zz", "50%#", "a%20%", "%FF"])
def test_a_percent_that_begins_no_code_is_a_percent(password: str) -> None:
    assert read_postgres(f"postgresql://u:{password}@h/d").password == password
    assert normalised(f"u:{password}@h:1") == f"http://u:{quote(password, safe='')}@h:1"


@pytest.mark.parametrize("url", ["postgresql://u:s3cret@h/d?x=y@h2/d2", "postgresql://u:5432/d?x=y@h2/d2"])
def test_an_address_with_two_readings_is_refused(url: str) -> None:
    with pytest.raises(InvalidValue, match=r"is ambiguous.*percent-encode") as caught:
        read_postgres(url)
    assert "s3cret" not in str(caught.value)


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://user:S3CRET pw@[::1/db",
        "postgresql://user:S3CRET/pw",
        "postgresql://user:S3CRET#pw@host",
        "postgresql://user:S3CRET@host:99999/db",
        "postgresql://user:S3CRET@host:x/db",
        "postgresql://user:S3CRET@h1,h2/db?port=1,2,3",
        "postgresql://user:S3CRET@/db?host=h&port=x",
        "mysql://user:S3CRET@host/db",
        "S3CRET",
    ],
)
def test_nothing_is_shown_of_what_is_refused(problems: Problems, url: str) -> None:
    (problem,) = problems(f"[database]\nurl = '{url}'\n")
    assert problem.key == "database.url"
    assert "S3CRET" not in str(problem)
    assert "S3" not in str(problem)


@pytest.mark.parametrize("url", ["user:S3CRET pw@hostonly", "ftp://user:S3CRET@host:1", "S3CRET"])
def test_nothing_is_shown_of_a_proxy_that_is_refused(problems: Problems, url: str) -> None:
    (problem,) = problems(f"[[scraper.proxies]]\nname = 'a'\nurl = '{url}'\n")
    assert "S3CRET" not in str(problem)
    if "@" in url:
        assert "percent-encode" in problem.advice


def test_user_and_password_may_be_parameters() -> None:
    address = read_postgres("postgresql:///d?host=h&user=a%40b&password=p+q%")
    assert dict(address.parameters) == {"user": "a@b", "password": "p+q%"}
