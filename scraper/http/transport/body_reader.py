"""Reads the bodies of answers within limits: one per answer, and one for all that a process reads at a time.

aiohttp decompresses in steps only when a body is read in steps: `read()` would decompress it whole, whatever its size.
"""

from dataclasses import dataclass, field

import aiohttp

from core.reddit.json_body import ERROR_BODY, MAX_BODY, too_large
from core.reddit.request_errors import TooLarge

#: Most bytes of all bodies that one process reads at a time, after decompression.
MAX_IN_FLIGHT = 2 * MAX_BODY

#: Most bytes of the answer to a token request.
TOKEN_BODY = 256 * 1024

_GOOD = 200
_MIB = 1024 * 1024
_SMALL, _BLOCK = 16 * 1024, _MIB


@dataclass(slots=True, eq=False)
class _Reading:
    """A body that is being read."""

    response: aiohttp.ClientResponse
    #: not one growing buffer: that would be copied repeatedly, and fragment the memory
    pieces: list[bytes | bytearray] = field(default_factory=list)
    size: int = 0
    is_dropped: bool = False

    def add(self, piece: bytes) -> None:
        """Add a piece; small ones are joined, since each object has its own overhead."""
        self.size += len(piece)
        last = self.pieces[-1] if self.pieces else b""
        if len(piece) >= _SMALL:
            self.pieces.append(piece)
        elif isinstance(last, bytearray) and len(last) < _BLOCK:
            last += piece
        else:
            self.pieces.append(bytearray(piece) if self.pieces else piece)


class BodyReader:
    """The bodies that one process reads. Used from one event loop."""

    def __init__(self, most_each: int = MAX_BODY, most_together: int = MAX_IN_FLIGHT) -> None:
        self._most_each = most_each
        self._most_together = most_together
        self._readings: set[_Reading] = set()
        self._together = 0

    @property
    def together(self) -> int:
        """Bytes of all bodies that are being read."""
        return self._together

    async def read(self, response: aiohttp.ClientResponse, most: int | None = None) -> bytes:
        """Read the body to its end, at most `most` bytes; of an error only its first part, which is enough.

        Raises TooLarge when the body exceeds its limit, or is the largest one while all together exceed theirs; its
        connection is then closed. Raises what aiohttp raises.
        """
        good, limit = response.status == _GOOD, most or self._most_each
        reading = _Reading(response)
        self._readings.add(reading)
        try:
            await self._gather(reading, limit if good else ERROR_BODY, good=good)
            if not response.closed:
                response.close()  # a switch of protocol (101): its connection is never released by itself
            return b"".join(reading.pieces)  # a single piece: returned itself, not a copy
        except BaseException as error:
            response.close()  # the rest is not read: the connection cannot be used again
            if reading.is_dropped and isinstance(error, aiohttp.ClientError):
                raise self._dropped_error() from None
            raise
        finally:
            self._end(reading)

    async def _gather(self, reading: _Reading, limit: int, *, good: bool) -> None:
        if good and (reading.response.content_length or 0) > limit:
            raise too_large(limit)
        async for piece in reading.response.content.iter_any():
            if reading.is_dropped:
                raise self._dropped_error()
            reading.add(piece)
            self._together += len(piece)
            if reading.size > limit:
                if good:
                    raise too_large(limit)
                reading.response.close()
                return
            self._make_room()

    def _make_room(self) -> None:
        """Abort the largest bodies while all together are too large; the others continue."""
        while self._together > self._most_together:
            largest = max(self._readings, key=lambda reading: reading.size)
            largest.is_dropped = True
            largest.response.close()
            self._drop(largest)

    def _end(self, reading: _Reading) -> None:
        self._readings.discard(reading)
        self._drop(reading)

    def _drop(self, reading: _Reading) -> None:
        self._together -= reading.size
        reading.pieces, reading.size = [], 0

    def _dropped_error(self) -> TooLarge:
        limit = self._most_together // _MIB
        return TooLarge(
            f"the largest of several answers that together exceed {limit} MB: dropped so that the others fit"
        )
