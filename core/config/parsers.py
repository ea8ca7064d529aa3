"""Parsers of plain values and names of subreddits, and the error of a parser that cannot accept a value.

Types are strict: true is not 1, "5" is not 5; no value is rounded or guessed.
"""

import math
import re
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

_UNITS = {"ms": 0.001, "s": 1.0, "m": 60.0, "h": 3600.0, "d": 86400.0, "w": 604800.0}
_PART = re.compile(r"(\d+(?:\.\d+)?)\s*(ms|s|m|h|d|w)")
_DURATION = re.compile(rf"(?:{_PART.pattern}\s*)+")

# Reddit allows 3 to 21 characters today; some old names have two. A user's profile is the subreddit u_NAME.
_SUBREDDIT = re.compile(r"[A-Za-z0-9_]{2,21}|u_[A-Za-z0-9_-]{2,20}", re.ASCII)
_SUBREDDIT_PREFIX = re.compile(r"^(?:https?://(?:[a-z]+\.)?reddit\.com)?/?(?P<kind>r|u|user)/", re.IGNORECASE)

_UNSET = object()


@dataclass(frozen=True, slots=True)
class Fault:
    """One reason why a value is wrong; `at` and `value` point at a part of it, such as `[2].url`.

    `plain`: the part cannot hold a secret, even where the setting may.
    """

    advice: str
    at: str = ""
    value: object = _UNSET
    plain: bool = False
    missing: bool = False  #: the part is missing, so there is nothing to show

    @property
    def has_value(self) -> bool:
        """Return whether the fault names a part instead of the whole value."""
        return self.value is not _UNSET


class InvalidValue(Exception):
    """A value is invalid; holds every reason found."""

    def __init__(self, *faults: Fault | str) -> None:
        self.faults = tuple(Fault(fault) if isinstance(fault, str) else fault for fault in faults)
        super().__init__("; ".join(fault.advice for fault in self.faults))


def boolean(raw: object) -> bool:
    """Parse true or false."""
    if isinstance(raw, bool):
        return raw
    raise InvalidValue("must be true or false, without quotes")


def whole(minimum: int, maximum: int | None = None) -> Callable[[object], int]:
    """Parse an integer within bounds."""
    bounds = f"{minimum} or more" if maximum is None else f"from {minimum} to {maximum}"

    def parse(raw: object) -> int:
        fits = isinstance(raw, int) and not isinstance(raw, bool)
        if isinstance(raw, int) and fits and raw >= minimum and (maximum is None or raw <= maximum):
            return raw
        raise InvalidValue(f"must be a whole number, {bounds}{_unquote(raw)}")

    return parse


def seconds(*, zero: bool = False) -> Callable[[object], float]:
    """Parse a duration: a number of seconds, or text with units: "90s", "30m", "24h", "7d", "1h30m"."""
    bounds = "0 or more" if zero else "more than 0"

    def parse(raw: object) -> float:
        value = _as_seconds(raw)
        if value is not None and math.isfinite(value) and (value > 0 or (zero and value == 0)):
            return value
        raise InvalidValue(f'must be a time, {bounds}: a number of seconds, or text such as "90s", "30m", "24h", "7d"')

    return parse


def ages(raw: object) -> tuple[float, ...]:
    """Parse a list of durations; return them ascending, each once."""
    if not isinstance(raw, list | tuple) or not raw:
        raise InvalidValue('must be a list of times, such as ["1h", "24h"]')
    parse, found, faults = seconds(), set(), []
    for index, item in enumerate(raw, start=1):
        try:
            found.add(parse(item))
        except InvalidValue as error:
            faults += [Fault(fault.advice, at=f"[{index}]", value=item) for fault in error.faults]
    if faults:
        raise InvalidValue(*faults)
    return tuple(sorted(found))


def _as_seconds(raw: object) -> float | None:
    if isinstance(raw, bool):
        return None
    if isinstance(raw, int | float):
        return float(raw)
    if isinstance(raw, str) and _DURATION.fullmatch(raw.strip()):
        return sum(float(number) * _UNITS[unit] for number, unit in _PART.findall(raw))
    return None


def choice(*known: str) -> Callable[[object], str]:
    """Parse one of a few words."""

    def parse(raw: object) -> str:
        if isinstance(raw, str) and raw in known:
            return raw
        from difflib import get_close_matches  # noqa: PLC0415 (memory of every process, for a mistake of few)

        near = get_close_matches(str(raw), known, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        raise InvalidValue("must be " + " or ".join(f'"{word}"' for word in known) + hint.replace("'", '"'))

    return parse


def text(raw: object) -> str:
    """Parse any text that is not empty."""
    if isinstance(raw, str) and raw.strip():
        return raw.strip()
    raise InvalidValue("must be text in quotes, and not empty")


def directory(raw: object) -> Path:
    """Parse the path of a directory, which need not exist yet; `~` is the home directory."""
    if not isinstance(raw, str | Path) or not str(raw).strip() or "\0" in str(raw):
        raise InvalidValue('must be the path of a directory, in quotes, such as "state"')
    try:
        path = Path(raw).expanduser()
        blocked = path.exists() and not path.is_dir()
    except (OSError, RuntimeError) as error:  # too long, not accessible, "~name" of an unknown user
        raise InvalidValue(f"cannot be used as a directory: {error}; name another one") from error
    if blocked:
        raise InvalidValue(
            "must be a directory, but there is a file of this name: name another directory, or move the file away"
        )
    return path


def kafka_name(raw: object) -> str:
    """Parse a name of a group or of a member of it; empty: the default name."""
    if isinstance(raw, str) and re.fullmatch(r"[A-Za-z0-9._-]{0,200}", raw.strip()):
        return raw.strip()
    raise InvalidValue("must consist of letters, digits, dots, underscores and hyphens, 200 at most")


def header_text(raw: object) -> str:
    """Parse text that is valid in an HTTP header: credentials and the User-Agent are sent there."""
    value = text(raw)
    if value.isascii() and value.isprintable():
        return value
    raise InvalidValue("must be one line of ASCII characters: it is sent in an HTTP header")


def _unquote(raw: object) -> str:
    return ", without quotes" if isinstance(raw, str) and raw.strip().lstrip("+-").isdigit() else ""


def subreddits(raw: object) -> tuple[str, ...]:
    """Parse a list of names; remove "r/", "/r/" and addresses before a name, and duplicates."""
    if not isinstance(raw, list | tuple):
        hint = f": [{raw!r}]".replace("'", '"') if isinstance(raw, str) else ', such as ["Bitcoin", "ethereum"]'
        raise InvalidValue(f"must be a list of names{hint}")
    names: dict[str, str] = {}
    faults: list[Fault] = []
    for index, item in enumerate(raw, start=1):
        name = _subreddit_name(item)
        if name is None:
            faults.append(Fault(_subreddit_advice(item), at=f"[{index}]", value=item))
        else:
            names.setdefault(name.casefold(), name)  # Reddit ignores case; keep the first spelling
    if faults:
        raise InvalidValue(*faults)
    return tuple(names.values())


def switch_or_subreddits(raw: object) -> bool | tuple[str, ...]:
    """Parse a switch, or a list of names, which is a switch that is on."""
    if isinstance(raw, bool):
        return raw
    if not isinstance(raw, list | tuple):
        raise InvalidValue('must be true or false, without quotes, or a list of names such as ["Bitcoin", "ethereum"]')
    if not raw:
        raise InvalidValue("must name at least one subreddit; false switches the stream off")
    return subreddits(raw)


def _subreddit_name(item: object) -> str | None:
    if not isinstance(item, str):
        return None
    name = item.strip()
    prefix = _SUBREDDIT_PREFIX.match(name)
    if prefix:
        name = name[prefix.end() :].rstrip("/")
        if prefix["kind"].lower() != "r":
            name = f"u_{name}"
    return name if _SUBREDDIT.fullmatch(name) else None


def _subreddit_advice(item: object) -> str:
    if isinstance(item, str) and re.search(r"[+,\s]", item.strip()):
        parts = [part for part in re.split(r"[+,\s]+", item.strip()) if part]
        return "must be one name; write several as " + ", ".join(f'"{part}"' for part in parts)
    return 'must be the name of a subreddit: 2 to 21 letters, digits or underscores, such as "Bitcoin"'
