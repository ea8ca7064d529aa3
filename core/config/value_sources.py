"""Reads values from the command line, environment, `.env` and file into one form, without validation."""

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from io import StringIO
from pathlib import Path

from core.config.setting import PREFIX, Setting
from core.config.variables import bare
from core.errors import Problem

#: Variables of librdkafka's properties: dots become "_".
_PROPERTY = f"{PREFIX}KAFKA__PRODUCER__"

COMMAND_LINE = "from the command line"
FILE = ""  # the message already names the file


@dataclass(frozen=True, slots=True)
class RawValue:
    """A value before it is parsed."""

    key: str
    raw: object
    source: str


def from_command_line(overrides: Mapping[str, object]) -> Iterator[RawValue]:
    """Yield the options that were given; None means that an option was not used."""
    properties: dict[str, object] = {}
    for key, raw in overrides.items():
        if key.startswith("kafka.producer."):
            properties[key.removeprefix("kafka.producer.")] = raw
        elif raw is not None:
            yield RawValue(key, raw, COMMAND_LINE)
    if properties:
        yield RawValue("kafka.producer", properties, COMMAND_LINE)


def from_variables(variables: Mapping[str, str | None], settings: Iterable[Setting], origin: str) -> Iterator[RawValue]:
    """Yield the variables that name a key. An empty one counts as not set, as `${NAME:-}` in a compose file does.

    Quotes and spaces around a value are reported by core.config.variables, and removed here.
    """
    settings = list(settings)
    known = [name for setting in settings for name in setting.variables]
    for setting in settings:
        for name in setting.variables:
            raw = variables.get(name)
            if raw is not None and raw.strip():
                yield RawValue(setting.key, setting.from_text(bare(raw, known)), f"{name} {origin}")
    properties = {
        name.removeprefix(_PROPERTY).lower().replace("_", "."): bare(raw, known)
        for name, raw in variables.items()
        if name.startswith(_PROPERTY) and raw is not None and raw.strip()
    }
    if properties:
        yield RawValue("kafka.producer", properties, f"{_PROPERTY}… {origin}")


def dotenv_file(config_path: Path | None) -> Path | None:
    """Return the path of `.env`: in the working directory, else beside the configuration."""
    places = [Path(".env")] + ([config_path.parent / ".env"] if config_path else [])
    return next((place for place in places if place.is_file()), None)


def read_dotenv(path: Path) -> tuple[dict[str, str | None], list[Problem]]:
    """Read `.env` without changing the environment and without expanding $NAME: secrets may hold any character."""
    from dotenv.parser import parse_stream  # noqa: PLC0415  spawned processes get a ready Config and never come here

    text, problems = _read(path)
    values: dict[str, str | None] = {}
    for binding in parse_stream(StringIO(text)):
        if binding.error:  # not shown: it may hold a secret
            blank = len(binding.original.string) - len(binding.original.string.lstrip("\r\n"))
            where = f"{path}, line {binding.original.line + blank}"
            problems.append(
                Problem(where, 'is not NAME=value: close the quotes around the value; begin a comment with "#"')
            )
        elif binding.key:
            values[binding.key] = binding.value
    return values, problems


def read_file(path: Path) -> tuple[dict[str, object], list[Problem]]:
    """Read the TOML document, or report why it cannot be read and how to fix it."""
    if not path.exists():
        return {}, [_missing(path)]
    import tomllib  # noqa: PLC0415 (only the supervisor reads the file: memory)

    text, problems = _read(path)
    try:
        return tomllib.loads(text), problems
    except tomllib.TOMLDecodeError as error:
        # Do not show the line itself: it may hold a password.
        advice = (
            f"is not valid TOML: {error}\n"
            "write text in quotes, true and false without quotes, and each key only once in its table"
        )
        return {}, [Problem(str(path), advice)]


def _read(path: Path) -> tuple[str, list[Problem]]:
    try:
        return path.read_text(encoding="utf-8-sig"), []  # editors on Windows add a byte order mark
    except UnicodeDecodeError as error:
        return "", [Problem(str(path), f"is not UTF-8 (byte {error.start}): save it as UTF-8")]
    except OSError as error:
        return "", [Problem(str(path), f"cannot be read: {error.strerror or error}; check its path and permissions")]


def _missing(path: Path) -> Problem:
    folder = path.parent
    others = sorted(other.name for other in folder.glob("*.toml")) if folder.is_dir() else []
    near = [name for name in others if name != "pyproject.toml"]
    there = f"\nother files in {folder.absolute()}: {', '.join(near)}" if near else ""
    return Problem(
        str(path),
        "does not exist: copy config.toml from the root of the repository, which explains every key.\n"
        "Every key has a default, so two lines are enough:\n\n"
        f'    [reddit]\n    subreddits = ["Bitcoin"]{there and chr(10)}{there}',
    )
