"""Declares a key of the configuration at its field: parser, default, variable, meaning."""

from collections.abc import Callable, Iterator
from dataclasses import MISSING, dataclass, field, fields
from pathlib import Path
from typing import TypeVar

from core.masking.redact import show

T = TypeVar("T")

_METADATA = "setting"

#: Every key has a variable of this form: GAPLESS_TABLE__KEY.
PREFIX = "GAPLESS_"

#: Replaces a value that may hold a secret.
HIDDEN = "(hidden)"


def never(_raw: object) -> bool:
    """Return False: any wrong value of a setting may hold a secret, since its shape is unknown."""
    return False


def _always(_raw: object) -> bool:
    return True


@dataclass(frozen=True, slots=True)
class Setting:
    """The definition of one key."""

    key: str
    parse: Callable[[object], object]
    default: object
    doc: str
    variable: str | None = None
    secret: bool = False
    in_file: bool = True
    plain: Callable[[object], bool] = _always

    @property
    def variables(self) -> tuple[str, ...]:
        """The variables that set the key, the stronger first."""
        general = f"{PREFIX}{self.key.replace('.', '__')}".upper()
        return (self.variable, general) if self.variable else (general,)

    def from_text(self, text: str) -> object:
        """Return the value of a variable: text where the key holds text, otherwise TOML if it is valid TOML."""
        return text if isinstance(self.default, str | Path) else toml_or_text(text)

    def show(self, raw: object, key: str = "") -> str:
        """Format a wrong value for display; of one that may hold a secret, nothing."""
        return HIDDEN if self.secret or not self.plain(raw) else show(raw, key or self.key)


def toml_or_text(text: str) -> object:
    """Return the TOML value that the text is, or the text itself."""
    import tomllib  # noqa: PLC0415 (only the supervisor reads the configuration: memory)

    try:
        return tomllib.loads(f"value = {text}")["value"]
    except tomllib.TOMLDecodeError:
        return text


@dataclass(frozen=True, slots=True)
class _Declaration:
    parse: Callable[[object], object]
    doc: str
    variable: str | None
    secret: bool
    in_file: bool
    plain: Callable[[object], bool]


def setting(
    parse: Callable[[object], T],
    default: T | Callable[[], T],
    doc: str,
    *,
    variable: str | None = None,
    secret: bool = False,
    in_file: bool = True,
    plain: Callable[[object], bool] = _always,
) -> T:
    """Declare a field of a section as a key of the configuration; a callable default returns a new value each time.

    `plain` returns whether a wrong value may be shown: it cannot hold a secret.
    """
    metadata = {_METADATA: _Declaration(parse, doc, variable, secret, in_file, plain)}
    made: T = (
        field(default_factory=default, metadata=metadata)
        if callable(default)
        else field(default=default, metadata=metadata)
    )
    return made


@dataclass(frozen=True, slots=True, repr=False)
class Section:
    """A table of the configuration. Its representation never shows a secret."""

    def __repr__(self) -> str:
        shown = []
        for each in fields(self):
            value = getattr(self, each.name)
            declared = each.metadata.get(_METADATA)
            hidden = isinstance(declared, _Declaration) and declared.secret and value
            text = repr(value) if isinstance(value, Section) else show(value, each.name)
            shown.append(f"{each.name}={'(hidden)' if hidden else text}")
        return f"{type(self).__name__}({', '.join(shown)})"


def settings_of(table: str, section: type[Section]) -> Iterator[Setting]:
    """Yield the keys that a section declares, in their order; those of a table inside it are that table's own."""
    for each in fields(section):
        if _METADATA not in each.metadata:
            continue
        declared = each.metadata[_METADATA]
        default = each.default_factory() if each.default_factory is not MISSING else each.default
        yield Setting(
            key=f"{table}.{each.name}",
            parse=declared.parse,
            default=default,
            doc=declared.doc,
            variable=declared.variable,
            secret=declared.secret,
            in_file=declared.in_file,
            plain=declared.plain,
        )
