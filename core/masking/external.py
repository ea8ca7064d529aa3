"""Makes foreign text safe: of servers, proxies, brokers, databases, and of the libraries that quote them.

Each such text is bounded, masked, made printable, and cut at its origin, in this order: a cut before the mask
would leave a piece of a secret that is not found. After that it is safe to store, show or log.
"""

from collections.abc import Iterable

from core.masking.masking import Masker
from core.masking.printable import printable

#: Characters of a text that are processed; the rest is cut.
BOUND = 16_384

#: The secrets that this process knows: of its configuration, and the access tokens that it received.
known = Masker()


def hide(*secrets: str, logins: Iterable[tuple[str, str]] = ()) -> None:
    """Mask these texts, and these pairs of user and password, from now on."""
    known.hide(secrets, logins)


def hide_token(token: str) -> None:
    """Mask this access token from now on, until some newer ones arrived."""
    known.hide_token(token)


def outside(text: object, longest: int = 300) -> str:
    """Return a text (an error, bytes) on one line of limited length, without secrets."""
    if isinstance(text, bytes | bytearray):
        text = bytes(text[: 4 * BOUND]).decode("utf-8", "replace")
    masked = known.mask_pieces(str(text), BOUND)
    line = printable(" ".join(masked.split()))
    return line if len(line) <= longest else f"{line[: longest - 1]}…"


def masked(text: str) -> str:
    """Return a text of ours that quotes foreign text, on one line, without secrets."""
    return printable(known.mask(text))


def scrub(document: object) -> bytes:
    """Return as JSON, without secrets, a document that is stored as served."""
    return known.scrub(document)
