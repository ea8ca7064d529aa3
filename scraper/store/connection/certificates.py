"""Certificate files that a database URL names: checks that they can be read, and builds the TLS settings."""

import ssl
from collections.abc import Mapping
from pathlib import Path
from urllib.parse import parse_qsl, urlsplit

from core.errors import PermanentError
from scraper.store.connection.database_url import PostgresServer


class UnusableFileError(PermanentError):
    """A file that the URL names cannot be used; the message names the file."""


def check_files(place: PostgresServer) -> None:
    """Read every file that the URL names; raises UnusableFileError."""
    for name, path in place.files.items():
        try:
            Path(path).read_bytes()
        except OSError as error:
            raise _unusable(name, path, error.strerror or type(error).__name__) from error
    for name in ("sslrootcert", "sslcrl"):
        if name in place.files:
            _load_authorities(_context(), name, place.files[name])
    _load_own(_context(), place)


def system_context(place: PostgresServer) -> ssl.SSLContext:
    """Build what `sslrootcert=system` requests: the machine's root certificates, and a check of the server's name."""
    context = ssl.create_default_context()
    if "sslcrl" in place.files:
        _load_authorities(context, "sslcrl", place.files["sslcrl"])
        context.verify_flags |= ssl.VERIFY_CRL_CHECK_CHAIN
    _load_own(context, place)
    context.set_alpn_protocols(["postgresql"])
    return context


def _context() -> ssl.SSLContext:
    return ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)


def _load_authorities(context: ssl.SSLContext, name: str, path: str) -> None:
    try:
        context.load_verify_locations(cafile=path)
    except (OSError, ValueError) as error:
        raise _unusable(name, path, "it contains no certificates in PEM form") from error


def _load_own(context: ssl.SSLContext, place: PostgresServer) -> None:
    files: Mapping[str, str] = place.files
    if "sslcert" not in files:
        return
    # PEM files may need a password; OpenSSL would prompt for one on the terminal
    password = dict(parse_qsl(urlsplit(place.arguments["dsn"]).query)).get("sslpassword", "")
    try:
        context.load_cert_chain(files["sslcert"], files.get("sslkey"), lambda: password)
    except (OSError, ValueError) as error:
        pair = f"{files['sslcert']} and {files['sslkey']}" if "sslkey" in files else files["sslcert"]
        why = "they contain no matching certificate and key in PEM form, or the key needs another sslpassword"
        raise _unusable("sslcert", pair, why) from error


def _unusable(name: str, path: str, why: str) -> UnusableFileError:
    return UnusableFileError(
        f"DATABASE_URL names {name}={path}, which cannot be used ({why}): correct the path or the file"
    )
