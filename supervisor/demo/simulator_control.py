"""Client of the simulator's control API, as far as the demo needs it."""

import json
import urllib.request
from collections.abc import Iterator, Mapping
from typing import Any

import orjson

from supervisor.demo.proof import Truth

_TIMEOUT = 10.0


class SimulatorControl:
    """The simulated Reddit at `url`. Raises OSError when it does not answer."""

    def __init__(self, url: str) -> None:
        self._url = url

    def stats(self) -> dict[str, Any]:
        """Return the counters of requests and items."""
        answer: dict[str, Any] = json.loads(self._call("GET", "stats"))
        return answer

    def truth(self) -> list[Truth]:
        """Return all items."""
        return [json.loads(line) for line in self._call("GET", "truth").splitlines()]

    def changes(self) -> list[dict[str, Any]]:
        """Return all later changes of items, in order."""
        return list(self._lines("truth/changes"))

    def delete_item(self, fullname: str) -> None:
        """Delete an item, as its author does."""
        self._call("POST", "change", {"op": "delete", "fullname": fullname})

    def crawl_held(self) -> Iterator[dict[str, Any]]:
        """Return every subreddit and user of the crawl world, with its served fields."""
        return self._lines("crawl/held")

    def crawl_posts(self) -> Iterator[dict[str, Any]]:
        """Return every post of the crawl world."""
        return self._lines("crawl/posts")

    def faults(self, faults: dict[str, float]) -> None:
        """Inject faults into these shares of the answers."""
        self._call("POST", "faults", faults)

    def no_faults(self) -> None:
        """Remove all faults."""
        self._call("DELETE", "faults")

    def rates(self, rates: dict[str, float]) -> None:
        """Change the item rates (per second), optionally for `seconds`."""
        self._call("POST", "rates", rates)

    def pause(self) -> None:
        """Stop new items."""
        self._call("POST", "pause", {})

    def _lines(self, name: str) -> Iterator[dict[str, Any]]:
        with urllib.request.urlopen(f"{self._url}/_sim/{name}", timeout=_TIMEOUT) as response:  # noqa: S310
            for line in response:
                yield orjson.loads(line)

    def _call(self, method: str, name: str, body: Mapping[str, object] | None = None) -> bytes:
        data = json.dumps(body).encode() if body is not None else None
        request = urllib.request.Request(f"{self._url}/_sim/{name}", data, method=method)  # noqa: S310 - our own http
        with urllib.request.urlopen(request, timeout=_TIMEOUT) as response:  # noqa: S310
            content: bytes = response.read()
        return content
