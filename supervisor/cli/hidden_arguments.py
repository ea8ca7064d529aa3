"""Masks secrets in our own command line, which every user of the machine can read with `ps`."""

import sys
from collections.abc import Sequence

from core.masking.redact import MASK, is_secret_name

#: Keys whose values may hold a secret.
_MAY_HOLD = ("kafka.producer", "database.url", "scraper.proxies", "reddit.client_secret", "monitor.token")


def masked(words: Sequence[str]) -> list[str]:
    """Return the command line with the values of `--set` that may hold a secret masked. Pure."""
    return [_masked(word) for word in words]


def hide_secrets() -> None:
    """Mask our own command line if needed. A file or the environment is the better place for a secret."""
    shown = masked(sys.orig_argv)
    if shown != sys.orig_argv:
        import setproctitle  # noqa: PLC0415  seldom needed

        setproctitle.setproctitle(" ".join(shown))


def _masked(word: str) -> str:
    key, equals, _ = word.partition("=")
    if key == "--set" and equals:  # --set=KEY=VALUE
        return f"--set={_masked(word.removeprefix('--set='))}"
    return f"{key}={MASK}" if equals and (key.strip().startswith(_MAY_HOLD) or is_secret_name(key)) else word
