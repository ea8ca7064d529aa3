"""Delays clients that sent wrong tokens. Pure."""

from collections import OrderedDict
from dataclasses import dataclass

#: Free tries, since people mistype. Then the pause doubles with each, up to the longest (seconds).
_FREE = 5
_MAX_PAUSE_S = 60.0

#: The same for all addresses together.
_FREE_IN_TOTAL = 40
_MAX_PAUSE_IN_TOTAL_S = 10.0

#: A client that was silent for this time starts again, seconds.
_FORGET_S = 600.0

_MAX_ADDRESSES = 1024
_MAX_TRUSTED = 64


@dataclass(slots=True)
class _Tries:
    failures: int = 0
    last: float = 0.0

    def add(self, now: float) -> None:
        self.failures = self.failures + 1 if now - self.last < _FORGET_S else 1
        self.last = now

    def wait(self, now: float, free: int, max_pause: float) -> float:
        over = self.failures - free
        if over < 0 or now - self.last >= _FORGET_S:
            return 0.0
        return max(0.0, self.last + min(max_pause, 2.0 ** min(over, 30)) - now)


class TokenThrottle:
    """Remembers wrong tries per address, for a bounded number of addresses, and in total.

    At the total limit, an address that sent the right token before does not wait for the others.
    """

    def __init__(self) -> None:
        self._by_address: OrderedDict[str, _Tries] = OrderedDict()
        self._trusted: OrderedDict[str, None] = OrderedDict()
        self._all = _Tries()

    def wait(self, address: str, now: float) -> float:
        """Return the seconds until a try of this address is checked; 0: now."""
        own = self._by_address.get(address)
        seconds = own.wait(now, _FREE, _MAX_PAUSE_S) if own is not None else 0.0
        if address in self._trusted:
            return seconds
        return max(seconds, self._all.wait(now, _FREE_IN_TOTAL, _MAX_PAUSE_IN_TOTAL_S))

    def failed(self, address: str, now: float) -> None:
        """Note a wrong token."""
        self._by_address.setdefault(address, _Tries()).add(now)
        self._by_address.move_to_end(address)
        if len(self._by_address) > _MAX_ADDRESSES:
            self._by_address.popitem(last=False)
        self._all.add(now)

    def succeeded(self, address: str) -> None:
        """Note the right token."""
        self._by_address.pop(address, None)
        self._trusted[address] = None
        self._trusted.move_to_end(address)
        if len(self._trusted) > _MAX_TRUSTED:
            self._trusted.popitem(last=False)

    def __len__(self) -> int:
        return len(self._by_address)
