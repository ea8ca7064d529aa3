"""Limits the output that a child prints outside its logger: bursts pass, a flood is cut and counted."""

from collections.abc import Callable

_BURST = 262_144  # bytes
_PER_SECOND = 8_192.0
_AGAIN_FROM = 65_536.0  # bytes: once the bucket is empty, output resumes only from this level, not line by line


class OutputLimit:
    """A bucket of bytes that refills at a constant rate."""

    def __init__(self, clock: Callable[[], float]) -> None:
        self._clock = clock
        self._left = float(_BURST)
        self._at = clock()
        self.used_up = False
        self.dropped_lines = 0
        self.dropped_bytes = 0

    def take(self, size: int, lines: int) -> bool:
        """Return whether this many bytes may pass; count them as dropped otherwise."""
        now = self._clock()
        self._left = min(_BURST, self._left + (now - self._at) * _PER_SECOND)
        self._at = now
        if self.used_up and self._left >= _AGAIN_FROM:
            self.used_up = False
        if not self.used_up and size <= self._left:
            self._left -= size
            return True
        self.used_up = True
        self.dropped_lines += lines
        self.dropped_bytes += size
        return False

    def dropped(self) -> dict[str, int]:
        """Return the dropped counts since the last call and reset them; empty when there are none."""
        if not self.dropped_lines:
            return {}
        told = {"lines": self.dropped_lines, "bytes": self.dropped_bytes}
        self.dropped_lines = self.dropped_bytes = 0
        return told
