"""Baseline of an idle supervisor: children that send a message twice a second, and a loop that reads it from a queue.

`python -m bench.supervision.bare_loop CHILDREN`
"""

import multiprocessing
import os
import sys
import time
from multiprocessing import Queue, connection
from typing import Any

_EVERY = 0.5


def _beat(queue: "Queue[tuple[str, float]]", parent: int) -> None:
    while os.getppid() == parent:
        queue.put(("beat", time.monotonic()))
        time.sleep(_EVERY)


def _listen(count: int) -> None:
    context = multiprocessing.get_context("spawn")
    queues: dict[Any, Queue[tuple[str, float]]] = {}
    for _ in range(count):
        queue: Queue[tuple[str, float]] = context.Queue()
        context.Process(target=_beat, args=(queue, os.getpid()), daemon=True).start()
        queues[queue._reader] = queue  # type: ignore[attr-defined]  # noqa: SLF001 - there is no public name for it
    for queue in queues.values():
        queue.get()
    print("listening", flush=True)
    while True:
        for reader in connection.wait(list(queues)):
            queues[reader].get()


if __name__ == "__main__":
    _listen(int(sys.argv[1]))
