"""The latency of each client address."""

from collections.abc import Mapping

from simulator.crawl.crawl_paths import Address


class LatencyError(ValueError):
    """An invalid latency; the message says what is valid."""


class Latencies:
    """Seconds by address; others answer at once."""

    def __init__(self, seconds: Mapping[str, float]) -> None:
        self._seconds: dict[str, float] = {address.value: 0.0 for address in Address}
        self.change(seconds)

    def of(self, address: Address) -> float:
        """Return the latency of an address, seconds."""
        return self._seconds[address]

    def change(self, seconds: Mapping[str, object]) -> None:
        """Merge changes into the current values; all or nothing."""
        for name, value in seconds.items():
            if name not in self._seconds:
                raise LatencyError(f"no address is called {name}: known are {', '.join(self._seconds)}")
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
                raise LatencyError(f"{name} = {value!r}: give seconds, 0 or more")
        self._seconds.update({name: float(str(value)) for name, value in seconds.items()})

    def tell(self) -> dict[str, float]:
        """Return every address with its seconds."""
        return dict(self._seconds)
