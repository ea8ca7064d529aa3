"""Calls of librdkafka that may never return, made so that the process notices.

`send_offsets_to_transaction` ignores its timeout: it waits for a broker that was the group's coordinator and has left,
until the client is closed (librdkafka issues 5456 and 5511). No thread can be interrupted in it, so the process must
end; its successor has a new client.
"""

import queue
import threading
from collections.abc import Callable

from core.errors import TransientError

#: Far more than a slow broker takes, less than a session: the successor of this process still is the same member.
_LIMIT_S = 3.0


class GuardedCall:
    """Runs one call at a time in a thread of its own.

    Args:
        what: names the call in the error.
        limit: seconds after which a call counts as lost.
    """

    def __init__(self, what: str, limit: float = _LIMIT_S) -> None:
        self._what = what
        self._limit = limit
        self._calls: queue.SimpleQueue[Callable[[], object]] = queue.SimpleQueue()
        self._results: queue.SimpleQueue[BaseException | None] = queue.SimpleQueue()
        self._thread: threading.Thread | None = None

    def run(self, call: Callable[[], object]) -> None:
        """Run the call; raise what it raises, and TransientError if it does not return."""
        if self._thread is None:
            # a daemon: a lost call must not keep the process from its end
            self._thread = threading.Thread(target=self._serve, name=self._what, daemon=True)
            self._thread.start()
        self._calls.put(call)
        try:
            error = self._results.get(timeout=self._limit)
        except queue.Empty:
            raise TransientError(
                f"{self._what} has not returned within {self._limit:g} s: Kafka's client waits for a broker that is"
                " gone; this process ends, and the next one connects anew"
            ) from None
        if error is not None:
            raise error

    def _serve(self) -> None:
        while True:
            call = self._calls.get()
            try:
                call()
            except BaseException as error:  # noqa: BLE001  (raised again in the thread that asked)
                self._results.put(error)
            else:
                self._results.put(None)
