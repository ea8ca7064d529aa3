"""Addresses as people write them, and what the drivers make of them."""

from pathlib import Path

import pytest

from core.errors import PermanentError
from scraper.store.connection.database_url import PostgresServer, SqliteFile, read


@pytest.mark.parametrize(
    ("url", "path"),
    [("sqlite:///state/reddit.db", "state/reddit.db"), ("sqlite:////var/lib/x.db", "/var/lib/x.db")],
)
def test_a_file_is_relative_or_absolute(url: str, path: str) -> None:
    assert read(url) == SqliteFile(Path(path))


def _postgres(url: str) -> PostgresServer:
    place = read(url)
    assert isinstance(place, PostgresServer)
    return place


def test_user_and_password_are_taken_apart_and_decoded() -> None:
    place = _postgres("postgresql://a%40b:p@ss%2Fw:%25@[::1]:6543/reddit?sslmode=require")
    assert place.arguments["user"] == "a@b"
    assert place.arguments["password"] == "p@ss/w:%"
    assert place.hosts == (("::1", 6543),)
    assert place.arguments["dsn"] == "postgresql:///reddit?sslmode=require&application_name=gapless"


@pytest.mark.parametrize("url", ["postgres://host/reddit", "postgresql://u@/reddit?host=/run/postgresql"])
def test_what_is_not_given_is_left_to_the_driver(url: str) -> None:
    assert "password" not in _postgres(url).arguments


@pytest.mark.parametrize(
    ("written", "hosts"),
    [
        ("h/d", (("h", None),)),
        ("h1:5433,h2:5434/d", (("h1", 5433), ("h2", 5434))),
        ("h1,[fe80::1]:5433/d", (("h1", None), ("fe80::1", 5433))),
        ("/d?host=h1&host=h2:5433", (("h1", None), ("h2", 5433))),
        ("/d?host=h1,h2&port=5433,5434", (("h1", 5433), ("h2", 5434))),
        ("/d?host=h1,h2&port=5433", (("h1", 5433), ("h2", 5433))),
        ("/?host=/run/postgresql&port=5433&dbname=d", (("/run/postgresql", 5433),)),
        ("%2Frun%2Fpostgresql/d", (("/run/postgresql", None),)),
        ("/d?host=::1", (("::1", None),)),
    ],
)
def test_hosts_are_those_that_libpq_reads(written: str, hosts: tuple[tuple[str, int | None], ...]) -> None:
    assert _postgres(f"postgresql://{written}").hosts == hosts
    with_user = _postgres(f"postgresql://u:p@{written}")
    assert (with_user.hosts, with_user.arguments["password"]) == (hosts, "p")


def test_of_several_hosts_the_one_that_takes_writes_is_meant() -> None:
    assert _postgres("postgresql://h/d").target == "any"
    assert _postgres("postgresql://a,b/d").target == "read-write"
    assert _postgres("postgresql://a,b/d?target_session_attrs=any").target == "read-write"
    assert _postgres("postgresql://a,b/d?target_session_attrs=primary").target == "primary"
    with pytest.raises(PermanentError, match=r"target_session_attrs=standby.*Gapless writes"):
        read("postgresql://a,b/d?target_session_attrs=standby")


def test_a_password_shows_nowhere() -> None:
    place = _postgres("postgresql://u:hush@host/reddit?password=hush2")
    assert "hush" not in f"{place} {place!r}"
    assert place.arguments["password"] in ("hush", "hush2")
    assert "hush" not in place.arguments["dsn"]


def test_what_only_tunes_the_transport_is_left_out_and_named() -> None:
    place = _postgres("postgresql://u@h/d?keepalives=1&keepalives_idle=30&channel_binding=prefer&application_name=x")
    assert place.left_out == ("keepalives", "keepalives_idle", "channel_binding")
    assert place.arguments["dsn"] == "postgresql:///d?application_name=x"


def test_what_is_the_drivers_own_is_kept() -> None:
    arguments = _postgres("postgresql://u@h/d?connect_timeout=3&statement_cache_size=0").arguments
    assert (arguments["timeout"], arguments["statement_cache_size"]) == (3.0, 0)


@pytest.mark.parametrize(
    "asked",
    [
        "channel_binding=require",
        "require_auth=scram-sha-256",
        "connect_timeout=soon",
        "client_encoding=latin1",
        "sslrootcert=system&sslmode=require",
    ],
)
def test_what_cannot_be_kept_is_refused_with_advice(asked: str) -> None:
    with pytest.raises(PermanentError, match=asked.partition("=")[0]):
        read(f"postgresql://u:hush@h/d?{asked}")


def test_other_databases_are_refused() -> None:
    with pytest.raises(PermanentError, match="postgresql://"):
        read("mysql://root:hush@host/x")
