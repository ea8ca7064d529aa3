"""Masks registered secrets, whole or in pieces, and converts every value for one line of JSON.

The time is linear in the length of the text, for any number of secrets: at each place a few
characters are looked up in a table.
"""

import enum
import json
from collections import deque
from collections.abc import Callable, Iterable, Iterator, Mapping, Set
from datetime import date
from pathlib import Path
from typing import NamedTuple

from core.masking.escapes import Span, runs, view
from core.masking.redact import MASK, is_secret_name, redact
from core.masking.secret_forms import SHORTEST, Form, forms, lower, pair_forms

_DEEPEST = 6

#: Most characters of quoted foreign text, such as a traceback, in a log line.
_LONGEST_QUOTE = 65_536

#: Characters of a secret that count as a piece of it. Shorter ones are in too many ordinary words.
_PIECE = 6

#: Of a form of more characters only every fourth piece is searched, to save memory.
_LONG, _STEP = 128, 4

#: A piece is masked with the word around it: at most this number of characters on each side.
_WORD = 40

#: Number of tokens kept, the newest; older ones have expired.
_TOKENS = 4

#: No word that we use has this many letters.
_LONG_WORD = 16

#: Nesting depth to which codes within codes are decoded.
_DEEPEST_CODE = 1

_NOWHERE: Span = (-1, -1)


class Registered(NamedTuple):
    """Secrets, and pairs of user and secret, that must not appear. Its representation shows none of them."""

    secrets: tuple[str, ...] = ()
    logins: tuple[tuple[str, str], ...] = ()

    def __repr__(self) -> str:
        return f"Registered({len(self.secrets)} secrets)"


NOTHING = Registered()


class _Tables:
    """The forms of all secrets, by their first characters, and their pieces."""

    def __init__(self, known: Iterable[Form]) -> None:
        by_start: dict[str, list[Form]] = {}
        self._pieces: set[str] = set()
        self.longest = 0
        for form in sorted(known, key=lambda form: len(form.text), reverse=True):
            by_start.setdefault(form.text[:SHORTEST], []).append(form)
            step = _STEP if len(form.text) > _LONG else 1
            self._pieces.update(form.text[at : at + _PIECE] for at in range(0, len(form.text) - _PIECE + 1, step))
            self.longest = max(self.longest, len(form.text))
        self._by_start = {start: tuple(found) for start, found in by_start.items()}

    def whole(self, text: str) -> Iterator[Span]:
        """Yield the places of whole forms in a text in lower case."""
        by_start = self._by_start
        for at in range(len(text) - SHORTEST + 1 if by_start else 0):
            if text[at : at + SHORTEST] in by_start:
                for form in by_start[text[at : at + SHORTEST]]:
                    if text.startswith(form.text, at):
                        yield _widened(text, at, at + len(form.text), form.pad, _is_base64)
                        break

    def pieces(self, text: str) -> Iterator[Span]:
        """Yield the places of pieces in a text in lower case."""
        pieces = self._pieces
        for at in range(len(text) - _PIECE + 1 if pieces else 0):
            if text[at : at + _PIECE] in pieces:
                yield at, at + _PIECE


class Masker:
    """Holds the secrets of a process; masks them, and also unregistered ones by their shape."""

    def __init__(self) -> None:
        self._forms: frozenset[Form] = frozenset()
        self._secrets: set[str] = set()
        self._logins: set[tuple[str, str]] = set()
        self._tokens: deque[tuple[str, set[Form]]] = deque(maxlen=_TOKENS)
        self._tables = _Tables(())

    def hide(self, secrets: Iterable[str], logins: Iterable[tuple[str, str]] = ()) -> None:
        """Register texts that must not appear, and pairs of user and password, in all their forms."""
        secrets, logins = list(secrets), list(logins)
        self._secrets.update(secrets)
        self._logins.update(logins)
        known = self._forms.union(*map(forms, secrets), *(pair_forms(user, secret) for user, secret in logins))
        if known != self._forms:
            self._forms = known
            self._rebuild()

    @property
    def registered(self) -> Registered:
        """All registered secrets so far, without tokens, for another process to register too."""
        return Registered(tuple(sorted(self._secrets)), tuple(sorted(self._logins)))

    def hide_token(self, token: str) -> None:
        """Register a token that expires: it is dropped when some newer ones arrived."""
        is_word = len(token) < _LONG_WORD and token.isalpha()  # the server chooses it: it must not mask our own words
        if len(token) < _PIECE or is_word or any(token == known for known, _ in self._tokens):
            return
        self._tokens.append((token, forms(token)))
        self._rebuild()

    def _rebuild(self) -> None:
        self._tables = _Tables(self._forms.union(*(found for _, found in self._tokens)))

    def mask(self, text: str) -> str:
        """Mask the secrets in a text."""
        return redact(_masked(text, self._tables.whole(lower(text))))

    def mask_pieces(self, text: str, longest: int | None = None) -> str:
        """Mask secrets and pieces of them, such as a cut leaves, in the first `longest` characters of a text.

        A secret that begins there and ends later is masked completely.
        """
        return self._mask_pieces(text, len(text) if longest is None else min(len(text), longest), resolve=True)

    def _mask_pieces(self, text: str, end: int, *, resolve: bool) -> str:
        tables = self._tables
        seen = lower(text[: end + tables.longest])
        whole = _joined(tables.whole(seen))
        encoded = self._encoded_pieces(text[: end + tables.longest]) if resolve else ()
        found = sorted([*tables.pieces(seen), *encoded])
        pieces = _beyond(whole, _joined(found, gap=_STEP))
        # the text around a piece may be more of it, escaped in an unknown way
        words = [_widened(seen, start, stop, _WORD, _is_visible) for start, stop in pieces]
        return redact(_masked(text[:end], (span for span in sorted([*whole, *words]) if span[0] < end)))

    def _encoded_pieces(self, text: str, depth: int = 0) -> Iterator[Span]:
        """Yield the places where a text holds escaped pieces, or pieces in a part that is encoded as a whole."""
        if not self._tables.longest:
            return
        for span, decoded in runs(text):
            if self._holds_piece(decoded, depth):
                yield span
        resolved = view(text)
        if resolved is not None:
            yield from (resolved.origin(span) for span in self._tables.pieces(lower(resolved.text)))
            yield from (
                resolved.origin(span)
                for span, decoded in runs(resolved.text)
                if self._holds_piece(decoded, _DEEPEST_CODE)
            )

    def _holds_piece(self, decoded: str, depth: int) -> bool:
        """Return whether a decoded text holds a piece, or a code that does."""
        if any(True for _ in self._tables.pieces(lower(decoded))):
            return True
        return depth < _DEEPEST_CODE and any(True for _ in self._encoded_pieces(decoded, depth + 1))

    def scrub(self, document: object) -> bytes:
        """Return a decoded document as JSON, with known secrets and their pieces masked in its texts.

        It may be megabytes long, so escapes are not resolved.
        """
        raw = json.dumps(document)
        if not any(True for _ in self._tables.pieces(lower(raw))):
            return raw.encode()
        return json.dumps(self._without(document)).encode()

    def _without(self, document: object) -> object:
        match document:
            case str():
                return self._mask_pieces(document, len(document), resolve=False)
            case dict():
                return {self._without(name): self._without(value) for name, value in document.items()}
            case list():
                return [self._without(value) for value in document]
            case _:
                return document

    def _bounded(self, text: str) -> str:
        masked = self.mask_pieces(text, _LONGEST_QUOTE)
        more = len(text) - _LONGEST_QUOTE
        return masked if more <= 0 else f"{masked}… ({more:,} more characters)"

    def clean(self, value: object, name: str = "", depth: int = 0, *, pieces: bool = False) -> object:
        """Convert a value into plain data without secrets: text, numbers, lists and tables."""
        if value is None or isinstance(value, bool):
            return value
        if name and is_secret_name(name) and not (isinstance(value, int | float) and "token" in name.lower()):
            return MASK  # but a number of tokens is not a secret
        return self._plain(value, depth, pieces=pieces)

    def _plain(self, value: object, depth: int, *, pieces: bool) -> object:
        mask = self.mask_pieces if pieces else self.mask
        match value:
            case enum.Enum():
                return self.clean(value.value, depth=depth, pieces=pieces)
            case int() | float():
                return value
            case str():
                return self._bounded(value) if pieces else self.mask(value)
            case bytes() | bytearray():
                return mask(bytes(value).decode("utf-8", "backslashreplace"))
            case Path():
                return mask(str(value))
            case date():
                return value.isoformat()
            case Mapping() if depth < _DEEPEST:
                items = ((str(key), item) for key, item in value.items())
                return {mask(key): self.clean(item, key, depth + 1, pieces=pieces) for key, item in items}
            case list() | tuple() | Set() if depth < _DEEPEST:
                return [self.clean(item, depth=depth + 1, pieces=pieces) for item in value]
            case _:
                return mask(_represent(value))


def _joined(spans: Iterable[Span], gap: int = 0) -> list[Span]:
    """Join the spans, in the order of their beginnings, that touch or overlap, or have at most `gap` between them."""
    joined: list[Span] = []
    for start, end in spans:
        if joined and start <= joined[-1][1] + gap:
            joined[-1] = joined[-1][0], max(joined[-1][1], end)
        else:
            joined.append((start, end))
    return joined


def _beyond(whole: list[Span], pieces: list[Span]) -> Iterator[Span]:
    """Yield the pieces that are not inside whole secrets."""
    covering = iter(whole)
    start, end = next(covering, _NOWHERE)
    for piece in pieces:
        while end < piece[1] and (start, end) != _NOWHERE:
            start, end = next(covering, _NOWHERE)
        if not start <= piece[0] or (start, end) == _NOWHERE:
            yield piece


def _widened(text: str, start: int, end: int, by: int, matches: Callable[[str], bool]) -> Span:
    """Widen a span by a limited number of characters on each side, as long as they match."""
    first, last = max(0, start - by), min(len(text), end + by)
    while start > first and matches(text[start - 1]):
        start -= 1
    while end < last and matches(text[end]):
        end += 1
    return start, end


def _is_base64(character: str) -> bool:
    return character.isalnum() or character in "+/=_-"


def _is_visible(character: str) -> bool:
    return not character.isspace()


def _masked(text: str, spans: Iterable[Span]) -> str:
    """Replace each span with the mask; adjacent spans share one."""
    parts: list[str] = []
    done = 0
    for start, end in spans:
        if start > done or not parts:
            parts += [text[done : max(done, start)], MASK]
        done = max(done, end)
    return "".join(parts) + text[done:] if parts else text


def _represent(value: object) -> str:
    try:
        return repr(value)
    except Exception as error:  # noqa: BLE001  a broken __repr__ must not take the log line with it
        return f"<{type(value).__name__} that cannot be shown: {type(error).__name__}>"
