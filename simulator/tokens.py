"""Application-only tokens: which clients may have one, and their lifetime."""

import base64
import binascii
import random
import string
from dataclasses import dataclass

_ALPHABET = string.ascii_letters + string.digits + "-_"


@dataclass(frozen=True, slots=True)
class Credentials:
    """The client id and secret; None in either place accepts any value."""

    client_id: str | None = None
    client_secret: str | None = None

    def admit(self, client_id: str, client_secret: str) -> bool:
        """Return whether this pair may have a token."""
        return bool(client_id) and self.client_id in {None, client_id} and self.client_secret in {None, client_secret}


class Tokens:
    """The issued tokens."""

    def __init__(self, credentials: Credentials, lifetime: float, dice: random.Random) -> None:
        self._credentials = credentials
        self._lifetime = lifetime
        self._dice = dice
        self._live: dict[str, tuple[str, float]] = {}

    def issue(self, authorization: str | None, now: float) -> str | None:
        """Return a new token for the client named in a Basic authorization; None if it is not accepted."""
        pair = _basic(authorization)
        if pair is None or not self._credentials.admit(*pair):
            return None
        self._live = {token: grant for token, grant in self._live.items() if grant[1] > now}
        token = "".join(self._dice.choices(_ALPHABET, k=43))
        self._live[token] = (pair[0], now + self._lifetime)
        return token

    def client(self, authorization: str | None, now: float) -> str | None:
        """Return the client id of a Bearer authorization; None if the token is unknown or expired."""
        scheme, _, token = (authorization or "").partition(" ")
        client_id, expires = self._live.get(token.strip(), ("", 0.0))
        return client_id if scheme.lower() == "bearer" and expires > now else None

    def expire_all(self) -> int:
        """Expire every token at once; return how many there were."""
        count = len(self._live)
        self._live.clear()
        return count


def _basic(authorization: str | None) -> tuple[str, str] | None:
    scheme, _, encoded = (authorization or "").partition(" ")
    if scheme.lower() != "basic":
        return None
    try:
        client_id, colon, secret = base64.b64decode(encoded, validate=True).decode().partition(":")
    except (binascii.Error, UnicodeDecodeError):
        return None
    return (client_id, secret) if colon else None
