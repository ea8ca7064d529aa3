"""A Dockerfile as a list of stages, each a list of instructions. Only what ours uses; anything else is an error."""

import json
import re
from dataclasses import dataclass, field
from pathlib import Path

_KNOWN = {
    "ARG", "FROM", "COPY", "RUN", "ENV", "WORKDIR", "USER", "VOLUME", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK",
    "ENTRYPOINT", "CMD",
}  # fmt: skip


@dataclass
class Stage:
    """From one FROM to the next."""

    base: str
    name: str
    steps: list[tuple[str, str]] = field(default_factory=list)

    def values(self, word: str) -> list[str]:
        return [value for one, value in self.steps if one == word]

    def array(self, word: str) -> list[str]:
        """The JSON array of ENTRYPOINT, CMD, VOLUME, or of HEALTHCHECK's CMD: the exec form, without a shell."""
        (value,) = self.values(word)
        found = json.loads(value[value.index("[") :])
        assert isinstance(found, list)
        return found

    def environment(self) -> dict[str, str]:
        return dict(pair.split("=", 1) for value in self.values("ENV") for pair in value.split())


def read(path: Path) -> list[Stage]:
    """Parse; ARGs before the first FROM are filled in with their defaults."""
    stages: list[Stage] = []
    defaults: dict[str, str] = {}
    for line in _lines(path.read_text()):
        word, _, value = line.partition(" ")
        assert word in _KNOWN, f"{word} is new here: teach tests/deploy/image.py what it does"
        if word == "ARG":
            name, _, default = value.partition("=")
            defaults[name] = default
        elif word == "FROM":
            base, _, name = value.partition(" AS ")
            stages.append(Stage(re.sub(r"\$\{(\w+)\}", lambda match: defaults[match[1]], base), name))
        else:
            stages[-1].steps.append((word, value.strip()))
    return stages


def _lines(text: str) -> list[str]:
    kept = [line for line in text.splitlines() if not line.lstrip().startswith("#")]
    joined = re.sub(r"\\\n\s*", "", "\n".join(kept))
    return [line.strip() for line in joined.splitlines() if line.strip()]
