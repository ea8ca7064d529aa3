"""Searches everything that can be seen from outside for secrets, in every form and in pieces."""

import base64
import json
from collections.abc import Iterable
from urllib.parse import quote

#: A piece is this number of consecutive characters of a secret.
PIECE = 8


class Leaks:
    """The secrets, and the pairs of user and secret, of one test."""

    def __init__(self, secrets: Iterable[str], logins: Iterable[tuple[str, str]]) -> None:
        self.secrets = tuple(secrets)
        self.pairs = tuple(f"{user}:{secret}" for user, secret in logins)
        self._pieces = {text[at : at + PIECE] for text in self._forms() for at in range(4, len(text) - PIECE + 1)}

    def _forms(self) -> set[str]:
        found = {form for text in self.secrets for form in (text, quote(text, safe=""), json.dumps(text)[1:-1])}
        texts = (*self.secrets, *self.pairs)
        found |= {base64.b64encode(b"x" * before + text.encode()).decode() for text in texts for before in range(3)}
        return found | {text.replace("+", "-").replace("/", "_") for text in found}

    def found_in(self, seen: str | bytes) -> set[str]:
        """Return the pieces that occur in it."""
        text = seen.decode("latin-1") if isinstance(seen, bytes) else seen
        return {text[at : at + PIECE] for at in range(len(text) - PIECE + 1)} & self._pieces
