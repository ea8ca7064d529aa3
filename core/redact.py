"""What people may see: values shown without the secrets in them, for error messages, representations and logs."""

import functools
import json
import re
from collections.abc import Mapping
from urllib.parse import unquote

MASK = "***"

_LONGEST = 80

# A name that holds a secret; endings such as .location or _url say where a secret is kept, not what it is.
_SECRET_NAME = re.compile(
    r"passw(or)?d|passphrase|secret|token|authorization|credential|cookie|api.?key|private.?key"
    r"|\.pem$|oauthbearer\.config$|jaas",
    re.IGNORECASE,
)
_HARMLESS_ENDING = re.compile(r"(location|url|endpoint|file|path|dir|env)$", re.IGNORECASE)

# user:password@ with or without a scheme before it. A password may hold anything but white space: rather mask too
# much than too little. "//" after the colon means that the colon belonged to a scheme.
_PASSWORD = re.compile(
    r"""(?P<user>(?<![a-z0-9+.-])[a-z][a-z0-9+.-]{0,20}://[^\s:/@]{0,256}"""
    r"""|(?<![^\s:/@"'=,;|\[({<>])[^\s:/@"'=,;|\[({<>]{0,256}):(?!//)[^\s]*@""",
    re.IGNORECASE,
)
_QUERY_SECRET = re.compile(r"(?P<name>[?&][a-z_.-]*(?:password|secret|token)=)[^&\s\"']*", re.IGNORECASE)


@functools.lru_cache(maxsize=1024)  # asked for every field of every log line
def is_secret_name(name: str) -> bool:
    """Tell whether a value under this name must not be shown."""
    return bool(_SECRET_NAME.search(name)) and not _HARMLESS_ENDING.search(name)


def redact_url(text: str) -> str:
    """Mask the passwords in every address of a text; the rest stays readable."""
    if "@" in text:  # also keeps the pattern away from long texts that cannot match
        text = _PASSWORD.sub(rf"\g<user>:{MASK}@", text)
    if "=" in text:
        text = _QUERY_SECRET.sub(rf"\g<name>{MASK}", text)
    return text


def url_passwords(url: str) -> tuple[str, ...]:
    """Give the passwords of an address as they stand in it and decoded, to be hidden wherever else they appear."""
    found = [match.group(0) for match in _PASSWORD.finditer(url)]
    raw = [text.split("://", 1)[-1].partition(":")[2].removesuffix("@") for text in found]
    raw += [match.group(0).partition("=")[2] for match in _QUERY_SECRET.finditer(url)]
    return tuple(dict.fromkeys(form for text in raw for form in (text, unquote(text)) if form))


def show(value: object, name: str = "") -> str:
    """Write a value as TOML would, for people: shortened, passwords masked, secrets hidden by their name."""
    if is_secret_name(name) and value not in ("", None):
        return "(hidden)"
    text = _write(value)
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
