"""Masks secrets in values that people see: error messages, representations and logs.

This module finds secrets by shape, in time linear in the length of the text: passwords in addresses, credentials
in headers, access tokens. core.masking.masking finds registered secrets.
"""

import functools
import json
import re
from collections.abc import Iterator, Mapping
from urllib.parse import parse_qsl, unquote, urlsplit

from core.masking.printable import printable

MASK = "***"

_LONGEST = 80

# A name that holds a secret; endings such as .location or _url name the place of a secret, not its value.
_SECRET_NAME = re.compile(
    r"passw(or)?d|passphrase|secret|token|authorization|credential|cookie|api.?key|private.?key"
    r"|\.pem$|oauthbearer\.config$|jaas",
    re.IGNORECASE,
)
_HARMLESS_ENDING = re.compile(r"(location|url|endpoint|file|path|dir|env)$", re.IGNORECASE)

# Each begins where no character of its own kind precedes it, so that no text is scanned twice.
_QUERY_SECRET = re.compile(r"(?P<name>[?&][a-z_.-]*(?:password|secret|token)=)[^&\s\"']*", re.IGNORECASE)
_NAMED = re.compile(
    r"""(?P<name>(?:(?:access_token|refresh_token|id_token|client_secret)\b[\s\\"']{0,8}[:=]|"""
    r"""\bpassword(?:=|[\\"']{1,3}\s?[:=]))[\s\\"']{0,8})[^\s\\"'&,}]+""",
    re.IGNORECASE,
)
_NAMED_HINT = re.compile(r"token|client_secret|password", re.IGNORECASE)
_AUTHORIZATION = re.compile(r"\b(?P<scheme>bearer|basic)\s+[A-Za-z0-9._~+/=-]{16,}", re.IGNORECASE)
_AUTHORIZATION_HINT = re.compile(r"bearer|basic", re.IGNORECASE)
_TOKEN = re.compile(
    r"(?<![\w.-])eyJ[\w-]{8,}\.[\w-]{8,}(?:\.[\w-]*)?", re.ASCII
)  # JSON web tokens, Reddit's among them

_WORDS = re.compile(r"\S+")


@functools.lru_cache(maxsize=1024)  # called for every field of every log line
def is_secret_name(name: str) -> bool:
    """Return whether a value under this name must not be shown."""
    return bool(_SECRET_NAME.search(name)) and not _HARMLESS_ENDING.search(name)


def redact(text: str) -> str:
    """Mask credentials in headers, access tokens, values named as secrets, and the passwords in addresses."""
    if _AUTHORIZATION_HINT.search(text):
        text = _AUTHORIZATION.sub(rf"\g<scheme> {MASK}", text)
    if _NAMED_HINT.search(text):
        text = _NAMED.sub(rf"\g<name>{MASK}", text)
    if "eyJ" in text:
        text = _TOKEN.sub(MASK, text)
    return redact_url(text)


def redact_url(text: str) -> str:
    """Mask the passwords in every address of a text; the rest stays readable."""
    if "@" in text and ":" in text:
        text = _WORDS.sub(lambda word: _without_password(word[0]), text)
    if "=" in text:
        text = _QUERY_SECRET.sub(rf"\g<name>{MASK}", text)
    return text


def show_address(url: str) -> str:
    """Mask the password of one address, with any characters."""
    scheme, found, rest = url.rpartition("://") if "://" in url.partition("@")[0] else ("", "", url)
    return redact_url(f"{scheme}{found}{_without_password(rest)}")


def _without_password(word: str) -> str:
    """Mask the text between user: and @, with or without a scheme before it.

    A password may hold anything but white space: mask too much rather than too little.
    """
    end = word.rfind("@")
    colon = _colon(word, end)
    return word if colon is None else f"{word[: colon + 1]}{MASK}{word[end:]}"


def _colon(word: str, end: int) -> int | None:
    """Return the place of the first colon before `end` that does not belong to a scheme."""
    colon = word.find(":", 0, max(0, end))
    while colon >= 0 and word.startswith("//", colon + 1):
        colon = word.find(":", colon + 1, end)
    return colon if colon >= 0 else None


def url_passwords(url: str) -> tuple[str, ...]:
    """Return the passwords of an address, raw and decoded, to be masked wherever else they appear."""
    raw = [password for _, password in _logins(url)]
    raw += [match.group(0).partition("=")[2] for match in _QUERY_SECRET.finditer(url)]
    return tuple(dict.fromkeys(form for text in raw for form in (text, unquote(text)) if form))


def url_logins(url: str) -> tuple[tuple[str, str], ...]:
    """Return user and password of an address, decoded, as they are sent in a header."""
    named = dict(parse_qsl(url.partition("?")[2]))
    found = [(unquote(user), unquote(password)) for user, password in _logins(url)]
    if named.get("password"):
        found.append((named.get("user", ""), named["password"]))
    return tuple(dict.fromkeys(found))


def _logins(url: str) -> Iterator[tuple[str, str]]:
    """Yield each possible user and password of the address: a raw password may hold any character."""
    text = url.strip()
    rest = text.partition("://")[2] if "://" in text else text
    places = {rest.rfind("@"), rest.partition("?")[0].rfind("@"), _authority(text).rfind("@")}
    for place in sorted(place for place in places if place >= 0):
        user, colon, password = rest[:place].partition(":")
        if colon and password:
            yield user, password


def _authority(url: str) -> str:
    try:
        return urlsplit(url if "://" in url else f"//{url}").netloc
    except ValueError:
        return ""


def show(value: object, name: str = "") -> str:
    """Format a value as in TOML, for display: shortened, passwords masked, secrets hidden by their name."""
    if is_secret_name(name) and value not in ("", None):
        return "(hidden)"
    text = printable(_write(value))
    return text if len(text) <= _LONGEST else f"{text[: _LONGEST - 1]}…"


def _write(value: object) -> str:
    match value:
        case bool():
            return "true" if value else "false"
        case str():
            return json.dumps(redact_url(value), ensure_ascii=False)
        case Mapping():
            return "{" + ", ".join(f"{name} = {show(item, str(name))}" for name, item in value.items()) + "}"
        case list() | tuple():
            return "[" + ", ".join(_write(item) for item in value) + "]"
        case int() | float():
            return repr(value)
        case _:
            return redact_url(str(value))
