"""Shares what the streams have lately learned about the names of subreddits, through a small file of each stream.

The streams poll the same subreddits, and what one cannot read, no other can. With thousands of names, each would send a
request for every hundred of them, and one for every name that is refused. The file saves half of these requests. A
finding that is missing, old or invalid only costs the request.
"""

import json
from collections.abc import Callable, Collection, Iterable, Mapping
from pathlib import Path

import structlog

from core.storage.private_files import replace_json

#: Findings are used for this time, seconds: a subreddit may become readable at any moment.
_FRESH_S = 300.0

log = structlog.stdlib.get_logger(__name__)


class SharedFindings:
    """The findings of all streams of an installation.

    Args:
        state_dir: the directory of the files; None: nothing is shared.
        stream: the name of this stream.
        wall: this machine's clock, epoch seconds.
    """

    def __init__(self, state_dir: Path | None, stream: str, wall: Callable[[], float]) -> None:
        self._directory = state_dir
        self._own = _file_name(stream)
        self._wall = wall
        #: by name in lower case: whether the server describes it as readable, and when it did
        self._described: dict[str, tuple[bool, float]] = {}
        #: by name in lower case: when a request for it and others was answered (with True)
        self._answered: dict[str, tuple[bool, float]] = {}
        #: by name in lower case: why it was refused, and when
        self._refused: dict[str, tuple[str, float]] = {}
        #: the files of the others: by path, what distinguishes its version, and the content
        self._others: dict[Path, tuple[object, Mapping[str, object]]] = {}

    def describe(self, names: Iterable[str], readable: Collection[str]) -> None:
        """Record the server's description of these names; `readable` are in lower case."""
        now = self._wall()
        self._described |= {name.lower(): (name.lower() in readable, now) for name in names}
        self._write()

    def answer(self, names: Iterable[str]) -> None:
        """Record that a request for these names together, in lower case, was answered."""
        self._answered |= dict.fromkeys(names, (True, self._wall()))
        self._write()

    def answered(self, names: Iterable[str]) -> dict[str, bool]:
        """Return those of the names that were answered lately to any stream, each with True."""
        entries = [self._answered, *self._others_entries("answered")]
        return {name: True for name in names for one in entries if self._fresh(one.get(name.lower())) is True}

    def refuse(self, name: str, reason: str) -> None:
        """Record that Reddit refused this name, with a reason of its own."""
        self._refused[name.lower()] = (reason, self._wall())
        self._write()

    def described(self, names: Iterable[str]) -> dict[str, bool]:
        """Return whether the server describes these names as readable, as far as any stream has asked."""
        entries = [self._described, *self._others_entries("described")]
        return {
            name: found
            for name in names
            for one in entries
            if isinstance(found := self._fresh(one.get(name.lower())), bool)
        }

    def has_suspects(self) -> bool:
        """Return whether any stream has lately found names that the server does not describe as readable."""
        entries = [self._described, *self._others_entries("described")]
        return any(self._fresh(entry) is False for one in entries for entry in one.values())

    def refusal(self, name: str) -> str | None:
        """Return the reason for which Reddit has just refused this name to another stream."""
        for one in self._others_entries("refused"):
            if isinstance(reason := self._fresh(one.get(name.lower())), str):
                return reason
        return None

    def _fresh(self, entry: object) -> object:
        if not isinstance(entry, list | tuple) or len(entry) != 2:
            return None
        finding, at = entry
        recent = isinstance(at, int | float) and abs(self._wall() - at) < _FRESH_S
        return finding if recent else None

    def _others_entries(self, kind: str) -> list[Mapping[str, object]]:
        entries = []
        for path in () if self._directory is None else self._directory.glob(_file_name("*")):
            content = None if path.name == self._own else self._content(path).get(kind)
            if isinstance(content, Mapping):
                entries.append(content)
        return entries

    def _content(self, path: Path) -> Mapping[str, object]:
        try:
            status = path.stat()
            version = (status.st_ino, status.st_mtime_ns, status.st_size)
            if path not in self._others or self._others[path][0] != version:
                content = json.loads(path.read_text(encoding="utf-8"))
                self._others[path] = version, content if isinstance(content, Mapping) else {}
        except (OSError, ValueError):
            return {}
        return self._others[path][1]

    def _write(self) -> None:
        if self._directory is None:
            return
        oldest = self._wall() - _FRESH_S
        self._described = {name: entry for name, entry in self._described.items() if entry[1] > oldest}
        self._refused = {name: entry for name, entry in self._refused.items() if entry[1] > oldest}
        self._answered = {name: entry for name, entry in self._answered.items() if entry[1] > oldest}
        content = {"described": self._described, "refused": self._refused, "answered": self._answered}
        try:
            replace_json(self._directory / self._own, content)
        except OSError as error:
            log.info("findings_not_shared", error=str(error))


def _file_name(stream: str) -> str:
    return f"subreddits-{stream}.json"
