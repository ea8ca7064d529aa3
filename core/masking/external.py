"""Text from outside: of servers, proxies, brokers, databases, and of the libraries that quote them.

Where such a text comes into being it is bounded, masked, made printable, and cut, in this order: a cut before the mask
would leave a piece of a secret that nothing finds. What is kept, shown or logged later is harmless from then on.
"""

from collections.abc import Iterable

from core.masking.masking import Masker
from core.masking.printable import printable

#: So many characters of a text are looked at.
BOUND = 16_384

#: The secrets that this process knows: of its configuration, and the access tokens that it was given.
known = Masker()


def hide(*secrets: str, logins: Iterable[tuple[str, str]] = ()) -> None:
    """Mask these texts, and these pairs of user and password, from now on."""
    known.hide(secrets, logins)


def hide_token(token: str) -> None:
    """Mask this access token from now on, until some newer ones have come."""
    known.hide_token(token)


def outside(text: object, longest: int = 300) -> str:
    """Return a text (an error, bytes) on one line of at most so many characters, without secrets in it."""
    if isinstance(text, bytes | bytearray):
        text = bytes(text[: 4 * BOUND]).decode("utf-8", "replace")
    masked = known.mask_pieces(str(text), BOUND)
    line = printable(" ".join(masked.split()))
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def masked(text: str) -> str:
    """Return a text of ours that quotes others, on one line, without secrets in it."""
    return printable(known.mask(text))


def scrub(document: object) -> bytes:
    """Return as JSON what is kept as it was served, without the secrets in it."""
    return known.scrub(document)
