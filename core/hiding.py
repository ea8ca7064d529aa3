"""Keeps secrets out of the logs, and makes every value plain enough for one line of JSON."""

import enum
import re
from collections.abc import Iterable, Mapping, Set
from datetime import date
from pathlib import Path
from urllib.parse import quote

from core.redact import MASK, is_secret_name, redact_url

_SHORTEST = 4  # masking shorter texts would eat ordinary words; such a secret is none
_DEEPEST = 6
_AUTHORIZATION = re.compile(r"\b(?P<scheme>bearer|basic)\s+[A-Za-z0-9._~+/=-]{16,}", re.IGNORECASE)
_AUTHORIZATION_HINT = re.compile(r"bearer|basic", re.IGNORECASE)


class Hider:
    """Masks registered texts, passwords in addresses, authorization headers, and values under telling names."""

    def __init__(self) -> None:
        self._secrets: frozenset[str] = frozenset()
        self._pattern: re.Pattern[str] | None = None

    def hide(self, secrets: Iterable[str]) -> None:
        """Register texts that must not appear, as they are and percent-encoded."""
        forms = {form for secret in secrets for form in (secret, quote(secret, safe="")) if len(form) >= _SHORTEST}
        self._secrets |= forms
        longest_first = sorted(self._secrets, key=len, reverse=True)
        self._pattern = re.compile("|".join(map(re.escape, longest_first))) if longest_first else None

    def mask(self, text: str) -> str:
        """Mask what is secret in a text."""
        if self._pattern is not None:
            text = self._pattern.sub(MASK, text)
        if _AUTHORIZATION_HINT.search(text):
            text = _AUTHORIZATION.sub(rf"\g<scheme> {MASK}", text)
        return redact_url(text)

    def clean(self, value: object, name: str = "", depth: int = 0) -> object:
        """Turn a value into plain data: text, numbers, lists and tables, with nothing secret in it."""
        if value is None or isinstance(value, bool):
            return value
        if name and is_secret_name(name) and not (isinstance(value, int | float) and "token" in name.lower()):
            return MASK  # but a number of tokens is no secret
        return self._plain(value, depth)

    def _plain(self, value: object, depth: int) -> object:
        match value:
            case enum.Enum():
                return self.clean(value.value, depth=depth)
            case int() | float():
                return value
            case str():
                return self.mask(value)
            case bytes() | bytearray():
                return self.mask(bytes(value).decode("utf-8", "backslashreplace"))
            case Path():
                return self.mask(str(value))
            case date():
                return value.isoformat()
            case Mapping() if depth < _DEEPEST:
                return {self.mask(str(key)): self.clean(item, str(key), depth + 1) for key, item in value.items()}
            case list() | tuple() | Set() if depth < _DEEPEST:
                return [self.clean(item, depth=depth + 1) for item in value]
            case _:
                return self.mask(_represent(value))


def _represent(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001  a broken __repr__ must not take the log line with it
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"
