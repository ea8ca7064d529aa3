"""The simulated Reddit for tests: started as a process, controlled and queried over HTTP."""

import json
import ssl
import sys
import threading
import time
from collections.abc import Sequence
from contextlib import suppress
from pathlib import Path
from typing import Any
from urllib.error import HTTPError
from urllib.request import Request, urlopen

from tests.support.ledger import Item
from tests.support.server import ServerProcess
from tests.support.waiting import wait_until

ROOT = Path(__file__).resolve().parents[2]
_LOOK_S = 1.0
_WINDOW_S = 600.0
SUBREDDITS = ("CryptoCurrency", "Bitcoin", "ethereum", "ethtrader")


class Simulator:
    """`python -m simulator` with its control API; options are those of its command line, spelled with underscores."""

    def __init__(
        self, directory: Path, *, subreddits: tuple[str, ...] = SUBREDDITS, trust: Path | None = None, **options: Any
    ) -> None:
        """`trust`: the root of the authority that signed its certificate."""
        self.subreddits = subreddits
        self.url = ""
        self._tls = None if trust is None else ssl.create_default_context(cafile=trust)
        command = [sys.executable, "-m", "simulator", "--port", "0", "--subreddits", *subreddits]
        for name, value in options.items():
            command += [f"--{name.replace('_', '-')}", *_words(value)]
        self.server = ServerProcess(command, directory / "simulator.out", cwd=ROOT)

    def start(self) -> None:
        self.server.start()
        ready = wait_until(self._listening, 40.0, "the simulator to listen")
        assert ready is not None
        self.url = ready["url"]

    def stop(self) -> None:
        self.server.stop()

    def truth(self) -> list[Item]:
        lines = self._call("GET", "/_sim/truth").splitlines()
        return [Item.from_truth(json.loads(line)) for line in lines if line.strip()]

    def stats(self) -> dict[str, Any]:
        answer: dict[str, Any] = json.loads(self._call("GET", "/_sim/stats"))
        return answer

    def requests(self, path: str = "") -> int:
        """Return the number of requests whose path contains `path`."""
        by_path: dict[str, int] = self.stats()["by_path"]
        return sum(count for name, count in by_path.items() if path in name)

    def faults(self, **faults: Any) -> None:
        """Set faults; `seconds` limits their duration."""
        self._call("POST", "/_sim/faults", faults)

    def clear_faults(self) -> None:
        self._call("DELETE", "/_sim/faults")

    def rule(self, **rule: Any) -> None:
        """Add a rule; see docs/simulator.md."""
        self._call("POST", "/_sim/rules", rule)

    def clear_rules(self) -> None:
        self._call("DELETE", "/_sim/rules")

    def freeze(self, seconds: float) -> None:
        """Accept requests without answering for this time, seconds; 0 ends it."""
        self._call("POST", "/_sim/freeze", {"seconds": seconds})

    def rates(self, **rates: float) -> None:
        """Set items per second; `seconds` makes it a burst."""
        self._call("POST", "/_sim/rates", rates)

    def generate(self, **counts: Any) -> None:
        """Create this number of items at once; `subreddit` and `age` as in docs/simulator.md."""
        self._call("POST", "/_sim/generate", counts)

    def pause(self) -> None:
        self._call("POST", "/_sim/pause")

    def resume(self) -> None:
        self._call("POST", "/_sim/resume")

    def subreddit(self, name: str, state: str) -> None:
        self._call("POST", "/_sim/subreddits", {"name": name, "state": state})

    def expire_tokens(self) -> None:
        self._call("POST", "/_sim/expire-tokens")

    def odd(self, stream: str, data: dict[str, Any]) -> None:
        """Create an item with exactly these fields."""
        self._call("POST", "/_sim/odd", {"kind": stream, "data": data})

    def change(self, op: str, fullname: str, **details: Any) -> dict[str, Any]:
        """Change an item later: `by`, `text` or `score` as in docs/simulator.md; return its line of the truth."""
        line: dict[str, Any] = json.loads(
            self._call("POST", "/_sim/change", {"op": op, "fullname": fullname, **details})
        )
        return line

    def changes(self, since: int = 0) -> list[dict[str, Any]]:
        """Return the truth of all changes after the one with this number, in order."""
        return _lines(self._call("GET", f"/_sim/truth/changes?since={since}"))

    def hide(self, **rule: Any) -> None:
        """Hide items from listings: `fullnames`, or a rule as in docs/simulator.md; `start` is its `from`."""
        if "start" in rule:
            rule["from"] = rule.pop("start")
        self._call("POST", "/_sim/hide", rule)

    def held(self) -> list[dict[str, Any]]:
        """Return every subreddit and user of the crawl world."""
        return _lines(self._call("GET", "/_sim/crawl/held"))

    def held_of(self, *, subreddits: Sequence[str] = (), users: Sequence[str] = ()) -> list[dict[str, Any]]:
        """Return those of these subreddits and users that exist."""
        wanted = {"subreddits": list(subreddits), "users": list(users)}
        return _lines(self._call("POST", "/_sim/crawl/held", wanted))

    def posts_of(self, ids: Sequence[str]) -> list[dict[str, Any]]:
        """Return the data of those of these posts that exist."""
        return [line["data"] for line in _lines(self._call("POST", "/_sim/crawl/posts", {"ids": list(ids)}))]

    def latencies(self, **seconds: float) -> None:
        """Set the latency of addresses, seconds."""
        self._call("POST", "/_sim/latencies", seconds)

    def asked(self) -> dict[str, Any]:
        """Return the requests of the crawl world, the answers sent completely, and the User-Agents."""
        answer: dict[str, Any] = json.loads(self._call("GET", "/_sim/crawl/asked"))
        return answer

    def _listening(self) -> dict[str, Any] | None:
        if not self.server.running:
            raise AssertionError(f"the simulator ended with {self.server.returncode}:\n{self.server.tail()}")
        for line in self.server.output.read_text().splitlines():
            if line.startswith("{") and '"listening"' in line:
                ready: dict[str, Any] = json.loads(line)
                return ready
        return None

    def _call(self, method: str, path: str, body: dict[str, Any] | None = None) -> str:
        data = None if body is None else json.dumps(body).encode()
        request = Request(f"{self.url}{path}", data, {"Content-Type": "application/json"}, method=method)
        try:
            with urlopen(request, timeout=30.0, context=self._tls) as answer:
                text: str = answer.read().decode()
                return text
        except HTTPError as refusal:
            raise AssertionError(f"{method} {path} {body}: {refusal.code} {refusal.read().decode()}") from None


class RequestWatch:
    """Counts the requests of each of Reddit's windows, all clients together; the quota is counted in these windows."""

    def __init__(self, simulator: Simulator) -> None:
        self._simulator = simulator
        #: by the number of the window: the count of all requests before it, and at its last look
        self._seen: dict[int, tuple[int, int]] = {}
        self._began = time.time()
        self._ended = self._began
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._watch, daemon=True)
        self._thread.start()

    @property
    def most(self) -> int:
        """The most requests in a window."""
        return max((last - first for first, last in self._seen.values()), default=0)

    @property
    def per_minute(self) -> float:
        """The average since the start."""
        total = max((last for _, last in self._seen.values()), default=0)
        return 60 * total / max(1.0, self._ended - self._began)

    def close(self) -> None:
        """Stop watching."""
        self._over.set()
        self._thread.join(10.0)

    def _watch(self) -> None:
        while not self._over.wait(_LOOK_S):
            with suppress(OSError):  # the simulator is busy or gone: the next look counts the same requests
                self._look(sum(self._simulator.stats()["by_client"].values()))

    def _look(self, total: int) -> None:
        self._ended = time.time()
        number = int(self._ended // _WINDOW_S)
        first, _ = self._seen.get(number, (max((last for _, last in self._seen.values()), default=0), 0))
        self._seen[number] = (first, total)


def _lines(text: str) -> list[dict[str, Any]]:
    # splitlines() would also split at characters within texts, such as U+2028
    return [json.loads(line) for line in text.split("\n") if line]


def _words(value: Any) -> list[str]:
    """Format an option's value for the command line; True is a bare flag."""
    if value is True:
        return []
    if isinstance(value, dict):
        return [json.dumps(value)]
    return [str(one) for one in value] if isinstance(value, (tuple, list)) else [str(value)]
