"""Certificates that an address names: a file that is not there is named, and the machine's own can be asked for."""

import asyncio
import contextlib
import ssl
from collections.abc import Callable
from pathlib import Path

import pytest

from core.config import Config, DatabaseSection
from core.errors import PermanentError
from scraper.store import Store
from scraper.store.connection.certificates import UnusableFileError
from scraper.store.connection.database_errors import Fault, classify
from supervisor.checks import probes
from tests.scraper.store.stage import play
from tests.support.authority import Authority

_SSL_REQUEST = b"\0\0\0\x08\x04\xd2\x16\x2f"

#: What the server of this test answers to everyone who trusts its certificate.
_REFUSAL = b"SFATAL\0C28P01\0Mpassword authentication failed\0\0"


@pytest.fixture
def authority(tmp_path: Path) -> Authority:
    return Authority(tmp_path)


async def _answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter, context: ssl.SSLContext) -> None:
    try:
        # a client that does not trust the certificate disconnects
        with contextlib.suppress(OSError, asyncio.IncompleteReadError):
            assert await reader.readexactly(8) == _SSL_REQUEST
            writer.write(b"S")
            await writer.start_tls(context)
            await reader.read(1)
            writer.write(b"E" + (len(_REFUSAL) + 4).to_bytes(4, "big") + _REFUSAL)
            await writer.drain()
    finally:
        writer.close()


def _try(authority: Authority, parameters: str, host: str = "localhost") -> str:
    """Open the database of a server with TLS; give the reason why that did not work."""

    async def scenario() -> str:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(authority.certificate, authority.key)
        server = await asyncio.start_server(lambda r, w: _answer(r, w, context), "127.0.0.1", 0)
        port = server.sockets[0].getsockname()[1]
        async with server:
            with pytest.raises(PermanentError) as caught:
                await Store.open(f"postgresql://u:hush@{host}:{port}/x?{parameters}", holder="here")
        return str(caught.value)

    text = play(scenario, loop="asyncio")
    assert "hush" not in text
    return text


def test_the_machines_certificates_are_trusted_where_they_are_asked_for(
    authority: Authority, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert "CERTIFICATE_VERIFY_FAILED" in _try(authority, "sslmode=verify-full&sslrootcert=system")
    monkeypatch.setenv("SSL_CERT_FILE", str(authority.root))
    for parameters in ("sslmode=verify-full&sslrootcert=system", "sslrootcert=system"):
        assert "password authentication failed" in _try(authority, parameters)


def test_a_root_of_ones_own_is_trusted(authority: Authority) -> None:
    parameters = f"sslmode=verify-full&sslrootcert={authority.root}"
    assert "password authentication failed" in _try(authority, parameters)
    own = f"{parameters}&sslcert={authority.certificate}&sslkey={authority.key}"
    assert "password authentication failed" in _try(authority, own)


def _absent(directory: Path) -> Path:
    return directory / "absent.pem"


def _a_directory(directory: Path) -> Path:
    return directory


def _below_a_file(directory: Path) -> Path:
    return directory / "root.pem" / "ca.pem"


def _no_certificate(directory: Path) -> Path:
    path = directory / "text.pem"
    path.write_text("no certificate")
    return path


@pytest.mark.parametrize("name", ["sslrootcert", "sslcert", "sslkey", "sslcrl"])
@pytest.mark.parametrize("make", [_absent, _a_directory, _below_a_file, _no_certificate])
@pytest.mark.parametrize("hosts", ["db.example", "one.example,two.example:5433"])
def test_a_file_that_cannot_be_used_is_named_and_is_a_persons_matter(
    authority: Authority, tmp_path: Path, name: str, make: Callable[[Path], Path], hosts: str
) -> None:
    files = {"sslrootcert": authority.root, "sslcert": authority.certificate, "sslkey": authority.key}
    files[name] = make(tmp_path)
    named = "&".join(f"{each}={path}" for each, path in files.items())
    url = f"postgresql://u:hush@{hosts}/x?sslmode=verify-full&{named}"
    with pytest.raises(PermanentError) as caught:
        play(lambda: Store.open(url, holder="here"))
    (finding,) = probes.probe_database(Config(database=DatabaseSection(url=url)))
    for text in (str(caught.value), finding.text):
        assert str(files[name]) in text
        assert "hush" not in text
    assert not finding.ok


def test_a_passfile_that_is_not_there_is_named() -> None:
    with pytest.raises(PermanentError, match="passfile=/nowhere/pgpass"):
        play(lambda: Store.open("postgresql://u@db.example/x?passfile=/nowhere/pgpass", holder="here"))


def test_a_file_that_is_renewed_just_now_is_waited_for() -> None:
    assert classify(UnusableFileError("DATABASE_URL names …")) is Fault.AWAY
