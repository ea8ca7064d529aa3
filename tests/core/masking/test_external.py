"""No secret, in no form, and no piece that a cut leaves over, stands in a text that comes from outside."""

import base64
import html
import json
import time
from collections.abc import Callable
from datetime import UTC, datetime
from urllib.parse import quote, quote_plus

import pytest
from hypothesis import given
from hypothesis import strategies as st

from core.masking import external
from core.masking.external import BOUND, hide, hide_token, masked
from core.masking.masking import Masker
from core.masking.redact import MASK, redact, redact_url
from core.reddit.answers import classify

CLIENT_ID = "an-id-of-ours"
SECRET = "k7Qz~pa/ss+W0rd?x=9%&\"ü'"
TOKEN = "eyJhbGciOiJSUzI1NiIsImtpZCI6IlNIQTI1NjpzS3.eyJzdWIiOiJsb2lkIiwiZXhwIjoxNz.SflKxwRJ-SMeKKF2QT4"


def _base64(text: str, before: str = "") -> str:
    return base64.b64encode((before + text).encode()).decode()


FORMS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "in lower case": str.lower,
    "percent-encoded": lambda text: quote(text, safe=""),
    "percent-encoded, lower case": lambda text: quote(text, safe="").lower(),
    "percent-encoded, / as it is": quote,
    "of a form": quote_plus,
    "JSON": lambda text: json.dumps(text)[1:-1],
    "JSON, not ASCII": lambda text: json.dumps(text, ensure_ascii=False)[1:-1],
    "JSON of PHP": lambda text: json.dumps(text)[1:-1].replace("/", "\\/"),
    "repr": lambda text: repr(text)[1:-1],
    "repr of bytes": lambda text: repr(text.encode())[2:-1],
    "HTML": html.escape,
    "hexadecimal": lambda text: text.encode().hex(),
    "UTF-8 read as Latin-1": lambda text: text.encode().decode("latin-1"),
    **{f"base64 after {n}": lambda text, n=n: _base64(text, "x" * n) for n in range(4)},  # type: ignore[misc]
    **{
        f"base64 for URLs after {n}": lambda text, n=n: base64.urlsafe_b64encode(b"x" * n + text.encode()).decode()  # type: ignore[misc]
        for n in range(4)
    },
    "id:secret": lambda text: f"{CLIENT_ID}:{text}",
    "Basic": lambda text: f"Basic {_base64(f'{CLIENT_ID}:{text}')}",
    "base64 of id:secret in more": lambda text: _base64(f"a {CLIENT_ID}:{text} b", "c"),
}


@pytest.fixture(autouse=True)
def secrets() -> None:
    hide(SECRET, logins=[(CLIENT_ID, SECRET)])
    hide_token(TOKEN)


def pieces(secret: str, length: int) -> list[str]:
    """All parts of a secret of this length, in each form."""
    forms = {form(secret) for form in FORMS.values()}
    return [text[at : at + length] for text in forms for at in range(len(text) - length + 1)]


def leaked(text: str, encoded: str, length: int = 6) -> list[str]:
    """The parts of so many characters of an encoded secret that a text shows. Words of ours do not count."""
    ours = f"{CLIENT_ID}:, Basic , basic"
    parts = (encoded[at : at + length] for at in range(len(encoded) - length + 1))
    return [part for part in parts if part in text and part not in ours and part not in f"{MASK * 4}{'x' * 9}"]


@pytest.mark.parametrize("form", FORMS)
@pytest.mark.parametrize("secret", [SECRET, TOKEN], ids=["secret", "token"])
def test_no_form_is_shown(form: str, secret: str) -> None:
    encoded = FORMS[form](secret)
    for text in (encoded, f"before {encoded} after", f'{{"reason": "{encoded}"}}', f"a={encoded}&b=1"):
        assert not leaked(external.outside(text), encoded), external.outside(text)


def _each(pattern: str) -> Callable[[str], str]:
    """Escape each byte, which no form of ours does."""
    return lambda text: "".join(pattern % byte for byte in text.encode())


DISGUISES: dict[str, Callable[[str], str]] = {
    "percent-encoded each": _each("%%%02X"),
    "percent-encoded twice": lambda text: quote(quote(text, safe=""), safe=""),
    "percent-encoded each, twice": lambda text: quote(_each("%%%02X")(text), safe=""),
    "escapes of JSON each": lambda text: "".join(f"\\u{ord(character):04x}" for character in text),
    "escapes of JSON each, twice": lambda text: "".join(f"\\\\u{ord(character):04X}" for character in text),
    "escapes of Python each": _each("\\x%02x"),
    "octal each": _each("\\%03o"),
    "HTML each": lambda text: "".join(f"&#{ord(character)};" for character in text),
    "HTML each, hexadecimal, twice": lambda text: "".join(f"&amp;#x{ord(character):x};" for character in text),
    "quoted-printable each": _each("=%02X"),
    "every second one": lambda text: "".join(c if at % 2 else f"%{ord(c):02x}" for at, c in enumerate(text)),
    "hexadecimal with colons": lambda text: text.encode().hex(":"),
    "numbers": lambda text: " ".join(map(str, text.encode())),
    "numbers of C": lambda text: ", ".join(map(hex, text.encode())),
    "base64 twice": lambda text: _base64(_base64(text)),
    "base64 of Basic": lambda text: _base64(f"Basic {_base64(f'{CLIENT_ID}:{text}')}"),
    "base64 of UTF-16": lambda text: base64.b64encode(text.encode("utf-16-le")).decode(),
    "UTF-16": "\0".join,
    "folded lines": lambda text: "\r\n ".join(text[at : at + 5] for at in range(0, len(text), 5)),
    "invisible characters between": "\u200b".join,
    "upper case": str.upper,
}


@pytest.mark.parametrize("disguise", DISGUISES)
@pytest.mark.parametrize("secret", [SECRET, TOKEN], ids=["secret", "token"])
def test_no_disguise_is_shown(disguise: str, secret: str) -> None:
    hidden = DISGUISES[disguise](secret)
    for text in (
        hidden,
        f"before {hidden} after",
        f'{{"reason": "{hidden}"}}',
        f"before {hidden[: len(hidden) * 3 // 4]}",
    ):
        shown = external.outside(text, 2000)
        assert MASK in shown
        assert len(shown) <= len("before reason *** *** *** after") + 12, shown


@pytest.mark.parametrize("form", [name for name in FORMS if "id:secret" not in name and name != "Basic"])
def test_whoever_shows_it_later_masks_whole_secrets(form: str) -> None:
    shown = masked(f"before {FORMS[form](SECRET)} after")
    assert MASK in shown
    assert len([part for part in pieces(SECRET, 9) if part in shown]) <= 1


@given(
    before=st.integers(0, 60),
    form=st.sampled_from(sorted(FORMS)),
    start=st.integers(0, 60),
    end=st.integers(1, 200),
    shown=st.integers(5, 80),
)
def test_no_piece_is_left_whoever_cuts(before: int, form: str, start: int, end: int, shown: int) -> None:
    """A library that quotes a part of what it read, a packet that ends, our own cut."""
    external.known = Masker()
    hide(SECRET, logins=[(CLIENT_ID, SECRET)])
    encoded = FORMS[form](SECRET)[start:][:end]
    text = external.outside(f"{'y' * before} {encoded}", shown)
    if form == "id:secret":
        encoded = encoded.rpartition(":")[2]  # the id is no secret
    # the first and last characters of base64 also hold what stands beside the secret
    assert not leaked(text, encoded, 10 if "ase64" in form or form == "Basic" else 6)


@pytest.mark.parametrize("offset", [0, 1, 5, 12, 23])
def test_a_secret_across_the_bound_leaves_nothing(offset: int) -> None:
    for filler in ("z", SECRET):  # masked, the text before it becomes much shorter than what is shown
        text = (filler * BOUND)[: BOUND - offset] + SECRET
        assert not leaked(external.outside(text, 100_000), SECRET)


def test_a_text_is_bounded_then_masked_then_cut() -> None:
    text = external.outside(f"{'a ' * 20}{SECRET}{'b' * 10_000_000}", 50)
    assert len(text) == 50
    assert MASK in text
    assert text.endswith("…")
    assert external.outside(f"{'a ' * 24}{SECRET}", 50) == "a " * 24 + "*…"


def test_a_text_stays_on_its_line() -> None:
    assert external.outside("RED\r\nsubmissions \x1b[31m\0 forged\u202e\u2028row") == (
        "RED submissions \\x1b[31m\\x00 forged\\u202e row"
    )
    assert external.outside(b"\xff\x00") == "\N{REPLACEMENT CHARACTER}\\x00"


def test_ordinary_words_stay() -> None:
    text = "ClientConnectorError: cannot connect to host 127.0.0.1:8080 ssl:default [Connection refused]"
    assert external.outside(text) == text


def test_a_short_secret_is_masked_beside_its_user_only() -> None:
    hide("abc", logins=[("me", "abc")])
    assert external.outside("the abc of me:abc") == "the abc of ***"
    assert _base64("me:abc") not in external.outside(f"Basic {_base64('me:abc')}")


def test_tokens_are_forgotten_after_some_newer_ones() -> None:
    tokens = [f"token-{number}-{number * 7919**5}" for number in range(12)]
    for token in tokens:
        hide_token(token)
    assert all(masked(token) == MASK for token in tokens[-4:])
    assert masked(tokens[0]) == tokens[0]
    assert MASK in masked(f"x {SECRET}")


@pytest.mark.parametrize("token", ["error", "subreddits", "a"])
def test_a_server_cannot_mask_our_words_by_its_tokens(token: str) -> None:
    hide_token(token)
    assert external.outside(f"{token} and more") == f"{token} and more"


def test_a_key_in_pem_is_known_by_each_of_its_lines() -> None:
    lines = ["-----BEGIN PRIVATE KEY-----", "MIIEvQIBADANBgkqhkiG9w0BAQEF", "AASCBKcwggSjAgEAAoIBAQDJ", "-----END"]
    hide("\n".join(lines))
    assert masked(f"bad line: {lines[1]}") == "bad line: ***"
    assert masked(lines[0]) == lines[0]


def test_an_unknown_access_token_is_masked_by_its_shape() -> None:
    assert redact(f"token {TOKEN.replace('Q', 'R')} end") == "token *** end"


#: Texts over which a pattern with two unbounded parts takes time as the square of their length.
HOSTILE: dict[str, Callable[[int], str]] = {
    "@a:a:a": lambda n: "http://x/@" + "a:" * (n // 2),
    "a:/": lambda n: "a:/" * (n // 3) + "@",
    "://": lambda n: "a://" * (n // 4) + "@",
    ":@": lambda n: ":@" * (n // 2),
    "@": lambda n: "@" * n + ":",
    "?password": lambda n: "?password" * (n // 9) + "=",
    "&": lambda n: "&" * n + "=",
    "?aaa": lambda n: "?" + "a" * n + "=",
    "eyJ": lambda n: "eyJ" * (n // 3),
    "eyJ.": lambda n: "eyJaaaaaaaa." * (n // 12),
    "basic": lambda n: "basic " * (n // 6),
    "basic and spaces": lambda n: "basic" + " " * n,
    "%25": lambda n: "%25" * (n // 3),
    "backslashes": lambda n: "\\" * n,
    "&amp;": lambda n: "&amp;" * (n // 5) + "#",
    "numbers": lambda n: "10 " * (n // 3) + "x",
    "base64 in base64": lambda n: _base64(_base64("\\u0041" * n)[:n]),
    "the secret": lambda n: SECRET * (n // len(SECRET)),
    "its beginning": lambda n: SECRET[:5] * (n // 5),
}


def _seconds(work: Callable[[str], object], text: str) -> float:
    best = float("inf")
    for _ in range(3):
        before = time.process_time()
        work(text)
        best = min(best, time.process_time() - before)
    return best


@pytest.mark.parametrize("name", HOSTILE)
@pytest.mark.parametrize("work", [redact_url, redact, masked, external.known.mask_pieces, external.outside])
def test_the_time_grows_with_the_length(name: str, work: Callable[[str], object]) -> None:
    """Eight times the length: about eight times the time, where the square would take 64 times as long."""
    small, large = _seconds(work, HOSTILE[name](8_000)), _seconds(work, HOSTILE[name](64_000))
    assert large < max(24 * small, 0.05)


@pytest.mark.parametrize(
    "target", ["http://x/@" + "a:" * 32_000, "a:/" * 32_000, "http://[" + "@a:" * 20_000, "/" * 64_000]
)
def test_a_redirect_of_64_kb_is_told_in_a_line(target: str) -> None:
    before = time.process_time()
    error = classify(302, {"location": target}, b"", datetime.now(UTC))
    text = masked(str(error))
    assert time.process_time() - before < 0.2
    assert len(text) < 300
