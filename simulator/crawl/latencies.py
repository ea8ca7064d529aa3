"""The latency of each client address."""

from collections.abc import Mapping

from simulator.crawl.crawl_paths import Address


class LatencyError(ValueError):
    """A latency that cannot be; the message says what would be right."""


class Latencies:
    """Seconds by address; what is not named answers at once."""

    def __init__(self, seconds: Mapping[str, float]) -> None:
        self._seconds: dict[str, float] = {address.value: 0.0 for address in Address}
        self.change(seconds)

    def of(self, address: Address) -> float:
        """Return the seconds that an address takes."""
        return self._seconds[address]

    def change(self, seconds: Mapping[str, object]) -> None:
        """Merge changes into what is in force; all or nothing."""
        for name, value in seconds.items():
            if name not in self._seconds:
                raise LatencyError(f"no address is called {name}: known are {', '.join(self._seconds)}")
            if isinstance(value, bool) or not isinstance(value, int | float) or not 0 <= value < float("inf"):
                raise LatencyError(f"{name} = {value!r}: give seconds, 0 or more")
        self._seconds.update({name: float(str(value)) for name, value in seconds.items()})

    def tell(self) -> dict[str, float]:
        """Return every address with its seconds."""
        return dict(self._seconds)
