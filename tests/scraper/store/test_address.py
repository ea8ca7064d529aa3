"""Addresses as people write them, and what the drivers make of them."""

from pathlib import Path

import pytest

from core.errors import PermanentError
from scraper.store.address import PostgresServer, SqliteFile, read


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
    assert place.arguments["dsn"] == "postgresql://[::1]:6543/reddit?sslmode=require&application_name=gapless"


@pytest.mark.parametrize("url", ["postgres://host/reddit", "postgresql://u@/reddit?host=/run/postgresql"])
def test_what_is_not_given_is_left_to_the_driver(url: str) -> None:
    assert "password" not in _postgres(url).arguments


def test_a_password_shows_nowhere() -> None:
    place = _postgres("postgresql://u:hush@host/reddit?password=hush2")
    assert "hush" not in f"{place} {place!r}"
    assert place.arguments["password"] in ("hush", "hush2")
    assert "hush" not in place.arguments["dsn"]


def test_what_only_tunes_the_transport_is_left_out_and_named() -> None:
    place = _postgres("postgresql://u@h/d?keepalives=1&keepalives_idle=30&channel_binding=prefer&application_name=x")
    assert place.left_out == ("keepalives", "keepalives_idle", "channel_binding")
    assert place.arguments["dsn"] == "postgresql://h/d?application_name=x"


def test_what_is_the_drivers_own_is_kept() -> None:
    arguments = _postgres("postgresql://u@h/d?connect_timeout=3&statement_cache_size=0").arguments
    assert (arguments["timeout"], arguments["statement_cache_size"]) == (3.0, 0)


@pytest.mark.parametrize("asked", ["channel_binding=require", "require_auth=scram-sha-256", "connect_timeout=soon"])
def test_what_cannot_be_kept_is_refused_with_advice(asked: str) -> None:
    with pytest.raises(PermanentError, match=asked.partition("=")[0]):
        read(f"postgresql://u:hush@h/d?{asked}")


def test_other_databases_are_refused() -> None:
    with pytest.raises(PermanentError, match="postgresql://"):
        read("mysql://root:hush@host/x")
